"""Containers made sound after their trees: what of them cannot be restored goes to the quarantine, one and all."""

import os
from collections.abc import Callable, Iterator

from ..errors import LaminaError
from ..layers.mending import Mender
from ..lock import Lease, claims
from .life import Containers
from .records import CLAIMS


def mend(containers: Containers, lease: Lease, mender: Mender, aside: Callable[[str], None]) -> Iterator[str]:
    """Put containers and volumes right; yield what was done, a line each.

    A container is its record and its writable layer. Where one is lost, the other is moved away with its name; the
    volumes stay. What live processes make or run is left alone.

    Args:
        containers: of the store; inside of `writing`.
        lease: of the caller.
        mender: of the store's layers.
        aside: takes what cannot be restored.
    """
    store, records = containers.store, containers.records
    with store.lock():
        live = {name for kind, name in claims(store.paths.leases) if kind in CLAIMS}
        for container in [*records]:
            if container not in live:
                yield from _record(containers, container, aside)
        for what, container in [*records.strays()]:
            if container not in live and os.path.lexists(records.path(what)):
                aside(records.path(what))
                yield f"quarantined lamina/containers/{what}: it belongs to no container"
        for container in [*store.mounts]:
            of_docker = os.path.isdir(os.path.join(store.paths.docker_containers, container))
            if container not in live and not records.exists(container) and not of_docker:
                mender.remove_mount(container)
                yield f"quarantined the files of container {container}: its record is lost"
    yield from containers.volumes.mend(lease, aside)


def _record(containers: Containers, container: str, aside: Callable[[str], None]) -> Iterator[str]:
    records, mounts = containers.records, containers.store.mounts
    if containers.is_watched(container):
        return
    try:
        records.get(container)
    except LaminaError as error:
        aside(records.folder(container))
        yield f"quarantined container {container}: {error}"
        return
    if mounts.exists(container):
        yield from records.mend(container, aside)
    else:
        aside(records.folder(container))
        yield f"quarantined container {container}: it has no writable layer"
