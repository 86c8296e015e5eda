"""Images come in with their names, and go out with them; what hangs on them follows.

Each happens under one lock, so that no other process sees half of it. A crash in between is undone on the way in, and
gone through with on the way out: a claim in the lease says that the image goes if it has no name.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..errors import LaminaError
from ..files import is_unread
from ..layers.layers import LAYER
from ..lock import Lease
from ..oci import digest
from ..oci.digest import Digest
from ..oci.reference import Reference
from .names import give_name
from .store import IMAGE, Store


class Created(NamedTuple):
    """An image that is there now, and for each name that it got the image that had it before, if another had."""

    image_id: Digest
    before: list[Digest | None]


def create(store: Store, lease: Lease, raw: bytes, names: Sequence[Reference] = (), *, dated: bool = False) -> Created:
    """Keep the config of an image whose layers are there, and name it; for `dated` see `names.name_image`."""
    image_id = digest.of(raw)
    with store.lock(), _claimed(lease, [image_id] if image_id not in store.images else []):
        store.images.create(raw)
        return Created(image_id, [give_name(store, name, image_id, dated=dated) for name in names])


def create_built(
    store: Store, lease: Lease, raw: bytes, parent: Digest | None, names: Sequence[Reference] = ()
) -> Digest:
    """Keep the config of an image that was built or committed here, on top of another; return its id."""
    image_id = digest.of(raw)
    with store.lock(), _claimed(lease, [image_id] if image_id not in store.images else []):
        was_current = store.steps.is_current()
        store.images.create(raw)
        store.images.set_built_locally(image_id)
        if parent is not None and parent in store.images:
            store.images.set_parent(image_id, parent)
        store.steps.add(image_id, was_current=was_current)
        for name in names:
            give_name(store, name, image_id)
    return image_id


def delete(store: Store, lease: Lease, image_id: Digest) -> list[Digest]:
    """Delete an image without names, and its layers that nothing else needs; return those, the topmost first."""
    with store.lock():
        tops = take_out(store, lease, [image_id], [])
    return store.release(lease, tops)


def take_out(store: Store, lease: Lease, image_ids: Sequence[Digest], names: Sequence[str]) -> list[Digest]:
    """Delete names, and images that have none left, children before parents; return their top layers.

    The caller holds the lock, and has what is returned released afterwards.
    """
    tops = [top for image_id in image_ids for top in chain(store, image_id)[-1:]]
    for top in tops:
        lease.add(LAYER, digest.encoded(top))  # a crash from here on leaves a note
    with _claimed(lease, image_ids):
        if names:
            store.references.remove(*names)
        was_current = store.steps.is_current()
        for image_id in image_ids:
            store.images.delete(image_id)
        if image_ids:
            store.steps.note(was_current=was_current)
    return tops


def chain(store: Store, image_id: Digest) -> list[Digest]:
    """Return the chain ids of an image's layers, base first; none of a damaged one, whose layers cannot be known.

    Raises:
        ImageDamaged: the disk does not give its config now.
    """
    try:
        return digest.chains(store.images.summary(image_id).diff_ids)
    except LaminaError as error:
        if is_unread(error.__cause__):
            raise
        return []


@contextlib.contextmanager
def _claimed(lease: Lease, image_ids: Sequence[Digest]) -> Iterator[None]:
    """Say that images go if they have no names, should the block not end well."""
    for image_id in image_ids:
        lease.add(IMAGE, digest.encoded(image_id))
    yield
    for image_id in image_ids:
        lease.drop(IMAGE, digest.encoded(image_id))
