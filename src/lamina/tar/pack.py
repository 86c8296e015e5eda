"""Files to a tar stream: the same tree gives the same bytes, on any machine.

Times are whole seconds, owners are numbers, extended attributes are sorted. Left out are sockets, and the
attributes that a machine or an overlay put there for itself. A file with several names is stored under the
first and linked from the others. Whiteouts have the time zero.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import FailedPrecondition
from ..streams import CHUNK
from . import whiteout
from .changes import Change
from .header import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARDLINK,
    REGULAR,
    SYMLINK,
    Entry,
    blocks,
    padding,
)
from .root import Root, open_regular

KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}
"""Type flags by the kinds of `os.stat_result.st_mode`."""

_LOCAL_XATTRS = ("trusted.overlay.", "user.overlay.", "security.selinux", "security.ima", "security.evm")
END = bytes(2 * BLOCK)
"""What ends a tar."""

_SECOND = 1_000_000_000


class Changed(FailedPrecondition):
    """A file got shorter while it was read."""


class Fixed(NamedTuple):
    """What entries get whatever their files have.

    Attributes:
        latest: times after it, in seconds since the epoch, become it (SOURCE_DATE_EPOCH).
        owner: user and group of all.
    """

    latest: int | None = None
    owner: tuple[int, int] | None = None


AS_IS = Fixed()


def pack(changes: Iterable[Change], root: Root, fixed: Fixed = AS_IS) -> Iterator[bytes]:
    """Yield the tar of some changes to a tree, whiteouts for the deleted, in pieces of about a chunk.

    Args:
        changes: in the order of the tar.
        root: the tree; it should not change meanwhile.
        fixed: what all entries get.

    Raises:
        Changed: a file got shorter meanwhile.
        NotRegular: a file became something else.
    """
    links: dict[tuple[int, int], bytes] = {}
    parts: list[bytes] = []
    pending = 0
    for change in changes:
        for data in _member(change, root, links, fixed):
            parts.append(data)
            pending += len(data)
            if pending >= CHUNK:
                yield b"".join(parts)
                parts.clear()
                pending = 0
    parts.append(END)
    yield b"".join(parts)


def _member(change: Change, root: Root, links: dict[tuple[int, int], bytes], fixed: Fixed) -> Iterator[bytes]:
    if change.info is None:
        folder, slash, name = change.path.rpartition(b"/")
        yield blocks(Entry(folder + slash + whiteout.PREFIX + name, mode=0o600))
        return
    if stat.S_ISSOCK(change.info.st_mode):
        return
    folder_fd, name = root.parent(change.path)
    if not stat.S_ISREG(change.info.st_mode):
        yield blocks(entry(change.path, change.info, folder_fd, name, fixed))
        return
    inode = (change.info.st_dev, change.info.st_ino)
    if first := links.get(inode):
        yield blocks(_linked(entry(change.path, change.info, folder_fd, name, fixed), first))
        return
    if change.info.st_nlink > 1:
        links[inode] = change.path
    fd = open_regular(folder_fd, name)
    try:
        info = os.fstat(fd)
        yield blocks(entry(change.path, info, folder_fd, name, fixed))
        yield from _content(fd, info.st_size, change.path)
    finally:
        os.close(fd)


def entry(path: bytes, info: os.stat_result, folder: int, name: bytes, fixed: Fixed = AS_IS) -> Entry:
    """Return the tar entry of a file of a tree, as `pack` writes it."""
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    seconds = info.st_mtime_ns // _SECOND
    result = Entry(
        path + b"/" if kind == DIRECTORY else path,
        kind,
        stat.S_IMODE(info.st_mode),
        *(fixed.owner or (info.st_uid, info.st_gid)),
        info.st_size if kind == REGULAR else 0,
        (seconds if fixed.latest is None else min(seconds, fixed.latest)) * _SECOND,
    )
    if kind == SYMLINK:
        result.linkname = os.readlink(name, dir_fd=folder)
    elif kind in (CHARACTER, BLOCK_DEVICE):
        result.major, result.minor = os.major(info.st_rdev), os.minor(info.st_rdev)
    result.xattrs = _xattrs(folder, name)
    return result


def _linked(result: Entry, first: bytes) -> Entry:
    result.type, result.linkname, result.size = HARDLINK, first, 0
    return result


def _xattrs(folder: int, name: bytes) -> dict[bytes, bytes]:
    path = b"/proc/self/fd/%d/%b" % (folder, name)
    try:
        keys = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    kept = [key for key in keys if not key.startswith(_LOCAL_XATTRS)]
    return {os.fsencode(key): os.getxattr(path, key, follow_symlinks=False) for key in kept}


def _content(fd: int, size: int, path: bytes) -> Iterator[bytes]:
    left = size
    while left:
        data = os.read(fd, min(left, CHUNK))
        if not data:
            raise Changed(f"{os.fsdecode(path)!r} got shorter while it was read")
        left -= len(data)
        yield data
    yield padding(size)
