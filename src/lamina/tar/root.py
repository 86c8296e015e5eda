"""Names below a directory, resolved so that no name, link or race leads outside of it.

A path is followed one component at a time from the directory's descriptor, never through a symbolic link the
kernel follows: where a component is a link, its text is resolved here, as if the directory were `/`. What is
opened is always below the directory, also while another process swaps links.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import chain
from types import TracebackType
from typing import TypeVar

from ..errors import FailedPrecondition, InvalidArgument

T = TypeVar("T")

MAX_MADE = 256 << 20
"""The most bytes that the paths of directories may have which one `Root` makes on the way to others."""

_OPEN = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_LINKS = 40
"""Symbolic links followed for one path: as many as Linux follows (path_resolution(7))."""

MAX_STEPS = 200_000
"""Directories opened to follow one path: more than any tree is deep."""

_NO_DIRECTORY = (errno.ELOOP, errno.ENOTDIR)
_NO_LINK = (errno.ENOENT, errno.EINVAL)


class Breakout(InvalidArgument):
    """A name leads out of the tree it belongs to."""

    def __init__(self, name: bytes) -> None:
        super().__init__(f"{os.fsdecode(name[:200])!r} is outside of the tree")


class NotBelow(InvalidArgument):
    """A name's parent is not a directory."""


class NotRegular(FailedPrecondition):
    """Something else took the place of a regular file."""

    def __init__(self, name: bytes) -> None:
        super().__init__(f"{os.fsdecode(name[:200])!r} is no regular file any more")


