"""Images that are built here come in, and images go out, with all that hangs on them."""

from ..errors import LaminaError
from ..lock import Lease
from ..oci import digest
from ..oci.digest import Digest
from .store import Store


def delete(store: Store, lease: Lease, image_id: Digest) -> list[Digest]:
    """Delete an image without names, and its layers that nothing else needs; return those, the topmost first.

    After a crash the image is there or it is not; layers that were left are taken away later.
    """
    try:
        chain_ids = digest.chains(store.images.summary(image_id).diff_ids)
    except LaminaError:
        chain_ids = []  # damaged: its layers cannot be known
    store.rely_on(lease, chain_ids[-1:])
    with store.lock():
        was_current = store.steps.is_current()
        store.images.delete(image_id)
        store.steps.note(was_current=was_current)
    return store.release(lease, chain_ids[-1:])


def create(store: Store, raw: bytes, parent: Digest | None) -> Digest:
    """Keep the config of an image that was built or committed here, on top of another; return its id."""
    with store.lock():
        was_current = store.steps.is_current()
        image_id = store.images.create(raw)
        store.images.set_built_locally(image_id)
        if parent is not None and parent in store.images:
            store.images.set_parent(image_id, parent)
        store.steps.add(image_id, was_current=was_current)
    return image_id
