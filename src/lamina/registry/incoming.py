"""Uploads in folders: what has arrived, by whom it is being added to, and how it becomes a blob."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from ..files import remove_tree, write_out
from ..oci import times
from ..oci.digest import Digest, split
from . import durable, paths, threads
from .bodies import Body
from .contract import Busy, Missing, Upload, WrongContent, WrongOffset
from .durable import Move, Wish
from .grouping import Grouping
from .hashing import NOTED, Hashes, Running, leave_note, noted, of_file

if TYPE_CHECKING:
    from hashlib import _Hash

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system calls a storage without room."""

_EAGER = 8 << 20
_SMALL = 256 << 10  # bytes that go to the disk with others' small files


class Incoming:
    """The uploads of a storage's folder; see the contract. What blocks does so for a moment only."""

    def __init__(self, top: str, grouping: Grouping) -> None:
        self._top = top
        self._grouping = grouping
        self._repositories = os.path.join(top, paths.REPOSITORIES)
        self._hashes = Hashes()

    def begin(self, repository: str, identity: str) -> None:
        """Make the folder of an upload; it need not outlive a power cut."""
        folder = self._folder(repository, identity)
        try:
            os.mkdir(folder)
        except FileNotFoundError:
            os.makedirs(folder)
        try:
            _create(f"{folder}/startedat", times.rfc3339(int(time.time()) * 10**9).encode())
            _create(f"{folder}/data", b"")
        except OSError:  # what has no date would never be purged
            remove_tree(folder)
            raise

    def arrived(self, repository: str, identity: str) -> int:
        """Return how many bytes there are."""
        try:
            return os.stat(f"{self._folder(repository, identity)}/data").st_size
        except FileNotFoundError:
            raise _missing(identity) from None

    async def append(self, repository: str, identity: str, offset: int, body: Body, algorithm: str) -> int:
        """Add a piece, hashing and writing in a thread while the next bytes come in."""
        with self._locked(repository, identity) as fd:
            size = os.fstat(fd).st_size
            if size != offset:
                raise WrongOffset(size, offset)
            tail = _Tail(fd, size, self._hashes.take(identity, size, algorithm))
            try:
                await body.pour(tail.write)
            except OSError as error:
                if error.errno in FULL:
                    self._remove(repository, identity)
                raise
            finally:
                if tail.hash is not None:
                    running = Running(algorithm, tail.size, tail.hash)
                    self._hashes.keep(identity, running)
                    if tail.size >= NOTED:
                        leave_note(self._folder(repository, identity), running)
            return tail.size

    async def commit(self, repository: str, identity: str, digest: Digest, links: Sequence[tuple[str, bytes]]) -> int:
        """Verify an upload, move it to its blob's place, and write the links to it."""
        folder = self._folder(repository, identity)
        with self._locked(repository, identity) as fd:
            size = os.fstat(fd).st_size
            found = await self._digest(repository, identity, fd, size, digest)
            if found != digest:
                self._remove(repository, identity)
                raise WrongContent(f"the upload has the digest {found}, not {digest}")
            place = f"{self._top}/{paths.blob(digest)}/data"
            wish = Wish([(f"{self._repositories}/{path}", data) for path, data in links])
            if _is_there(place, size):
                wish = wish._replace(there=[place])
            else:
                os.utime(fd)
                wish = wish._replace(moves=[Move(fd, f"{folder}/data", place)])
                if size > _SMALL:
                    await threads.settle(threads.start(os.fsync, fd))
            await self._grouping.place(wish)
        _remove_committed(folder)
        return size

    def cancel(self, repository: str, identity: str) -> None:
        """Remove an upload."""
        if not os.path.isdir(self._folder(repository, identity)):
            raise _missing(identity)
        self._remove(repository, identity)

    def uploads(self, repository: str) -> Iterator[Upload]:
        """Yield the uploads of a repository that say when they began."""
        folder = os.path.join(self._repositories, paths.uploads(repository))
        with contextlib.suppress(FileNotFoundError):
            for identity in os.listdir(folder):
                with contextlib.suppress(OSError, InvalidArgument, UnicodeDecodeError):
                    with open(f"{folder}/{identity}/startedat") as file:
                        started = times.parse_rfc3339(file.read(64))
                    yield Upload(repository, identity, started / 10**9)

    async def _digest(self, repository: str, identity: str, fd: int, size: int, digest: Digest) -> Digest:
        algorithm = split(digest)[0]
        if known := self._hashes.take(identity, size, algorithm):
            return Digest(f"{algorithm}:{known.hexdigest()}")
        if found := noted(self._folder(repository, identity), size, algorithm):
            return found
        return await threads.settle(threads.start(of_file, fd, digest))

    def _remove(self, repository: str, identity: str) -> None:
        self._hashes.forget(identity)
        remove_tree(self._folder(repository, identity))

    @contextlib.contextmanager
    def _locked(self, repository: str, identity: str) -> Iterator[int]:
        """Open an upload's data for one request alone."""
        path = f"{self._folder(repository, identity)}/data"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _missing(identity) from None
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Busy(f"another request works on the upload {identity}") from error
            if not os.path.exists(path):  # committed or cancelled between open and lock
                raise _missing(identity)
            yield fd
        finally:
            os.close(fd)

    def _folder(self, repository: str, identity: str) -> str:
        return f"{self._repositories}/{paths.upload(repository, identity)}"


class _Tail:
    """The growing end of an upload: `size` and `hash` are those of what is written."""

    def __init__(self, fd: int, size: int, running: "_Hash | None") -> None:
        self._fd = fd
        self._sent = size
        self.size = size
        self.hash = running

    def write(self, piece: memoryview) -> None:
        """Add a piece."""
        try:
            durable.write(self._fd, piece, self.size)
        except OSError:
            self.hash = None
            os.ftruncate(self._fd, self.size)
            raise
        if self.hash is not None:
            self.hash.update(piece)
        self.size += len(piece)
        if self.size - self._sent >= _EAGER:
            write_out(self._fd)
            self._sent = self.size


def _create(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _remove_committed(folder: str) -> None:
    """Remove what an upload leaves behind: most often one file."""
    try:
        os.unlink(f"{folder}/startedat")
        os.rmdir(folder)
    except OSError:
        remove_tree(folder)


def _is_there(path: str, size: int) -> bool:
    """Tell whether a blob is there whole, and let it count as new."""
    try:
        os.utime(path)
        return os.stat(path).st_size == size
    except FileNotFoundError:
        return False


def _missing(identity: str) -> Missing:
    return Missing(f"there is no upload {identity[:80]}")