def open_regular(folder: int, name: bytes) -> int:
    """Open a regular file in a directory to read. A pipe is not waited for, and a device not touched.

    Raises:
        NotRegular: something else has the name.
    """
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise NotRegular(name)
        return os.open(b"/proc/self/fd/%d" % place, os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(place)


def clean(name: bytes) -> bytes:
    """Return a name relative to the root, without `.`, `..`, double and outer slashes; the root is empty.

    Raises:
        Breakout: it leads above the root, or holds a NUL byte.
    """
    name = name.removeprefix(b"./").strip(b"/")
    if b"/." not in name and b"//" not in name and not name.startswith(b".") and b"\0" not in name:
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise Breakout(name)
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    if b"\0" in name:
        raise Breakout(name)
    return b"/".join(parts)


def prefixes(path: bytes) -> Iterator[bytes]:
    """Yield the directories that lead to a clean path, the outermost first."""
    at = -1
    while (at := path.find(b"/", at + 1)) >= 0:
        yield path[:at]


def merging(path: bytes, known: dict[bytes, list[T]], merge: Callable[[bytes], list[T]]) -> list[T]:
    """Return the directories of several trees that are one at a clean path: nothing where there is none.

    Args:
        path: where.
        known: what was found before, by path: at the root in any case. What is found on the way is added.
        merge: finds it at a path, of which the directory above is known.
    """
    found = known.get(path)
    if found is None:
        way = [path] if known.get(path.rpartition(b"/")[0]) else chain(prefixes(path), [path])
        for inner in way:
            found = known.get(inner)
            if found is None:
                found = known[inner] = merge(inner)
            if not found:  # there is nothing further down
                break
    return found or []


class Root:
    """The directories below one, opened by clean path and kept open, a bounded number at a time.

    A context manager; the descriptors it returns are its own, and valid until the next call.
    """

    def __init__(self, path: str | bytes | int, max_open: int = 64) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if not isinstance(path, int) else os.dup(path)
        self._open: dict[bytes, int] = {}
        self._max_open = max_open
        self._real: dict[bytes, bytes] = {}
        self._made = 0
        self.made: list[bytes] = []
        """Clean paths of the directories that were made because something belongs below them."""
        self.covering: list[bytes] = []
        """Those of them that took the place of something that does not count."""
        self.counts: Callable[[int, bytes], bool] = _always
        """Whether a file or link at a name in a directory is there, for whoever follows paths."""

    def __enter__(self) -> "Root":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give all descriptors back."""
        self.forget()
        os.close(self.fd)

    def forget(self) -> None:
        """Close the directories kept open: call it before one of them is moved or removed."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()
        self._real.clear()

    def detour(self, path: bytes) -> bytes | None:
        """Return where the directory at a clean path really is, if links led there when it was last opened."""
        return self._real.get(path)

    def parent(self, path: bytes, *, make: bool = False) -> tuple[int, bytes]:
        """Return a descriptor of the directory that holds a clean path, and the last component.

        With `make`, directories that are missing are made (mode 0755) and noted in `made`.

        Raises:
            FileNotFoundError: a directory is missing, without `make`.
            NotBelow: a component is no directory, or links lead in a circle.
        """
        folder, _, name = path.rpartition(b"/")
        return self.directory(folder, make=make), name

    def directory(self, path: bytes, *, make: bool = False) -> int:
        """Return a descriptor (O_PATH) of the directory at a clean path; see `parent`."""
        if not path:
            return self.fd
        fd = self._open.get(path)
        if fd is not None:
            return fd
        fd = self._step(path)
        if fd < 0:
            fd = self._walk(path, make)
        self._keep(path, fd)
        return fd

    def _keep(self, path: bytes, fd: int) -> None:
        """Keep a directory open, in the place of the one that was opened first."""
        while len(self._open) >= self._max_open:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
            self._real.pop(oldest, None)
        if (before := self._open.pop(path, -1)) >= 0:
            os.close(before)
        self._open[path] = fd

    def follow(self, path: bytes) -> bytes:
        """Return the clean path that a link at a clean path leads to; the path itself where no link is.

        What it leads to need not be there. `..` at the root stays there, as in a container.

        Raises:
            NotBelow: links lead in a circle.
        """
        for _ in range(MAX_LINKS):
            above = path.rpartition(b"/")[0]
            try:
                folder, name = self.parent(path)
                target = os.readlink(name, dir_fd=folder)
            except NotBelow:
                return path
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                return path
            if not target.startswith(b"/"):
                target = self._real.get(above, above) + b"/" + target
            path = _clamped(target)
        raise NotBelow(f"{os.fsdecode(path)!r}: too many symbolic links")

    def _step(self, path: bytes) -> int:
        """Open a directory from the one it is in, if that one is open; return -1 where it takes more."""
        above, _, last = path.rpartition(b"/")
        base = self._open.get(above, -1) if above else self.fd
        if base < 0:
            return -1
        try:
            fd = os.open(last, _OPEN, dir_fd=base)
        except OSError:  # a link, or missing
            return -1
        if above in self._real:
            self._real[path] = self._real[above] + b"/" + last
        return fd

    def walk(
        self, path: bytes = b"", prune: Callable[[bytes], bool] | None = None
    ) -> Iterator[tuple[bytes, int, bytes, os.stat_result]]:
        """Yield all below a directory, parents first and names sorted: clean path, folder, name, lstat.

        Links are not followed. Neither depth nor width costs more than the names of the open directories.

        Args:
            path: of the directory.
            prune: tells whether to stay out of a directory below it.
        """
        todo = [(path, sorted(self.names(path), reverse=True))]
        while todo:
            above, names = todo[-1]
            if not names:
                todo.pop()
                continue
            name = names.pop()
            inner = above + b"/" + name if above else name
            folder = self.directory(above)
            info = os.lstat(name, dir_fd=folder)
            yield inner, folder, name, info
            if stat.S_ISDIR(info.st_mode) and not (prune and prune(inner)):
                todo.append((inner, sorted(self.names(inner), reverse=True)))

    def names(self, path: bytes) -> list[bytes]:
        """Return the names in the directory at a clean path."""
        fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory(path))
        try:
            return [os.fsencode(name) for name in os.listdir(fd)]
        except OSError as error:
            error.filename = path or b"."  # which was the descriptor
            raise
        finally:
            os.close(fd)

    def _walk(self, path: bytes, make: bool) -> int:
        """Open a directory component by component, and keep the last ones on the way open."""
        todo = path.split(b"/")[::-1]
        keep = self._max_open // 2  # whoever climbs the way back finds them
        done = b""  # where `fd` is
        links = steps = 0
        fd = os.dup(self.fd)
        try:
            while todo:
                part = todo.pop()
                steps += 1 if part != b".." else done.count(b"/")
                if steps > MAX_STEPS:
                    raise NotBelow(f"{os.fsdecode(path[:200])!r}: the way is too long")
                if part == b"..":
                    done = done.rpartition(b"/")[0]
                    fd = _swap(fd, self._reopen(done))
                    continue
                try:
                    inner = self._enter(fd, part, done, make)
                except OSError as error:
                    if error.errno not in _NO_DIRECTORY:
                        raise
                    links += 1
                    target = self._link(fd, part, path, links)
                    if target.startswith(b"/"):
                        done = b""
                        fd = _swap(fd, os.dup(self.fd))
                    todo += [piece for piece in target.split(b"/")[::-1] if piece not in (b"", b".")]
                    continue
                fd = _swap(fd, inner)
                done = _join(done, part)
                if not links and 0 < len(todo) < keep:
                    self._keep(done, os.dup(fd))
            if links:
                self._real[path] = done
            return os.dup(fd)
        finally:
            os.close(fd)

    def _enter(self, fd: int, part: bytes, done: bytes, make: bool) -> int:
        try:
            return os.open(part, _OPEN, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
        except OSError as error:
            if error.errno not in _NO_DIRECTORY or self.counts(fd, part):
                raise
            if not make:
                raise FileNotFoundError from error
            os.unlink(part, dir_fd=fd)
            self.covering.append(_join(done, part))
        os.mkdir(part, 0o755, dir_fd=fd)
        os.chmod(part, 0o755, dir_fd=fd)  # whatever the caller's umask: the mode goes into digests
        self._note(_join(done, part))
        return os.open(part, _OPEN, dir_fd=fd)

    def _note(self, path: bytes) -> None:
        self._made += len(path)
        if self._made > MAX_MADE:
            raise NotBelow(f"{os.fsdecode(path[:200])!r}: too many directories without an entry of their own")
        self.made.append(path)

    def _reopen(self, done: bytes) -> int:
        fd = os.dup(self.fd)
        try:
            for part in done.split(b"/") if done else ():
                fd = _swap(fd, os.open(part, _OPEN, dir_fd=fd))
            return os.dup(fd)
        finally:
            os.close(fd)

    def _link(self, fd: int, part: bytes, path: bytes, links: int) -> bytes:
        try:
            target = os.readlink(part, dir_fd=fd)
        except OSError as error:
            raise NotBelow(f"{os.fsdecode(path)!r}: {os.fsdecode(part)!r} is not a directory") from error
        if links > MAX_LINKS:
            raise NotBelow(f"{os.fsdecode(path)!r}: too many symbolic links")
        return target


def _always(_fd: int, _name: bytes) -> bool:
    return True


def _clamped(path: bytes) -> bytes:
    """Return a clean path; what would lead above the root stays at it."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _swap(old: int, new: int) -> int:
    os.close(old)
    return new


def is_whiteout(fd: int, name: bytes) -> bool:
    """Tell whether `name` in a directory is an overlay whiteout."""
    with contextlib.suppress(OSError):
        return is_whiteout_inode(os.lstat(name, dir_fd=fd))
    return False


def is_whiteout_inode(info: os.stat_result) -> bool:
    """Tell whether an inode is an overlay whiteout: a character device 0:0 (the kernel's overlayfs.rst)."""
    return info.st_rdev == 0 and stat.S_ISCHR(info.st_mode)
