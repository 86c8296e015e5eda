"""One layer on its way out, in the form that costs least, and if that can be, in the one that it came in.

What the repository has is not sent, and what another of the same registry has is mounted from there. Else the blob is
sent that is kept as it came, or that another registry still has; only then is the layer compressed again.
"""

import contextlib
import hashlib
import io
import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from ..errors import LaminaError
from ..events import Progress, Report, Status
from ..images.distribution import Form, Origin, seal
from ..layers.layers import Layer
from ..oci import digest, mediatypes, reference
from ..oci.digest import Digest
from ..oci.manifest import Descriptor
from ..oci.reference import Reference
from ..packing import Recipe, packed, processors, recipe_of, usual
from ..remote.answers import RegistryUnavailable
from ..remote.registry import Registry
from ..store.store import Store
from ..streams import CHUNK, Reader, Verified, copy
from .crew import Permits
from .places import Places

_MOST_QUESTIONS, _MOST_MOUNTS = 3, 4
"""Docker's bounds for large layers: forms that the registry is asked for, and repositories to mount from."""

_UNKNOWN = 0
"""The size of a blob that only dockerd has noted."""

_TYPES = {"gzip": mediatypes.DOCKER_LAYER_GZIP, "zstd": mediatypes.OCI_LAYER_ZSTD}
_LEVELS = {"gzip": 1, "zstd": 3}


class Compression(msgspec.Struct, frozen=True):
    """How layers are to be compressed; an empty name means: as they came, or as gzip."""

    name: str = ""
    level: int | None = None

    @property
    def recipe(self) -> Recipe:
        """How that is done; where no level was asked for, with the usual one."""
        name = self.name or "gzip"
        return usual(name, self.level if self.level is not None else _LEVELS[name])

    def fits(self, maker: str) -> bool:
        """Tell whether what was made in a way, as it was noted, is what is wanted."""
        found = recipe_of(maker)
        return found is not None and found[:2] == self.recipe[:2]


