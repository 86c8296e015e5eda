"""The content that a store keeps beside its images: what imagedb has no place for.

content/
  blobs/<algorithm>/<hex>   manifests, indexes, layers as they came
  names/<sha256 of a name>  the descriptor that it stands for
"""

import contextlib
import os
from collections.abc import Callable, Iterator

from ..errors import LaminaError
from ..files import replace
from ..oci import codec
from ..oci.digest import Digest, encoded, is_hex, of
from ..oci.manifest import Descriptor
from ..streams import Reader
from .blobs import Blobs
from .contract import ContentNotFound, Store


class Local(Store):
    """Content in a folder of a store, which is made when content comes. Several processes may use it."""

    def __init__(self, folder: str) -> None:
        self._blobs = Blobs(os.path.join(folder, "blobs"))
        self._names = os.path.join(folder, "names")

    def resolve(self, name: str) -> Descriptor:
        try:
            return _read(self._path(name))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise ContentNotFound(f"no content is named {name!r}") from error

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        with self._blobs.open(descriptor.digest) as file:
            yield file

    def has(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self._blobs

    def push(self, descriptor: Descriptor, stream: Reader) -> None:
        self._blobs.put(descriptor, stream)

    def tag(self, descriptor: Descriptor, name: str) -> None:
        if not self.has(descriptor):
            raise ContentNotFound(f"no content has the digest {descriptor.digest}")
        os.makedirs(self._names, exist_ok=True)
        replace(self._path(name), codec.encode(descriptor))

    def delete(self, digest: Digest) -> None:
        with contextlib.suppress(FileNotFoundError):
            for name in filter(is_hex, os.listdir(self._names)):
                path = os.path.join(self._names, name)
                if _read(path).digest == digest:
                    os.unlink(path)
        self._blobs.delete(digest)

    def path(self, digest: Digest) -> str:
        """The file of content, also of what is not there yet: whoever moves a file there has verified it."""
        return self._blobs.path(digest)

    def check(self) -> Iterator[str]:
        """Yield what is wrong with content and names, a line each; all bytes are read and hashed."""
        yield from self._blobs.check()
        with contextlib.suppress(FileNotFoundError):
            for name in filter(is_hex, os.listdir(self._names)):
                if problem := self._problem(name):
                    yield problem

    def mend(self, aside: Callable[[str], None]) -> Iterator[str]:
        """Move blobs and names away that `check` would find wrong; yield what was moved and why, a line each."""
        for content in self._blobs:
            problem = next(self._blobs.check([content]), "")
            if problem:
                aside(self._blobs.path(content))
                yield problem
        with contextlib.suppress(FileNotFoundError):
            for name in filter(is_hex, os.listdir(self._names)):
                path = os.path.join(self._names, name)
                if problem := self._problem(name):
                    aside(path)
                    yield problem

    def _problem(self, name: str) -> str:
        """Return what is wrong with the file of a name, or nothing."""
        try:
            found = _read(os.path.join(self._names, name))
            return "" if self.has(found) else f"content/names/{name} names {found.digest}, which does not exist"
        except (LaminaError, OSError) as error:
            return f"content/names/{name} is damaged: {error}"

    def __iter__(self) -> Iterator[Digest]:
        return iter(self._blobs)

    def _path(self, name: str) -> str:
        return os.path.join(self._names, encoded(of(os.fsencode(name))))


def _read(path: str) -> Descriptor:
    with open(path, "rb") as file:
        return codec.decode(file.read(codec.LIMIT + 1), Descriptor, path)
