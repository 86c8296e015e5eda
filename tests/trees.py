"""Trees as values that compare: every inode's type, mode, owner, times, content, links and attributes."""

import hashlib
import os
import stat
from typing import NamedTuple


class Node(NamedTuple):
    kind: str
    mode: int
    owner: tuple[int, int]
    mtime: int  # nanoseconds; 0 for directories where they are not compared
    content: str  # of a file its digest, of a link its target, of a device its numbers
    xattrs: tuple[tuple[str, bytes], ...]
    names: tuple[str, ...]  # the other names of the same inode


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def read(folder: str | int, *, directory_times: bool = True, local: bool = False) -> dict[str, Node]:
    """Return all inodes below a folder by path; `local` keeps the marks of overlayfs in the attributes."""
    top = os.open(folder, os.O_RDONLY) if not isinstance(folder, int) else os.open(".", os.O_RDONLY, dir_fd=folder)
    try:
        inodes: dict[tuple[int, int], list[str]] = {}
        found: list[tuple[str, str, os.stat_result]] = []
        for base, folders, files, _ in os.fwalk(".", dir_fd=top):
            for name in folders + files:
                path = os.path.normpath(os.path.join(base, name))
                info = os.lstat(path, dir_fd=top)
                inodes.setdefault((info.st_dev, info.st_ino), []).append(path)
                found.append((path, f"/proc/self/fd/{top}/{path}", info))
        return {
            path: _node(place, info, inodes[info.st_dev, info.st_ino], path, directory_times, local)
            for path, place, info in sorted(found, key=lambda item: item[0])
        }
    finally:
        os.close(top)


def _node(place: str, info: os.stat_result, names: list[str], path: str, directory_times: bool, local: bool) -> Node:
    kind = _KINDS[stat.S_IFMT(info.st_mode)]
    content = ""
    if kind == "file":
        with open(place, "rb") as f:
            content = hashlib.file_digest(f, "sha256").hexdigest()
    elif kind == "symlink":
        content = os.readlink(place)
    elif kind in ("character", "block"):
        content = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    keys = [key for key in os.listxattr(place, follow_symlinks=False) if local or ".overlay." not in key]
    xattrs = tuple((key, os.getxattr(place, key, follow_symlinks=False)) for key in sorted(keys))
    mtime = info.st_mtime_ns if kind != "directory" or directory_times else 0
    others = tuple(sorted(set(names) - {path})) if kind != "directory" else ()
    return Node(kind, stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid), mtime, content, xattrs, others)
