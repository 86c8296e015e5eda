"""What takes how much room, each byte counted once, and how much of it would come back.

images        bytes of all layers; back come those of layers that no image with a container, and no container, needs:
what `image prune --all` removes
containers    bytes that containers wrote; back come those of containers without a process
volumes       bytes of files in volumes; back come those of volumes that no container has
"""

import msgspec

from ..containers.life import Containers
from ..containers.records import LIVE
from ..errors import LaminaError
from ..events import Report
from ..oci import digest
from ..oci.digest import Digest
from ..store.store import Store
from . import listing
from .containers import ContainerSummary, users
from .containers import containers as container_summaries
from .listing import ImageSummary, Sizes
from .volumes import VolumeSummary
from .volumes import summaries as volume_summaries


class ImageUsage(msgspec.Struct, frozen=True):
    """An image: bytes of layers that other images have too, bytes of its own ones, and how many containers it has."""

    image: ImageSummary
    shared: int
    unique: int
    containers: int


class VolumeUsage(msgspec.Struct, frozen=True):
    """A volume and the bytes of its files."""

    volume: VolumeSummary
    size: int


class Usage(msgspec.Struct, frozen=True):
    """All of it; images that are only steps of builds are not listed, though their layers count.

    Attributes:
        images: with names, or without children.
        containers: with their sizes.
        volumes: with their sizes.
        layers_size: bytes of all layers.
        layers_reclaimable: those of them that `image prune --all` would give back.
    """

    images: list[ImageUsage]
    containers: list[ContainerSummary]
    volumes: list[VolumeUsage]
    layers_size: int
    layers_reclaimable: int

    @property
    def containers_reclaimable(self) -> int:
        """Bytes of containers without a process."""
        return sum(one.size or 0 for one in self.containers if one.state.status not in LIVE)

    @property
    def volumes_reclaimable(self) -> int:
        """Bytes of volumes that no container has."""
        return sum(one.size for one in self.volumes if not one.volume.users)


def usage(store: Store, containers: Containers, report: Report) -> Usage:
    """Return what takes how much room."""
    sizes = Sizes(store.layers)
    images = listing.images(store, report)
    chains = {image.id: _chain(store, image.id) for image in images}
    holders = [user.image_id for user in users(containers)]
    listed = [image for image in images if image.tags or image.digests or not image.has_children]
    needed: set[Digest] = set()
    for image_id in holders:
        needed.update(chains.get(image_id, ()))
    for container in store.mounts:
        needed.update(_below(store, container))
    every = set(store.layers)
    return Usage(
        [_image(image, listed, chains, sizes, holders.count(image.id)) for image in listed],
        container_summaries(containers, report, sizes=True),
        [VolumeUsage(one, containers.volumes.size(one.volume.name)) for one in volume_summaries(containers)],
        sum(map(sizes.own, every)),
        sum(map(sizes.own, every - needed)),
    )


def _chain(store: Store, image_id: Digest) -> list[Digest]:
    try:
        return digest.chains(store.images.summary(image_id).diff_ids)
    except LaminaError:
        return []


def _below(store: Store, container: str) -> list[Digest]:
    try:
        return [layer.chain_id for layer in store.layers.chain(store.mounts.get(container).parent)]
    except LaminaError:
        return []


def _image(
    image: ImageSummary, listed: list[ImageSummary], chains: dict[Digest, list[Digest]], sizes: Sizes, containers: int
) -> ImageUsage:
    others = {chain_id for other in listed if other.id != image.id for chain_id in chains[other.id]}
    shared = sum(sizes.own(chain_id) for chain_id in chains[image.id] if chain_id in others)
    return ImageUsage(image, shared, image.size - shared, containers)
