"""What relies on what: counted from the truth each time, never stored."""

import contextlib
from collections.abc import Collection
from typing import NamedTuple

from ..errors import LaminaError, NotFound
from ..images.images import Images
from ..layers.layers import LAYER, Layers
from ..layers.mounts import Mounts
from ..lock import by_lease
from ..oci import digest
from ..oci.digest import Digest


class Needed(NamedTuple):
    """The chain ids of layers that something relies on, and why others may be too, if something cannot be read."""

    layers: set[Digest]
    unknown: LaminaError | None


def layers(images: Images, layers: Layers, mounts: Mounts) -> Needed:
    """Return which layers an image or a container relies on."""
    needed: set[Digest] = set()
    unknown: LaminaError | None = None
    for image_id in images:
        try:
            needed.update(digest.chains(images.summary(image_id).diff_ids))
        except NotFound:
            continue
        except LaminaError as error:
            unknown = error
    for container in mounts:
        try:
            parent = mounts.get(container).parent
        except NotFound:
            continue
        except LaminaError as error:
            unknown = error
        else:
            _add_chain(layers, needed, parent)
    return Needed(needed, unknown)


def claimed(layers: Layers, leases: str, without: Collection[str] = ()) -> dict[str, set[Digest]]:
    """Return the chain ids of all layers that each lease relies on, by its path.

    Args:
        layers: of the store.
        leases: the folder of leases.
        without: paths of leases that do not count.
    """
    found: dict[str, set[Digest]] = {}
    for path, claims in by_lease(leases, without).items():
        needed = found.setdefault(path, set())
        for kind, name in claims:
            if kind == LAYER:
                _add_chain(layers, needed, Digest(f"sha256:{name}"))
    return found


def _add_chain(layers: Layers, needed: set[Digest], top: Digest | None) -> None:
    chain_id = top
    while chain_id is not None and chain_id not in needed:
        needed.add(chain_id)
        try:
            chain_id = layers.parent(chain_id)
        except LaminaError:
            return


def trees(layers: Layers, mounts: Mounts) -> set[str]:
    """Return the driver's ids of all trees that a layer or a container has."""
    found = mounts.used()
    for chain_id in layers:
        with contextlib.suppress(LaminaError):
            found.add(layers.get(chain_id).cache_id)
    return found
