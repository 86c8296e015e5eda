"""What is wrong with the containers and volumes of a store; what live processes are making is passed over."""

import contextlib
import os
from collections.abc import Iterator

from ..errors import LaminaError
from ..lock import claims
from ..oci import digest
from .life import Containers
from .records import CLAIMS


def check(containers: Containers) -> Iterator[str]:
    """Yield what is wrong, a line each: a container is its record and its writable layer, on its image's layers."""
    store, records = containers.store, containers.records
    known = [*records]
    broken = [container for container in known if not store.mounts.exists(container)]
    alone = [container for container in store.mounts if not records.exists(container)]
    alone = [one for one in alone if not os.path.isdir(os.path.join(store.paths.docker_containers, one))]
    strays = [(what, container) for what, container in records.strays() if container not in alone]
    claimed = {name for kind, name in claims(store.paths.leases) if kind in CLAIMS}  # after what they may be making
    for container in broken:
        if container not in claimed and not store.mounts.exists(container):
            yield f"container {container[:12]} has no writable layer"
    for container in alone:
        if container not in claimed and store.mounts.exists(container):
            yield f"the writable layer of container {container[:12]} belongs to no container"
    for container in known:
        if container not in claimed:
            yield from records.check(container)
            yield from _parent(containers, container)
    yield from (f"lamina/containers/{what} belongs to no container" for what, name in strays if name not in claimed)
    yield from containers.volumes.check()


def _parent(containers: Containers, container: str) -> Iterator[str]:
    """Yield that a container stands on another layer than its image does; where either is not known, nothing."""
    with contextlib.suppress(LaminaError):
        image = containers.store.images.get(containers.records.get(container).image_id)
        parent = containers.store.mounts.get(container).parent
        if [parent] * (parent is not None) != digest.chains(image.diff_ids)[-1:]:
            yield f"container {container[:12]} does not stand on the layers of its image"
