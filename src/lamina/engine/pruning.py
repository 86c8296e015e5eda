"""What nobody uses any more is removed: the prune verbs of Docker.

Sources: moby, daemon/images/image_prune.go, daemon/prune.go; volumes as Docker has them since 23: those without a name,
unless all are asked for.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..containers.life import Containers
from ..containers.records import LIVE
from ..errors import Conflict, DataLoss, LaminaError, NotFound
from ..events import Event, Problem, Report
from ..oci import times
from ..oci.digest import Digest
from ..store import journal
from ..store.store import Store
from . import listing, removal
from .containers import containers as summaries
from .containers import users
from .removal import Removed


class Conditions(msgspec.Struct, frozen=True):
    """What may go; empty conditions let all go.

    Attributes:
        until: nanoseconds since 1970: only what was made before; 0 for no bound.
        labels: only what has all of these; `name` or `name=value`.
        without: only what has none of these.
    """

    until: int = 0
    labels: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def meets(self, created: int, labels: Mapping[str, str]) -> bool:
        """Tell whether a thing may go."""
        if self.until and created > self.until:
            return False
        return all(_has(labels, text) for text in self.labels) and not any(_has(labels, text) for text in self.without)


class Pruned(NamedTuple):
    """What went, by id or name, and the bytes that were given back."""

    names: list[str]
    space: int


class PrunedImages(NamedTuple):
    """The names, images and layers that went, and the bytes of the layers."""

    removed: list[Removed]
    space: int


def _has(labels: Mapping[str, str], text: str) -> bool:
    name, equals, value = text.partition("=")
    return name in labels and (not equals or labels[name] == value)


def containers(all_containers: Containers, conditions: Conditions, report: Report) -> Pruned:
    """Remove containers without a process; those that cannot be read are passed over."""
    names: list[str] = []
    space = 0
    for one in summaries(all_containers, report, sizes=True):
        created = times.parse_rfc3339(one.record.created)
        if one.state.status in LIVE or not conditions.meets(created, one.record.config.labels or {}):
            continue
        with contextlib.suppress(Conflict, NotFound):  # it has been started, or removed, meanwhile
            all_containers.remove(one.record)
            names.append(one.record.id)
            space += one.size or 0
    _tell(all_containers.store, journal.CONTAINER, space)
    return Pruned(names, space)


def _tell(store: Store, kind: str, space: int) -> None:
    store.journal.note(kind, "prune", "", {"reclaimed": str(space)})


def images(store: Store, all_containers: Containers, conditions: Conditions, *, every: bool) -> PrunedImages:
    """Remove images that no container was made from and that have no name; with `every` also those that have.

    Raises:
        DataLoss: something cannot be read. What is not known to be unused stays.
    """
    sizes = {chain_id: _size(store, chain_id) for chain_id in store.layers}
    removed: list[Removed] = []
    kept: set[Digest] = set()

    def spare(names: Sequence[str], used: bool) -> bool:
        return used or (bool(names) and not every)

    while True:
        used = {user.image_id for user in users(all_containers)}
        found = [
            image
            for image in listing.images(store, _refuse)
            if image.id not in kept | used
            and not image.has_children
            and (every or not (image.tags or image.digests))
            and conditions.meets(image.created or 0, image.labels)
        ]
        if not found:
            space = sum(sizes.get(one.deleted, 0) for one in removed if one.deleted)
            _tell(store, journal.IMAGE, space)
            return PrunedImages(removed, space)
        for image in found:
            kept.add(image.id)
            with contextlib.suppress(Conflict, NotFound):  # somebody has come to use it, or removed it
                removed += removal.remove(store, lambda: users(all_containers), image.id, force=True, spare=spare)


def _refuse(event: Event) -> None:
    if isinstance(event, Problem):
        raise DataLoss(f"{event.text}; nothing that may be in use is removed: repair the store first")


def _size(store: Store, chain_id: Digest) -> int:
    try:
        return store.layers.size(chain_id)
    except LaminaError:
        return 0  # it is damaged: `check` tells


def volumes(all_containers: Containers, conditions: Conditions, report: Report, *, every: bool) -> Pruned:
    """Remove volumes that no container has: those without a name, with `every` all; damaged ones are passed over."""
    names: list[str] = []
    space = 0
    store = all_containers.volumes
    taken = store.all_users()
    with all_containers.store.writing() as lease:
        for name in list(store):
            with contextlib.suppress(Conflict, NotFound):
                volume = store.get(name)
                if volume.problem:
                    report(Problem(volume.problem))
                    continue
                created = times.parse_rfc3339(volume.created)
                wanted = (every or volume.anonymous) and conditions.meets(created, volume.labels or {})
                if not wanted or taken.get(name):
                    continue
                size = store.size(name)
                store.remove(lease, name)
                names.append(name)
                space += size
    _tell(all_containers.store, journal.VOLUME, space)
    return Pruned(names, space)
