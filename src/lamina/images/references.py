"""Names to image ids: Docker's repositories.json, rewritten whole with every change."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import msgspec

from ..decoding import NOT_JSON
from ..errors import DataLoss, InvalidArgument
from ..files import replace
from ..oci.digest import Digest
from ..oci.reference import InvalidReference, Reference, parse

_LIMIT = 256 << 20


class ReferencesDamaged(DataLoss):
    """The file of all names cannot be read."""


class DigestTaken(InvalidArgument):
    """A reference by digest names another image already: it cannot move."""


class _File(msgspec.Struct):
    repositories: dict[str, dict[str, Digest]] = msgspec.field(name="Repositories", default_factory=dict)


class References:
    """The names of a store. Writers hold the store's lock."""

    def __init__(self, path: str) -> None:
        self._path = path

    def all(self) -> dict[str, Digest]:
        """Return the image of every reference, in its familiar form, sorted.

        Raises:
            ReferencesDamaged: the file cannot be read.
        """
        repositories = self._load().repositories
        return {text: repositories[name][text] for name in sorted(repositories) for text in sorted(repositories[name])}

    def check(self) -> Iterator[str]:
        """Yield what is wrong with the names themselves, a line each."""
        if not os.path.exists(self._path):
            yield f"{self._path} is missing"
            return
        for name, references in self._load().repositories.items():
            for text in references:
                try:
                    if parse(text).familiar_name != name:
                        yield f"repositories.json: {text} stands under {name}"
                except InvalidReference as error:
                    yield f"repositories.json: {error}"

    def get(self, reference: Reference) -> Digest | None:
        """Return the image of a reference with a tag or a digest; one with both is found by its digest."""
        return self._load().repositories.get(reference.familiar_name, {}).get(_key(reference))

    def of(self, image_id: Digest) -> list[str]:
        """Return the references of one image, in their familiar form, sorted."""
        return [text for text, found in self.all().items() if found == image_id]

    def add(self, reference: Reference, image_id: Digest) -> Digest | None:
        """Name an image; return the one that lost the name, if another had it.

        Raises:
            InvalidArgument: the name is one that would be taken for a digest.
            DigestTaken: a digest names another image.
        """
        if reference.familiar_name == "sha256":
            raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
        file = self._load()
        names = file.repositories.setdefault(reference.familiar_name, {})
        key = _key(reference)
        before = names.get(key)
        if before == image_id:
            return None
        if before is not None and reference.digest:
            raise DigestTaken(f"{key} names image {before} already")
        names[key] = image_id
        self._store(file)
        return before

    def remove(self, *texts: str) -> None:
        """Forget references, in their familiar form; those that are not there are no error."""
        file = self._load()
        for names in file.repositories.values():
            for text in texts:
                names.pop(text, None)
        file.repositories = {name: names for name, names in file.repositories.items() if names}
        self._store(file)

    def _load(self) -> _File:
        try:
            with open(self._path, "rb") as file:
                raw = file.read(_LIMIT)
        except FileNotFoundError:
            return _File()
        except OSError as error:
            raise ReferencesDamaged(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            return msgspec.json.decode(raw, type=_File)
        except NOT_JSON as error:
            what = f"{self._path} is damaged ({error}); images are still there by id; move the file away to go on"
            raise ReferencesDamaged(what) from error

    def _store(self, file: _File) -> None:
        ordered = {name: dict(sorted(names.items())) for name, names in sorted(file.repositories.items())}
        replace(self._path, msgspec.json.encode(_File(ordered)), 0o600)

    def mend(self, is_there: Callable[[Digest], bool], aside: Callable[[str], None]) -> Iterator[str]:
        """Write the names anew where they are damaged, or name what is not there; yield what was done, a line each.

        Of a file that is no JSON any more, each pair of a name and an id that can be made out is kept.

        Args:
            is_there: tells whether an image is.
            aside: moves the damaged file away.
        """
        pairs = self._pairs()
        kept: dict[str, dict[str, Digest]] = {}
        for text, image_id in pairs:
            try:
                name = parse(text).familiar_name
            except InvalidReference as error:
                yield f"name {text[:300]!r} is forgotten: {error}"
                continue
            if not is_there(image_id):
                yield f"name {text} is forgotten: image {image_id} is not there"
                continue
            kept.setdefault(name, {})[text] = image_id
        try:
            if os.path.isfile(self._path) and self._load().repositories == kept:
                return
        except ReferencesDamaged:
            pass
        if os.path.lexists(self._path):
            aside(self._path)
        self._store(_File(kept))
        yield f"{self._path}: written anew with {sum(map(len, kept.values()))} names"

    def _pairs(self) -> list[tuple[str, Digest]]:
        """Return all names and their images, as far as they can be made out."""
        try:
            return [pair for names in self._load().repositories.values() for pair in names.items()]
        except ReferencesDamaged:
            pass
        try:
            with open(self._path, "rb") as file:
                raw = file.read(_LIMIT).decode("utf-8", "replace")
        except OSError:
            return []
        return [(text, Digest(found)) for text, found in _pair().findall(raw)]

    def create(self) -> None:
        """Write the file of a new store."""
        if not os.path.exists(self._path):
            self._store(_File())


@cache
def _pair() -> re.Pattern[str]:
    return re.compile(r'"([^"\\]{1,400})" *: *"(sha256:[0-9a-f]{64})"')


def _key(reference: Reference) -> str:
    if reference.digest:
        return f"{reference.familiar_name}@{reference.digest}"
    return f"{reference.familiar_name}:{reference.tag}"


def by_image(references: Mapping[str, Digest]) -> dict[Digest, list[str]]:
    """Return the references of each image."""
    found: dict[Digest, list[str]] = {}
    for text, image_id in references.items():
        found.setdefault(image_id, []).append(text)
    return found
