"""A folder of blobs by digest: `<algorithm>/<hex>`, as OCI layouts and stores have it."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ..errors import LaminaError
from ..files import replacing
from ..oci import digest
from ..oci.digest import Digest
from ..oci.manifest import Descriptor
from ..streams import Reader, Verified, chunks, copy
from .contract import ContentNotFound


class Blobs:
    """The blobs in a folder, which is made when the first comes."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def path(self, content: Digest) -> str:
        """The file of a blob."""
        return os.path.join(self._folder, *digest.split(digest.parse(content)))

    def open(self, content: Digest) -> BinaryIO:
        """Open a blob; see `contract.Source.open` for what is raised."""
        try:
            return open(self.path(content), "rb")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise ContentNotFound(f"no content has the digest {content}") from error

    def __contains__(self, content: Digest) -> bool:
        return os.path.isfile(self.path(content))

    def put(self, descriptor: Descriptor, stream: Reader) -> None:
        """Keep a blob, verified; see `contract.Target.push`."""
        if descriptor.digest in self:
            return
        path = self.path(descriptor.digest)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with replacing(path) as file:
            copy(Verified(stream, descriptor.digest, descriptor.size), file)

    def delete(self, content: Digest) -> None:
        """Remove a blob; an absent one is no error."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(content))

    def check(self, which: Iterable[Digest] | None = None) -> Iterator[str]:
        """Yield which blobs, of some or of all, are not what their digests say, a line each."""
        for content in self if which is None else which:
            try:
                with self.open(content) as file:
                    for _ in chunks(Verified(file, content, what=f"content {content}")):
                        pass
            except LaminaError as error:
                if os.path.lexists(self.path(content)):  # else it has just been deleted
                    yield str(error)

    def __iter__(self) -> Iterator[Digest]:
        for algorithm in _names(self._folder):
            for name in _names(os.path.join(self._folder, algorithm)):
                with contextlib.suppress(digest.InvalidDigest):
                    yield digest.parse(f"{algorithm}:{name}")


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
