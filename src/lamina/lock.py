"""Locks that are held for as long as their owner lives, and leases that say what an owner relies on.

All are flock(2) locks on open files or directories: the kernel drops them when the last descriptor goes, so
a killed process leaves none. Descriptors are not inherited by programs that the owner starts.

A lease is a locked directory whose entries are empty files named `<kind>-<id>`: one for each thing that its
owner is making or relies on. Entries are names, not contents, because file systems journal names in order:
an entry made before the thing it names is never lost while the thing is there.

    leases/<16 hex>/layer-<id>
                    snapshot-<id>
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Collection, Iterable, Iterator

from .files import remove_tree


@contextlib.contextmanager
def exclusive(path: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at `path` alone; the file is made if needed.

    Yields:
        True, or without `wait` False when another holds it: the block then runs without the lock.
    """
    with _held(path, fcntl.LOCK_EX, wait=wait) as held:
        yield held


@contextlib.contextmanager
def shared(path: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at `path` together with other sharers; see `exclusive`."""
    with _held(path, fcntl.LOCK_SH, wait=wait) as held:
        yield held


@contextlib.contextmanager
def _held(path: str, kind: int, *, wait: bool) -> Iterator[bool]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield lock_fd(fd, kind, wait=wait)
    finally:
        os.close(fd)


def lock_fd(fd: int, kind: int, *, wait: bool) -> bool:
    """Lock an open file or directory; return whether it is ours now."""
    try:
        fcntl.flock(fd, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


class Lease:
    """A live process's claim on things by kind and id; a context manager that gives all of it up if all went well.

    What a lease names is neither collected nor deleted by others while the owner lives. After a crash the
    directory stays without a lock: `abandoned` finds it, so that what was half made can be taken away.
    """

    def __init__(self, folder: str) -> None:
        while True:
            self.path = os.path.join(folder, os.urandom(8).hex())
            os.mkdir(self.path, 0o700)
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError:
                continue  # a collector was faster than the lock
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:
                return
            os.close(self._fd)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Give all up, unless the block failed: what is still claimed then is left to a collector."""
        if kind is None:
            self.release()
        self.abandon()

    def add(self, kind: str, name: str) -> None:
        """Claim a thing. Call it before the thing is made, or before it is known to be there."""
        os.close(os.open(_entry(kind, name), os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=self._fd))

    def drop(self, kind: str, name: str) -> None:
        """Give one claim up."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_entry(kind, name), dir_fd=self._fd)

    def release(self) -> None:
        """Give all up; a second call does nothing."""
        if self._fd >= 0:
            remove_tree(self.path)
            self.abandon()

    def abandon(self) -> None:
        """Let go; what is claimed is left to a collector."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def claims(self) -> set[tuple[str, str]]:
        """Return all that is claimed, by kind and id."""
        return set(_entries(self.path))


def note(folder: str, entries: Iterable[tuple[str, str]]) -> None:
    """Leave claims that nobody has, for a collector to look at."""
    lease = Lease(folder)
    try:
        for kind, name in entries:
            lease.add(kind, name)
    finally:
        lease.abandon()


def leave(lease: str, kind: str, name: str) -> bool:
    """Put an entry into another process's lease, for it to find; return whether the lease is still there."""
    try:
        os.close(os.open(os.path.join(lease, _entry(kind, name)), os.O_CREAT | os.O_WRONLY, 0o600))
    except FileNotFoundError:
        return False
    return True


def by_lease(folder: str, without: Collection[str] = ()) -> dict[str, set[tuple[str, str]]]:
    """Return the claims of each lease in a folder by its path, but for those at some paths."""
    paths = (os.path.join(folder, name) for name in os.listdir(folder))
    return {path: set(_entries(path)) for path in paths if path not in without}


def claims(folder: str, without: Collection[str] = ()) -> set[tuple[str, str]]:
    """Return all (kind, id) that the leases in a folder name, but for those at some paths."""
    return set().union(*by_lease(folder, without).values())


def live_claims(folder: str) -> set[tuple[str, str]]:
    """Return all (kind, id) that leases name whose owners live."""
    found: set[tuple[str, str]] = set()
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if not lock_fd(fd, fcntl.LOCK_SH, wait=False):
                    found.update(_entries(path))
            finally:
                os.close(fd)
    return found


@contextlib.contextmanager
def abandoned(folder: str) -> Iterator[dict[str, set[tuple[str, str]]]]:
    """Yield the leases whose owner is gone, by path with their claims; they go when the block ends well.

    They are locked meanwhile, so that two collectors never clean up after the same one.
    """
    taken: dict[str, int] = {}
    try:
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                if lock_fd(fd, fcntl.LOCK_EX, wait=False):
                    taken[path] = fd
                else:
                    os.close(fd)
        yield {path: set(_entries(path)) for path in taken}
        for path in taken:
            remove_tree(path)
    finally:
        for fd in taken.values():
            os.close(fd)


def _entry(kind: str, name: str) -> str:
    return f"{kind}-{name}"


def _entries(lease: str) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(lease):
            kind, _, name = entry.partition("-")
            yield kind, name
