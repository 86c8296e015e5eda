"""What relies on what: counted from the truth each time, never stored."""

import contextlib
from collections.abc import Collection

from ..errors import LaminaError
from ..images.images import Images
from ..layers.layers import LAYER, Layers
from ..layers.mounts import Mounts
from ..lock import claims
from ..oci import digest
from ..oci.digest import Digest


def layers(images: Images, layers: Layers, mounts: Mounts, leases: str, without: Collection[str]) -> set[Digest]:
    """Return the chain ids of all layers that an image, a container or a lease relies on.

    Args:
        images: of the store.
        layers: of the store.
        mounts: of the store.
        leases: the folder of leases.
        without: paths of leases that do not count.
    """
    needed: set[Digest] = set()
    for image_id in images:
        with contextlib.suppress(LaminaError):
            needed.update(digest.chains(images.summary(image_id).diff_ids))
    claimed = [Digest(f"sha256:{name}") for kind, name in claims(leases, without) if kind == LAYER]
    for top in [*claimed, *_parents(mounts)]:
        _add_chain(layers, needed, top)
    return needed


def _parents(mounts: Mounts) -> list[Digest]:
    found: list[Digest] = []
    for container in mounts:
        with contextlib.suppress(LaminaError):
            parent = mounts.get(container).parent
            if parent is not None:
                found.append(parent)
    return found


def _add_chain(layers: Layers, needed: set[Digest], top: Digest) -> None:
    chain_id: Digest | None = top
    while chain_id is not None and chain_id not in needed:
        needed.add(chain_id)
        try:
            chain_id = layers.get(chain_id).parent
        except LaminaError:
            return


def trees(layers: Layers, mounts: Mounts) -> set[str]:
    """Return the driver's ids of all trees that a layer or a container has."""
    found = mounts.used()
    for chain_id in layers:
        with contextlib.suppress(LaminaError):
            found.add(layers.get(chain_id).cache_id)
    return found
