"""Names of images: finding what a person means, and giving names."""

from ..errors import LaminaError
from ..images.images import ImageNotFound
from ..images.references import ReferencesDamaged
from ..oci import digest, reference, times
from ..oci.digest import Digest
from ..oci.reference import Reference
from .journal import IMAGE
from .store import Store


def find(store: Store, text: str) -> Digest:
    """Return the image that a person names: by id, by the beginning of one, or by a reference.

    A whole id comes first, then a reference (`:latest` where it has no tag), then the beginning of an id.

    Raises:
        ImageNotFound: there is none.
        AmbiguousImage: the ids of several begin so.
        InvalidReference: the text can be none of those.
    """
    whole = text.removeprefix("sha256:")
    if len(whole) == 64 and digest.is_hex(whole):
        image_id = store.images.find(text)
        if image_id is None:
            raise ImageNotFound(text)
        return image_id
    parsed = reference.parse(text).tagged()
    try:
        named = store.references.get(parsed)
    except ReferencesDamaged:
        if not (found := store.images.find(text)):  # ids work as ever
            raise
        return found
    found = named or store.images.find(text)
    if found is None:
        raise ImageNotFound(parsed.familiar)
    return found


def name_image(store: Store, name: Reference, image_id: Digest, *, dated: bool = True) -> Digest | None:
    """Give an image a name; return the image that had it before, if another had.

    Args:
        store: of the image.
        name: with a tag or a digest.
        image_id: of the image.
        dated: note when, and the event; Docker does so for all but names that came with the image.
    """
    with store.lock():
        if image_id not in store.images:
            raise ImageNotFound(image_id)
        return give_name(store, name, image_id, dated=dated)


def give_name(store: Store, name: Reference, image_id: Digest, *, dated: bool = True) -> Digest | None:
    """Do the same for an image that is there, with the lock held."""
    before = store.references.add(name, image_id)
    if dated:
        was_current = store.steps.is_current()
        store.images.set_last_updated(image_id, times.now())
        store.steps.note(was_current=was_current)
        tell(store, "tag", image_id, name.familiar)
    return before


def tell(store: Store, action: str, image_id: Digest, name: str = "") -> None:
    """Note an event of an image, which is called by its id where no name is given, as in Docker."""
    store.journal.note(IMAGE, action, image_id, {**labels(store, image_id), "name": name or image_id})


def labels(store: Store, image_id: Digest) -> dict[str, str]:
    """Return the labels of an image; none of one that cannot be read."""
    try:
        run = store.images.summary(image_id).config
    except LaminaError:
        return {}
    return (run.labels if run else None) or {}
