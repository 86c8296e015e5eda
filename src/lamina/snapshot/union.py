"""What a stack of overlay layers shows, computed without a mount.

The rules are the kernel's (overlayfs.rst): the topmost layer that has a name decides; directories of several
layers merge, down to one that is opaque; a character device 0:0 stands for an absence.
"""

import errno
import os
import stat

from ..tar.changes import Place
from ..tar.root import Root, is_whiteout_inode, merging

_OPEN_AT_ONCE = 256
"""Directories of all layers together; two of a layer at least."""


class Union:
    """Directories stacked, the topmost first; a context manager (the contract of `tar.changes.Below`)."""

    def __init__(self, folders: list[str], opaque: bytes) -> None:
        self._roots = [Root(folder, max(2, _OPEN_AT_ONCE // len(folders))) for folder in folders]
        self._opaque = opaque
        self._merged: dict[bytes, list[int]] = {b"": list(range(len(folders)))}

    def __enter__(self) -> "Union":
        return self

    def __exit__(self, *exc: object) -> None:
        for root in self._roots:
            root.close()

    def find(self, path: bytes) -> Place | None:
        """Return what the stack shows at a clean path."""
        above, _, name = path.rpartition(b"/")
        for index in self._directories(above):
            folder = self._roots[index].directory(above)
            try:
                info = os.lstat(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            return None if is_whiteout_inode(info) else Place(folder, name, info)
        return None

    def names(self, path: bytes) -> set[bytes]:
        """Return the names that the stack shows in a directory; none where it shows no directory."""
        shown: set[bytes] = set()
        decided: set[bytes] = set()
        for index in self._directories(path):
            root = self._roots[index]
            for name in root.names(path):
                if name not in decided:
                    decided.add(name)
                    if not is_whiteout_inode(os.lstat(name, dir_fd=root.directory(path))):
                        shown.add(name)
        return shown

    def _directories(self, path: bytes) -> list[int]:
        """Return the layers whose directories merge at a clean path, the topmost first."""
        return merging(path, self._merged, self._merge)

    def _merge(self, path: bytes) -> list[int]:
        """Find out the layers of one directory; those of the one it is in are known."""
        above, _, name = path.rpartition(b"/")
        merged: list[int] = []
        for index in self._merged[above]:
            folder = self._roots[index].directory(above)
            try:
                info = os.lstat(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(info.st_mode):
                break
            merged.append(index)
            if is_opaque(folder, name, self._opaque):
                break
        return merged


def is_opaque(folder: int, name: bytes, attribute: bytes) -> bool:
    """Tell whether a directory hides those below it."""
    try:
        return os.getxattr(b"/proc/self/fd/%d/%b" % (folder, name), attribute, follow_symlinks=False) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
