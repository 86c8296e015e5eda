"""Content in memory: for small things, and for tests."""

import contextlib
import io
from collections.abc import Iterator

from ..oci.digest import Digest, parse
from ..oci.manifest import Descriptor
from ..streams import Reader, Verified, chunks
from .contract import ContentNotFound, Store


class Memory(Store):
    """A place of content that is gone with the process."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._names: dict[str, Descriptor] = {}

    def resolve(self, name: str) -> Descriptor:
        if name not in self._names:
            raise ContentNotFound(f"no content is named {name!r}")
        return self._names[name]

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        if descriptor.digest not in self._blobs:
            raise ContentNotFound(f"no content has the digest {descriptor.digest}")
        yield io.BytesIO(self._blobs[descriptor.digest])

    def has(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self._blobs

    def push(self, descriptor: Descriptor, stream: Reader) -> None:
        if not self.has(descriptor):
            verified = Verified(stream, parse(descriptor.digest), descriptor.size)
            self._blobs[descriptor.digest] = b"".join(chunks(verified))

    def tag(self, descriptor: Descriptor, name: str) -> None:
        if not self.has(descriptor):
            raise ContentNotFound(f"no content has the digest {descriptor.digest}")
        self._names[name] = descriptor

    def delete(self, digest: Digest) -> None:
        self._blobs.pop(digest, None)
        self._names = {name: found for name, found in self._names.items() if found.digest != digest}

    def __iter__(self) -> Iterator[Digest]:
        yield from sorted(self._blobs)
