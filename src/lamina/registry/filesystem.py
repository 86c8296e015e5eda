"""Storage in a folder, as CNCF distribution lays it out; see `paths` for the tree.

Documents and names are read where they are asked for: they are small and cached by the kernel, and a thread would cost
more than the read. All that writes, or reads much, goes to a thread.
"""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import BinaryIO, TypeVar

from ..files import remove_tree
from ..oci.digest import Digest, is_hex, split
from . import durable, paths, threads
from .bodies import Body
from .contract import Blob, Missing, Storage, Upload
from .durable import Wish
from .grouping import Grouping
from .incoming import Incoming
from .listing import Listings

T = TypeVar("T")

_MOST = 1 << 20  # bytes of a document
_FIRST = 1024  # bytes that nearly every document has room in


class Filesystem(Storage):
    """Storage below a folder that is there; several servers may use it at once."""

    def __init__(self, folder: str) -> None:
        self._top = os.path.abspath(folder)
        self._repositories = os.path.join(self._top, paths.REPOSITORIES)
        self._grouping = Grouping(durable.Folders(self._top, "/_manifests/tags/"))
        self._incoming = Incoming(self._top, self._grouping)
        self._listings = Listings()

    async def read(self, path: str) -> bytes:
        try:
            fd = os.open(f"{self._repositories}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"there is no {path}") from None
        try:
            data = os.read(fd, _FIRST)
            return data if len(data) < _FIRST else data + os.read(fd, _MOST)
        except IsADirectoryError:
            raise Missing(f"there is no {path}") from None
        finally:
            os.close(fd)

    async def write(self, documents: Sequence[tuple[str, bytes]]) -> None:
        await self._grouping.place(Wish(self._files(documents)))

    async def remove(self, path: str) -> None:
        await threads.run(self._remove, f"{self._repositories}/{path}")

    def _remove(self, path: str) -> None:
        """Remove a document at once, a folder by first giving it a name that nobody looks at."""
        if not os.path.isdir(path):
            durable.unlink(path)
        else:
            trash = os.path.join(self._top, paths.TRASH)
            os.makedirs(trash, exist_ok=True)
            aside = os.path.join(trash, os.urandom(8).hex())
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, aside)
                remove_tree(aside)
        durable.sync(os.path.dirname(path))

    async def modified(self, path: str) -> float:
        try:
            return os.stat(f"{self._repositories}/{path}").st_mtime
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"there is no {path}") from None

    async def renew(self, path: str) -> None:
        try:
            os.utime(f"{self._repositories}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            raise Missing(f"there is no {path}") from None

    async def names(self, folder: str) -> list[str]:
        path = f"{self._repositories}/{folder}"
        found = self._listings.at_hand(path)
        return found if found is not None else await threads.run(self._listings.names, path)

    async def size(self, digest: Digest) -> int:
        try:
            return os.stat(self._data(digest)).st_size
        except FileNotFoundError:
            raise _no_blob(digest) from None

    async def open(self, digest: Digest) -> Blob:
        try:
            return _File(open(self._data(digest), "rb", buffering=0))
        except FileNotFoundError:
            raise _no_blob(digest) from None

    async def put(self, digest: Digest, data: bytes, documents: Sequence[tuple[str, bytes]] = ()) -> None:
        path, files = self._data(digest), self._files(documents)
        if await self.touch([digest]) or await self.size(digest) != len(data):
            await self._grouping.place(Wish([(path, data), *files]))
        else:
            await self._grouping.place(Wish(files, there=[path]))

    def _files(self, documents: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return [(f"{self._repositories}/{path}", data) for path, data in documents]

    async def touch(self, digests: Iterable[Digest]) -> list[Digest]:
        return [digest for digest in digests if not self._touch(digest)]

    def _touch(self, digest: Digest) -> bool:
        try:
            os.utime(self._data(digest))
        except FileNotFoundError:
            return False
        return True

    async def discard(self, digest: Digest, before: float, *, pretend: bool = False) -> int | None:
        return await threads.run(self._discard, digest, before, pretend)

    def _discard(self, digest: Digest, before: float, pretend: bool) -> int | None:
        path = self._data(digest)
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None
        if found.st_mtime >= before:
            return None
        if not pretend:
            os.unlink(path)
            durable.rmdir(os.path.dirname(path))
        return found.st_size

    async def digests(self) -> AsyncIterator[Digest]:
        top = os.path.join(self._top, paths.BLOBS)
        for algorithm in _entries(top):
            for two in _entries(f"{top}/{algorithm}"):
                for encoded in filter(is_hex, await threads.run(_entries, f"{top}/{algorithm}/{two}")):
                    if os.path.exists(f"{top}/{algorithm}/{two}/{encoded}/data"):
                        yield Digest(f"{algorithm}:{encoded}")

    async def begin(self, repository: str, identity: str) -> None:
        self._incoming.begin(repository, identity)

    async def arrived(self, repository: str, identity: str) -> int:
        return self._incoming.arrived(repository, identity)

    async def append(self, repository: str, identity: str, offset: int, body: Body, algorithm: str = "sha256") -> int:
        return await self._incoming.append(repository, identity, offset, body, algorithm)

    async def commit(self, repository: str, identity: str, digest: Digest, links: Sequence[tuple[str, bytes]]) -> int:
        return await self._incoming.commit(repository, identity, digest, links)

    async def cancel(self, repository: str, identity: str) -> None:
        await threads.run(self._incoming.cancel, repository, identity)

    async def uploads(self, repository: str) -> list[Upload]:
        return await threads.run(lambda: list(self._incoming.uploads(repository)))

    @contextlib.asynccontextmanager
    async def pushing(self) -> AsyncIterator[None]:
        fd = await self._hold(fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.close(fd)

    @contextlib.asynccontextmanager
    async def collecting(self) -> AsyncIterator[float]:
        fd = await self._hold(fcntl.LOCK_EX)
        try:
            os.utime(fd)
            yield os.fstat(fd).st_mtime
        finally:
            os.close(fd)

    async def _hold(self, kind: int) -> int:
        """Take the lock between pushes and collection; the gate before it lets neither side starve."""
        gate = self._lock_file("gate")
        try:
            main = self._lock_file("lock")
            try:
                await _lock(gate, kind)
                await _lock(main, kind)
            except BaseException:
                os.close(main)
                raise
            return main
        finally:
            os.close(gate)

    def _lock_file(self, name: str) -> int:
        path = f"{self._top}/{paths.OWN}/{name}"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _data(self, digest: Digest) -> str:
        algorithm, encoded = split(digest)
        return f"{self._top}/{paths.BLOBS}/{algorithm}/{encoded[:2]}/{encoded}/data"


class _File(Blob):
    """A blob as an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    @property
    def file(self) -> BinaryIO | None:
        return self._file

    async def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        self._file.close()


async def _lock(fd: int, kind: int) -> None:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        await threads.run(fcntl.flock, fd, kind)


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _no_blob(digest: Digest) -> Missing:
    return Missing(f"there is no blob {digest}")
