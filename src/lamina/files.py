"""Files and folders that appear whole or not at all, and trees that go away.

Every step here is durable when its call returns: the bytes, the name, and the folder that holds the name.
"""

import contextlib
import errno
import functools
import io
import os
import select
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import ctypes

    from _typeshed import ReadableBuffer

EAGER = 16 << 20
"""Bytes of a new file after which they are sent on their way to the disk."""

_SYNC_FILE_RANGE_WRITE = 2
_WANTS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)
_IN_CHANGES = 0x2 | 0x80 | 0x100 | 0x200 | 0x400  # modify, moved to, create, delete, the folder itself deleted


def fsync(path: str) -> None:
    """Make the file or directory at `path` durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def replacing(path: str, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends well, in one durable step.

    The bytes are on disk before the name is; a failing block leaves `path` as it was and no other file.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".tmp-{name}{os.urandom(4).hex()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with io.BufferedWriter(_Eager(fd, "w")) as file:
            yield file
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    fsync(folder)


def replace(path: str, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `path` in one durable step; see `replacing`."""
    with replacing(path, mode) as file:
        file.write(data)


def eager(path: str, mode: int = 0o600) -> BinaryIO:
    """Open a new file to write, whose bytes are on their way to the disk long before somebody waits for them."""
    return io.BufferedWriter(_Eager(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w"))


class _Eager(io.FileIO):
    """A file that sends its bytes on their way to the disk."""

    _new = 0

    def write(self, data: "ReadableBuffer", /) -> int:
        count = super().write(data)
        self._new += count
        if self._new >= EAGER:
            write_out(self.fileno())
            self._new = 0
        return count


def is_want(error: BaseException) -> bool:
    """Tell whether there was no descriptor, memory or room left for something: that says nothing of the file."""
    return isinstance(error, OSError) and error.errno in _WANTS


def is_unread(error: BaseException | None) -> bool:
    """Tell whether the disk did not give something now; another time it may."""
    return isinstance(error, OSError) and error.errno == errno.EIO


def open_regular(path: str) -> int:
    """Open a regular file to read, and return its descriptor; a pipe in its place is not waited for.

    Raises:
        OSError: it is something else, or not there.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "no regular file", path)
    return fd


def write_out(fd: int) -> None:
    """Start to bring an open file's bytes to the disk, and do not wait: a hint (sync_file_range(2))."""
    import ctypes  # noqa: PLC0415 - only for those who write

    libc().sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)


def syncfs(path: str) -> None:
    """Make all that was written to the file system of `path` durable (syncfs(2))."""
    import ctypes  # noqa: PLC0415 - only for those who write

    fd = os.open(path, os.O_RDONLY)
    try:
        if libc().syncfs(fd):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(fd)


def file_system(path: bytes) -> int:
    """Return the kind of file system that a path is on, as its magic number; 0 if it cannot be told (statfs(2))."""
    import ctypes  # noqa: PLC0415 - only for those who build

    answer = ctypes.create_string_buffer(256)  # more than struct statfs has on any machine; its kind comes first
    return 0 if libc().statfs(path, answer) else ctypes.c_long.from_buffer(answer).value


@contextlib.contextmanager
def watched(folder: str) -> Iterator[Callable[..., None]]:
    """Watch the files in a folder; yield what waits until one has changed, or some seconds have gone by (inotify(7)).

    It takes the seconds, None for no bound, and descriptors that may become readable instead. Changes count from here
    on: whoever looks, waits and looks again misses none.
    """
    fd = libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        raise OSError(errno.EMFILE, "cannot watch files", folder)
    try:
        libc().inotify_add_watch(fd, os.fsencode(folder), _IN_CHANGES)

        def changed(patience: float | None, *others: int) -> None:
            if fd in select.select([fd, *others], [], [], patience)[0]:
                os.read(fd, 1 << 16)

        yield changed
    finally:
        os.close(fd)


def chmod(name: bytes, mode: int, dir_fd: int) -> None:
    """Set the mode of a file in a directory; a link is not followed, also one that just took the file's place."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(b"/proc/self/fd/%d" % fd, mode)
    finally:
        os.close(fd)


@functools.cache
def libc() -> "ctypes.CDLL":
    """Return the C library, for the calls that Python has not."""
    import ctypes  # noqa: PLC0415

    return ctypes.CDLL(None, use_errno=True)


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove a file or a directory with all below it; what is absent already is no error.

    Symbolic links are never followed. Depth costs neither descriptors nor recursion: a directory is left by
    its `..`, whose identity is checked against the one it was entered from.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path, dir_fd=dir_fd).st_mode):
            os.unlink(path, dir_fd=dir_fd)
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    _empty(fd)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path, dir_fd=dir_fd)


def _empty(fd: int) -> None:
    """Remove all below the directory `fd`, and close it."""
    above: list[tuple[bytes, int, int, list[bytes]]] = []  # the current one's name; of its parent device, inode, left
    try:
        left = _unlink_files(fd)
        while True:
            if left:
                here, inner = os.fstat(fd), left.pop()
                try:
                    below = os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                except FileNotFoundError:
                    continue
                above.append((inner, here.st_dev, here.st_ino, left))
                fd = _swap(fd, below)
                left = _unlink_files(fd)
            elif above:
                name, device, inode, left = above.pop()
                below = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
                parent = os.fstat(below)
                if (parent.st_dev, parent.st_ino) != (device, inode):
                    os.close(below)
                    raise OSError(f"directory moved while it was being removed: {os.fsdecode(name)}")
                with contextlib.suppress(FileNotFoundError):  # another one removes it too
                    os.rmdir(name, dir_fd=below)
                fd = _swap(fd, below)
            else:
                return
    finally:
        os.close(fd)


def _swap(old: int, new: int) -> int:
    os.close(old)
    return new


def _unlink_files(fd: int) -> list[bytes]:
    """Remove the files and empty directories in a directory; return the names of the directories that are left."""
    left: list[bytes] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if not entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)
                continue
            try:
                os.rmdir(name, dir_fd=fd)
            except OSError:
                left.append(name)
    return left
