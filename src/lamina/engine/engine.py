"""All verbs on one object. Each is a few lines here, and has its own module below."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from ..archive import load as loading
from ..archive import save as saving
from ..events import Report, ignore
from ..oci import reference, times
from ..oci.digest import Digest
from ..oci.reference import InvalidReference
from ..store.check import check as check_store
from ..store.names import find, name_image
from ..store.store import Store
from ..streams import Writer
from . import inspection, listing, removal
from .listing import HistoryRow, ImageSummary


class Engine:
    """The store in a root folder, and what can be done with it; a context manager.

    Args:
        root: the folder; it is made if it is not there. A dockerd's root will do, by turns with the dockerd.
        driver: the storage driver; empty for the one that the root has, or the best that works there.
        report: hears what long verbs do, and what is wrong where a verb can go on; see `events`.

    Names of images are references or ids, or the beginnings of ids, as Docker takes them.
    """

    def __init__(self, root: str, driver: str = "", report: Report = ignore) -> None:
        self.root = os.path.abspath(root)
        self.report = report
        self._store = Store(self.root, driver)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        """Give up what is held; nothing is, between verbs."""

    def images(self) -> list[ImageSummary]:
        """Return all images, also intermediate ones of builds, the newest first."""
        return listing.images(self._store, self.report)

    def history(self, name: str) -> list[HistoryRow]:
        """Return the steps of an image, the newest first.

        Raises:
            ImageNotFound: there is none.
        """
        return listing.history(self._store, name, self.report)

    def inspect_image(self, name: str) -> dict[str, Any]:
        """Return all that is known of an image, in the shape of Docker's API.

        Raises:
            ImageNotFound: there is none.
        """
        return inspection.image(self._store, find(self._store, name), self.report)

    def tag(self, name: str, new: str) -> None:
        """Give an image another name.

        Raises:
            ImageNotFound: there is none.
            InvalidReference: the new name is malformed, or has a digest.
        """
        target = reference.parse(new).tagged()
        if target.digest:
            raise InvalidReference(new, "cannot tag by digest")
        with self._store.writing():
            image_id = find(self._store, name)
            name_image(self._store, target, image_id)
            with self._store.lock():
                self._store.images.set_last_updated(image_id, times.now())

    def remove_image(self, name: str, *, force: bool = False, prune: bool = True) -> list[removal.Removed]:
        """Remove a name, and the image with its last one; see `removal.remove`."""
        return removal.remove(self._store, [], name, force=force, prune=prune)

    def load(self, file: BinaryIO, where: str = "archive", platform: str = "") -> list[loading.Loaded]:
        """Load all images of an archive; see `archive.load.load`."""
        return loading.load(self._store, file, where, self.report, platform)

    def load_folder(self, path: str, platform: str = "") -> list[loading.Loaded]:
        """Load all images of an unpacked archive, such as an OCI layout."""
        return loading.load_folder(self._store, path, self.report, platform)

    def save(self, names: Sequence[str], target: Writer) -> None:
        """Write images with all their layers as one archive; a repository without a tag stands for all its tags.

        Raises:
            ImageNotFound: there is none of a name; nothing was written then.
            LayerDamaged: a layer is not what it was; what was written is no archive.
        """
        saving.save(self._store, self._wanted(names), target)

    def _wanted(self, names: Sequence[str]) -> list[saving.Wanted]:
        found: dict[Digest, list[reference.Reference]] = {}
        for name in names:
            for image_id, references in self._named(name):
                known = found.setdefault(image_id, [])
                known += [one for one in references if one not in known]
        return [saving.Wanted(image_id, references) for image_id, references in found.items()]

    def _named(self, name: str) -> Iterator[tuple[Digest, list[reference.Reference]]]:
        """Yield what a name stands for: one image, or all tags of a repository."""
        try:
            parsed = reference.parse(name)
        except InvalidReference:
            yield find(self._store, name), []
            return
        every = {text: image_id for text, image_id in self._store.references.all().items() if "@" not in text}
        if not parsed.tag and not parsed.digest:
            tags = [text for text in every if reference.parse(text).name == parsed.name]
            if tags:
                yield from ((every[text], [reference.parse(text)]) for text in tags)
                return
        image_id = find(self._store, name)
        yield image_id, [parsed] if parsed.tag and every.get(parsed.familiar) == image_id else []

    def check(self, *, content: bool = True) -> Iterator[str]:
        """Yield what is wrong with the store, a line each; see `store.check`."""
        yield from check_store(self._store, self.report, content=content)

    def info(self) -> dict[str, Any]:
        """Return what Docker's `info` says, as far as it exists without a daemon."""
        return inspection.system(self._store)
