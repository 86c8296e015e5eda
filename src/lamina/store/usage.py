"""What relies on what: counted from the truth each time, never stored."""

import contextlib
from collections.abc import Collection

from ..errors import LaminaError
from ..images.images import Images
from ..layers.layers import LAYER, Layers
from ..layers.mounts import Mounts
from ..lock import by_lease
from ..oci import digest
from ..oci.digest import Digest


def layers(images: Images, layers: Layers, mounts: Mounts) -> set[Digest]:
    """Return the chain ids of all layers that an image or a container relies on."""
    needed: set[Digest] = set()
    for image_id in images:
        with contextlib.suppress(LaminaError):
            needed.update(digest.chains(images.summary(image_id).diff_ids))
    for top in _parents(mounts):
        _add_chain(layers, needed, top)
    return needed


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