class Outgoing:
    """The way of layers to a repository.

    Args:
        store: has them.
        places: the registries.
        target: the repository.
        compression: how they are to be compressed.
        known: forms of layers, by diff id, that are better than others: those of the image's own manifest.
        secrets: what the registry knows us by; see `Places.secrets`.
        permits: to compress. More at a time than there are processors would be in each other's way.
    """

    def __init__(
        self,
        store: Store,
        places: Places,
        target: Reference,
        compression: Compression,
        known: dict[Digest, Descriptor],
        secrets: dict[str, str],
        permits: Permits,
    ) -> None:
        self._store = store
        self._places = places
        self._target = target
        self._compression = compression
        self._known = known
        self._secrets = secrets
        self._permits = permits
        self._silent: set[str] = set()  # registries that did not answer this process, or failed

    def config(self, descriptor: Descriptor, raw: bytes, report: Report) -> Form:
        """Bring an image's config to the repository; return its form."""
        repository = self._places.at(self._target, report)
        if not repository.has(descriptor):
            repository.push(descriptor, io.BytesIO(raw))
        return Form(descriptor)

    def send(self, layer: Layer, report: Report) -> Form:
        """Bring a layer to the repository; return the form that it has there.

        Raises:
            LayerDamaged: it is not what it was; nothing comes to be there.
            LaminaError: what the registry may say; see `remote.answers`.
        """
        short = digest.short(layer.diff_id)
        forms = self._forms(layer.diff_id)
        repository = self._places.at(self._target, report)
        for form in forms[:_MOST_QUESTIONS]:
            if (found := _there(repository, form)) is not None:
                report(Status("Layer already exists", short))
                return found
        for form, origin in self._mountable(layer.diff_id, forms):
            if repository.mount(form.descriptor, origin):
                found = form if form.descriptor.size else _there(repository, form)
                if found is not None:
                    report(Status(f"Mounted from {origin}", short))
                    return found
        for form in (form for form in forms if form.descriptor.size):
            with self._as_it_was(layer.diff_id, form) as file:
                if file is not None:
                    return self._pushed(repository, form, file, short, report)
        with self._store.temporary() as file:
            form = self._compressed(layer, file, forms, report)
            if repository.has(form.descriptor):
                report(Status("Layer already exists", short))
                return form
            return self._pushed(repository, form, file, short, report, known=True)

    def _pushed(
        self, repository: Registry, form: Form, file: BinaryIO, short: str, report: Report, *, known: bool = False
    ) -> Form:
        sent = _Sent(file, Progress(short, "Pushing", 0, form.descriptor.size), report)
        repository.push(form.descriptor, sent, known=known)
        report(Status("Pushed", short))
        return form

    def _forms(self, diff_id: Digest) -> list[Form]:
        """Return the forms of a layer that may be, the best first: its manifest's, those that this place has had."""
        noted = self._store.distribution.forms(diff_id)[::-1]
        if self._compression.name:
            return [form for form in noted if self._compression.fits(form.maker)]
        origins = self._store.distribution.origins(diff_id)[::-1]
        here = {origin.digest for origin in origins if origin.repository == self._target.name}
        dockers = [Form(Descriptor(mediatypes.DOCKER_LAYER_GZIP, origin.digest, _UNKNOWN)) for origin in origins]
        own = [Form(self._known[diff_id])] if diff_id in self._known else []
        found: dict[Digest, Form] = {}
        for form in (*own, *sorted([*noted, *dockers], key=lambda form: form.descriptor.digest not in here)):
            found.setdefault(form.descriptor.digest, form)
        return list(found.values())

    def _mountable(self, diff_id: Digest, forms: list[Form]) -> list[tuple[Form, str]]:
        """Return forms, each with the path of another repository of the registry that it may be mounted from.

        The form of the image's own manifest comes first; else as for dockerd, what was pushed by the same person, then
        what has the most similar name, then the latest.
        """
        by_digest = {form.descriptor.digest: form for form in forms}
        own = self._known[diff_id].digest if diff_id in self._known else ""

        def worth(origin: Origin) -> tuple[bool, bool, int]:
            is_ours = origin.seal == seal(origin.digest, origin.repository, self._secrets)
            return origin.digest == own, is_ours, _alike(origin.repository, self._target.name)

        origins = self._store.distribution.origins(diff_id)[::-1]
        found: dict[tuple[Digest, str], None] = {}
        for origin in sorted(origins, key=worth, reverse=True):
            place = reference.parse(origin.repository)
            if origin.digest in by_digest and place.domain == self._target.domain and place.path != self._target.path:
                found.setdefault((origin.digest, place.path))
        return [(by_digest[content], path) for content, path in list(found)[:_MOST_MOUNTS]]

    @contextlib.contextmanager
    def _as_it_was(self, diff_id: Digest, form: Form) -> Iterator[BinaryIO | None]:
        """Open a layer's blob as it is kept here, or as another repository gives it; None if neither can be."""
        if self._store.content.has(form.descriptor):
            with open(self._store.content.path(form.descriptor.digest), "rb") as file:
                yield file
            return
        with self._store.temporary() as file:
            yield file if self._fetched(diff_id, form.descriptor, file) else None

    def _fetched(self, diff_id: Digest, descriptor: Descriptor, file: BinaryIO) -> bool:
        """Fetch a blob from where it was seen; tell whether that could be done."""
        for origin in self._store.distribution.origins(diff_id)[::-1]:
            place = reference.parse(origin.repository)
            if origin.digest != descriptor.digest or origin.repository == self._target.name:
                continue
            if place.domain in self._silent:
                continue
            try:
                with self._places.at(place).open(descriptor) as stream:
                    file.seek(0)
                    file.truncate()
                    copy(Verified(stream, descriptor.digest, descriptor.size), file)
                file.seek(0)
                return True
            except RegistryUnavailable:
                self._silent.add(place.domain)
            except LaminaError:
                continue
        return False

    def _compressed(self, layer: Layer, file: BinaryIO, forms: list[Form], report: Report) -> Form:
        """Compress a layer into a file: as it was made here before, if that is known and can be done again."""
        recipe = next(filter(None, (recipe_of(form.maker) for form in forms)), self._compression.recipe)
        hashed = _Hashing(file)
        progress = Progress(digest.short(layer.diff_id), "Preparing", 0, self._store.layers.tar_size(layer))
        with (
            self._permits.one(),
            packed(hashed, recipe, processors(), self._permits.spare) as writer,
            self._store.layers.tar(layer) as stream,
        ):
            copy(_Counted(stream, progress, report), writer)
        file.seek(0)
        return Form(Descriptor(_TYPES[recipe.name], hashed.digest, hashed.count), recipe.maker)


def _there(repository: Registry, form: Form) -> Form | None:
    """Return a form if a repository has it, and its size is known or the registry says it."""
    size = repository.size(form.descriptor)
    if size is None or form.descriptor.size:
        return form if size is not None else None
    return Form(Descriptor(form.descriptor.media_type, form.descriptor.digest, size)) if size else None


def _alike(one: str, other: str) -> int:
    """Return how many parts of two names of repositories are the same, from the beginning."""
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])


class _Hashing:
    """A writer that hashes and counts."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.count = 0

    def write(self, data: bytes | memoryview, /) -> None:
        self._hash.update(data)
        self.count += len(data)
        self._target.write(data)

    @property
    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hash.hexdigest()}")


class _Counted:
    """A reader that reports how far it is."""

    def __init__(self, source: Reader, progress: Progress, report: Report) -> None:
        self._source = source
        self._progress = progress
        self._report = report
        self._done = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._done += len(data)
        self._report(Progress(self._progress.subject, self._progress.action, self._done, self._progress.total))
        return data


class _Sent(io.RawIOBase):
    """A file that reports how far it has been read, and can be read again."""

    def __init__(self, file: BinaryIO, progress: Progress, report: Report) -> None:
        super().__init__()
        self._file = file
        self._progress = progress
        self._report = report

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(CHUNK if size < 0 else size)
        self._report(Progress(self._progress.subject, "Pushing", self._file.tell(), self._progress.total))
        return data

    def readinto(self, room: Any, /) -> int:
        count = self._file.readinto(memoryview(room)[:CHUNK])  # type: ignore[attr-defined] # of all binary files
        self._report(Progress(self._progress.subject, "Pushing", self._file.tell(), self._progress.total))
        return int(count)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
