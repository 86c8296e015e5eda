"""What a place of storage must do: blobs by digest, uploads that become blobs, and small documents by path.

It fits object stores: nothing is renamed, no folder is made, and a folder is only what paths have in common. All that
a call writes is durable when it returns.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Protocol

import msgspec

from ..errors import Conflict, DataLoss, InvalidArgument, NotFound
from ..oci.digest import Digest
from .bodies import Body


class Missing(NotFound):
    """The storage has no such document, blob or upload."""


class Busy(Conflict):
    """Another request works on the upload."""


class WrongOffset(InvalidArgument):
    """A piece does not begin where the upload ends; `size` is where that is."""

    def __init__(self, size: int, offset: int) -> None:
        super().__init__(f"the upload has {size} bytes, and the piece begins at {offset}")
        self.size = size


class WrongContent(DataLoss):
    """The bytes of an upload are not those that the digest names."""


class Upload(msgspec.Struct, frozen=True):
    """An upload under way; `started` is in seconds since 1970."""

    repository: str
    identity: str
    started: float


class Blob(Protocol):
    """A blob open to read; what is open stays whole, whatever becomes of its name. Closed by its context."""

    size: int

    @property
    def file(self) -> BinaryIO | None:
        """The blob as an open file that the kernel can send, if it is one."""
        ...

    async def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`, fewer only at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Storage(Protocol):
    """A place of storage. Several servers may use one, and do not know of each other."""

    # Documents: a path below the repositories, and some bytes.

    async def read(self, path: str) -> bytes:
        """Return a document.

        Raises:
            Missing: there is none.
        """
        ...

    async def write(self, documents: Sequence[tuple[str, bytes]]) -> None:
        """Write documents in this order; each appears whole, and all are durable when the call returns."""
        ...

    async def remove(self, path: str) -> None:
        """Remove a document, or all below a folder; what is absent is no error."""
        ...

    async def modified(self, path: str) -> float:
        """Return when a document was last written, in seconds since 1970.

        Raises:
            Missing: there is none.
        """
        ...

    async def renew(self, path: str) -> None:
        """Let a document count as written now.

        Raises:
            Missing: there is none.
        """
        ...

    async def names(self, folder: str) -> list[str]:
        """Return the names directly in a folder, by their bytes; of a folder that is absent, none."""
        ...

    # Blobs: bytes by digest.

    async def size(self, digest: Digest) -> int:
        """Return the size of a blob.

        Raises:
            Missing: there is none.
        """
        ...

    async def open(self, digest: Digest) -> Blob:
        """Open a blob to read; the caller closes it.

        Raises:
            Missing: there is none.
        """
        ...

    async def put(self, digest: Digest, data: bytes, documents: Sequence[tuple[str, bytes]] = ()) -> None:
        """Keep some bytes, whose digest the caller has made, then write documents.

        What is there already counts as new again.
        """
        ...

    async def touch(self, digests: Iterable[Digest]) -> list[Digest]:
        """Let blobs count as new from now on; return those that are not there. See `pushing`."""
        ...

    async def discard(self, digest: Digest, before: float, *, pretend: bool = False) -> int | None:
        """Remove a blob that was neither written nor touched since `before`; return the bytes that this frees.

        To be called within `collecting` only, but to `pretend`. None is for what is newer, or absent.
        """
        ...

    def digests(self) -> AsyncIterator[Digest]:
        """Yield the digests of all blobs."""
        ...

    # Uploads: bytes that arrive in pieces and become a blob.

    async def begin(self, repository: str, identity: str) -> None:
        """Begin an upload."""
        ...

    async def arrived(self, repository: str, identity: str) -> int:
        """Return how many bytes have arrived.

        Raises:
            Missing: there is no such upload.
        """
        ...

    async def append(self, repository: str, identity: str, offset: int, body: Body, algorithm: str = "sha256") -> int:
        """Add a piece; return how many bytes there are now. A body that breaks off leaves what came before.

        `algorithm` is what the digest will likely be of.

        Raises:
            Missing: there is no such upload.
            Busy: another one is adding to it.
            WrongOffset: the upload does not end at `offset`; nothing is added.
        """
        ...

    async def commit(self, repository: str, identity: str, digest: Digest, links: Sequence[tuple[str, bytes]]) -> int:
        """Make a blob of an upload, then write documents; return the blob's size. The upload is gone then.

        Raises:
            Missing: there is no such upload.
            Busy: another one is adding to it.
            WrongContent: the digest is of other bytes; the upload is gone.
        """
        ...

    async def cancel(self, repository: str, identity: str) -> None:
        """Forget an upload.

        Raises:
            Missing: there is no such upload.
        """
        ...

    async def uploads(self, repository: str) -> list[Upload]:
        """Return the uploads under way in a repository, those that can be dated."""
        ...

    # Pushes and collection.

    def pushing(self) -> AbstractAsyncContextManager[None]:
        """Hold collection off: touch blobs, and write what refers to them, within this."""
        ...

    def collecting(self) -> AbstractAsyncContextManager[float]:
        """Hold pushes off, for a moment; yield what time it is for the storage.

        A push that began before has written all its references; one that begins after touches what it relies on.
        """
        ...
