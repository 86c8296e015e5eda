"""Blobs of layers on their way in: what has come of one stays, so that a later pull goes on there.

    partial/<algorithm>-<hex>    the beginning of a blob, or all of it; locked by whoever brings it in

Nothing here is verified before the whole blob is: after a power cut the end of a file may be anything. A file whose
owner is gone may be removed by anybody.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator

from ..files import write_out
from ..lock import lock_fd
from ..oci import digest
from ..oci.digest import Digest
from ..streams import CHUNK, Reader
from .policy import Policy

EAGER = 16 << 20
"""Bytes after which a file is sent on its way to the disk."""


class Partial:
    """The file of one blob, locked as long as it is open."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return os.fstat(self._fd).st_size

    def read(self, size: int, offset: int) -> bytes:
        """Return bytes that have come."""
        return os.pread(self._fd, size, offset)

    def append(self, data: bytes) -> None:
        """Take bytes that have come now."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def write_out(self) -> None:
        """Send it on its way to the disk."""
        write_out(self._fd)

    def clear(self, size: int = 0) -> None:
        """Forget what has come, or what has come beyond a size."""
        if self.size > size:
            os.ftruncate(self._fd, size)

    def remove(self) -> None:
        """Be no more: the blob is in."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def move(self, path: str) -> None:
        """Become a file of somebody else's, on the same file system."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.fsync(self._fd)
        os.fchmod(self._fd, 0o644)
        os.rename(self.path, path)

    def close(self) -> None:
        """Leave it to others."""
        os.close(self._fd)


class Partials:
    """The blobs on their way in."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def held(self, blobs: Iterable[Digest], waiting: Callable[[Digest], None]) -> Iterator[dict[Digest, Partial]]:
        """Have the files of some blobs alone for a block; `waiting` hears of one that another process has.

        All take theirs in the same order, so that no two wait for each other.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, 0o700)
        with contextlib.ExitStack() as stack:
            found: dict[Digest, Partial] = {}
            for blob in sorted(set(blobs)):
                found[blob] = _locked(self._path(blob), lambda blob=blob: waiting(blob))  # type: ignore[misc]
                stack.callback(found[blob].close)
            try:
                yield found
            finally:
                for partial in found.values():
                    if not partial.size:
                        partial.remove()

    def prune(self, policy: Policy, *, every: bool = False) -> list[tuple[Digest, int]]:
        """Remove those that are too old or too much, or all, but for those being brought in; return them."""
        gone: list[tuple[Digest, int]] = []
        left = 0 if every else policy.partial
        for blob, size, changed in sorted(self.list(), key=lambda found: -found[2]):
            left -= size
            if left >= 0 and not every and time.time() - changed < policy.age:
                continue
            if _removed(self._path(blob)):
                gone.append((blob, size))
        return gone

    def drop(self, blobs: Iterable[Digest]) -> None:
        """Remove those of some blobs that are not wanted any more, but for those being brought in."""
        wanted = set(blobs)
        for blob, *_ in self.list():
            if blob in wanted:
                _removed(self._path(blob))

    def list(self) -> Iterator[tuple[Digest, int, float]]:
        """Yield digest, bytes and the time of the last change of each."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                with contextlib.suppress(FileNotFoundError, digest.InvalidDigest):
                    found = os.stat(os.path.join(self._folder, name))
                    yield digest.parse(name.replace("-", ":", 1)), found.st_size, found.st_mtime

    def _path(self, blob: Digest) -> str:
        return os.path.join(self._folder, blob.replace(":", "-"))


class Arriving:
    """A reader of a blob: what has come already, then the rest from its source, which is kept as it comes.

    Its bytes are not verified here.
    """

    def __init__(self, partial: Partial, source: Reader, begin: int) -> None:
        self._partial = partial
        self._source = source
        self._begin = begin
        self._at = 0
        self._new = 0

    def read(self, size: int = -1, /) -> bytes:
        size = CHUNK if size < 0 else size
        if self._at < self._begin:
            data = self._partial.read(min(size, self._begin - self._at), self._at)
        else:
            data = self._source.read(size)
            self._partial.append(data)
            self._new += len(data)
            if self._new >= EAGER:
                self._partial.write_out()
                self._new = 0
        self._at += len(data)
        return data


def _locked(path: str, waiting: Callable[[], None]) -> Partial:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not lock_fd(fd, fcntl.LOCK_EX, wait=False):
                waiting()
                lock_fd(fd, fcntl.LOCK_EX, wait=True)
            if _is(path, fd):
                return Partial(path, fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _removed(path: str) -> bool:
    """Remove a file unless somebody has it; return whether that was done."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not lock_fd(fd, fcntl.LOCK_EX, wait=False) or not _is(path, fd):
            return False
        os.unlink(path)
        return True
    finally:
        os.close(fd)


def _is(path: str, fd: int) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False
