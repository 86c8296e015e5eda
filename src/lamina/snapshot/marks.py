"""The marks of overlayfs in a directory that is written to: made by what unpacks there, and read back from it."""

import os
import stat
from typing import Protocol

from ..tar.changes import Place
from ..tar.root import Root, is_whiteout, is_whiteout_inode
from .union import is_opaque


class Shown(Protocol):
    """What the layers show that a directory stands on."""

    def find(self, path: bytes) -> Place | None:
        """Return what is at a clean path."""
        ...

    def names(self, path: bytes) -> set[bytes]:
        """Return the names in a directory; none where there is no directory."""
        ...


class Marks:
    """Whiteouts as overlayfs has them (the contract of `tar.contract.Whiteouts`)."""

    def __init__(self, opaque: bytes) -> None:
        self._opaque = opaque

    def hide(self, root: Root, path: bytes) -> None:
        folder, name = root.parent(path)
        try:
            os.mknod(name, stat.S_IFCHR, dir_fd=folder)
        except FileExistsError:  # the layer itself brings the name: all below is hidden, but under a directory
            if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                self.opaque(root, path)

    def opaque(self, root: Root, path: bytes) -> None:
        if path:
            os.setxattr(b"/proc/self/fd/%d" % root.directory(path), self._opaque, b"y")

    def made(self, root: Root, path: bytes) -> None:
        pass

    def is_ours(self, folder: int, name: bytes) -> bool:
        return not is_whiteout(folder, name)


class Beneath:
    """What a writable tree stands on, seen through its marks (the contract of `tar.changes.Below`)."""

    def __init__(self, root: Root, below: Shown, opaque: bytes) -> None:
        self._root = root
        self._below = below
        self._attribute = opaque
        self._opaque: dict[bytes, bool] = {b"": False}

    def find(self, path: bytes) -> Place | None:
        return self._below.find(path)

    def visible(self, path: bytes) -> Place | None:
        """Return what shows from below at a clean path where the tree itself has nothing."""
        return None if self._is_opaque(path.rpartition(b"/")[0]) else self._below.find(path)

    def gone(self, path: bytes, names: list[bytes]) -> list[bytes]:
        folder = self._root.directory(path)
        marked = {name for name in names if is_whiteout_inode(os.lstat(name, dir_fd=folder))}
        if not self._is_opaque(path):
            return [name for name in marked if self._below.find(path + b"/" + name if path else name)]
        return list(self._below.names(path).difference(set(names) - marked))

    def is_mark(self, info: os.stat_result) -> bool:
        return is_whiteout_inode(info)

    def _is_opaque(self, path: bytes) -> bool:
        """Tell whether a directory, or one it is in, hides those below."""
        unknown: list[bytes] = []
        while (known := self._opaque.get(path)) is None:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        for inner in reversed(unknown):
            above, _, name = inner.rpartition(b"/")
            known = known or is_opaque(self._root.directory(above), name, self._attribute)
            self._opaque[inner] = known
        return known
