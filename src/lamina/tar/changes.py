"""What a tree shows that the layers below it do not, and what it hides of them.

A change has Docker's kinds. Parents of a change are reported as modified, before it; in a directory deletions
come first, as layers want them (image-spec, layer.md), and names are sorted.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol

import msgspec

from .root import NotBelow, Root

_CAPABILITY = "security.capability"
_SECOND = 1_000_000_000


class Kind(IntEnum):
    """Docker's numbers; their letters are C, A and D."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2

    @property
    def letter(self) -> str:
        """The letter that `diff` prints."""
        return "CAD"[self]


class Change(msgspec.Struct, frozen=True):
    """One path that differs; `info` is its lstat in the tree, None where it is deleted."""

    kind: Kind
    path: bytes
    info: os.stat_result | None = None


class Place(msgspec.Struct, frozen=True):
    """Something found: the folder's descriptor, valid until the next look-up, its name there, its lstat."""

    folder: int
    name: bytes
    info: os.stat_result


class Below(Protocol):
    """What a tree stands on."""

    def find(self, path: bytes) -> Place | None:
        """Return what the layers below show at a clean path, whether the tree hides it or not."""
        ...

    def gone(self, path: bytes, names: list[bytes]) -> list[bytes]:
        """Return the names that the layers below show in a directory and the tree does not.

        `names` are those in the tree's directory, marks included; the directory is in both.
        """
        ...

    def is_mark(self, info: os.stat_result) -> bool:
        """Tell whether an inode of the tree stands for an absence, not for a file."""
        ...


class Tree:
    """Another whole tree, as what lies below (the contract of `Below`)."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def find(self, path: bytes) -> Place | None:
        try:
            folder, name = self._root.parent(path)
            return Place(folder, name, os.lstat(name, dir_fd=folder))
        except (FileNotFoundError, NotADirectoryError, NotBelow):
            return None

    def names(self, path: bytes) -> set[bytes]:
        """Return the names in a directory; none where there is no directory."""
        try:
            return set(self._root.names(path))
        except (FileNotFoundError, NotADirectoryError, NotBelow):
            return set()

    def gone(self, path: bytes, names: list[bytes]) -> list[bytes]:
        return sorted(self.names(path).difference(names))

    def is_mark(self, info: os.stat_result) -> bool:
        return False


class _Folder(msgspec.Struct):
    """A directory on the way down; `reported` once it or something in it was."""

    path: bytes
    info: os.stat_result | None
    todo: list[bytes]
    below: bool
    reported: bool


def everything(root: Root) -> Iterator[Change]:
    """Yield all of a tree as added; of what is mounted on a directory of it only that directory."""
    device = os.fstat(root.fd).st_dev
    mounted = root.walk(prune=lambda path: os.fstat(root.directory(path)).st_dev != device)
    return (Change(Kind.ADDED, path, info) for path, _, _, info in mounted)


def changes(root: Root, below: Below) -> Iterator[Change]:
    """Yield what differs between a tree and what is below it.

    Files that go while they are looked at are passed over: the tree may be in use.
    """
    way: list[_Folder] = []
    yield from _enter(way, root, below, _Folder(b"", None, [], below=True, reported=True))
    while way:
        folder = way[-1]
        if not folder.todo:
            way.pop()
            continue
        name = folder.todo.pop()
        path = folder.path + b"/" + name if folder.path else name
        with contextlib.suppress(FileNotFoundError):
            info = os.lstat(name, dir_fd=root.directory(folder.path))
            if below.is_mark(info):
                continue
            old = below.find(path) if folder.below else None
            kind = Kind.ADDED if old is None else _compare(root, path, info, old)
            if kind is not None:
                yield from _report(way)
                yield Change(kind, path, info)
            if stat.S_ISDIR(info.st_mode):
                merged = old is not None and stat.S_ISDIR(old.info.st_mode)
                inner = _Folder(path, info, [], below=merged, reported=kind is not None)
                yield from _enter(way, root, below, inner)


def _enter(way: list[_Folder], root: Root, below: Below, folder: _Folder) -> Iterator[Change]:
    names = root.names(folder.path)
    folder.todo = sorted(names, reverse=True)
    way.append(folder)
    if folder.below and (gone := below.gone(folder.path, names)):
        yield from _report(way)
        for name in sorted(gone):
            yield Change(Kind.DELETED, folder.path + b"/" + name if folder.path else name)


def _report(way: list[_Folder]) -> Iterator[Change]:
    """Yield the directories that lead to a change and were not reported yet."""
    first = len(way)
    while not way[first - 1].reported:
        first -= 1
    for folder in way[first:]:
        folder.reported = True
        yield Change(Kind.MODIFIED, folder.path, folder.info)


def _compare(root: Root, path: bytes, info: os.stat_result, old: Place) -> Kind | None:
    if differ(info, old.info):
        return Kind.MODIFIED
    if stat.S_ISREG(info.st_mode):
        folder, name = root.parent(path)
        if _capability(folder, name) != _capability(old.folder, old.name):
            return Kind.MODIFIED
    return None


def differ(new: os.stat_result, old: os.stat_result) -> bool:
    """Tell whether two inodes differ in what a layer records.

    By Docker's rule times of directories do not count, and a time without a fraction is equal to any within
    its second.
    """
    if (new.st_mode, new.st_uid, new.st_gid, new.st_rdev) != (old.st_mode, old.st_uid, old.st_gid, old.st_rdev):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return new.st_size != old.st_size or not _same_time(new.st_mtime_ns, old.st_mtime_ns)


def _same_time(new: int, old: int) -> bool:
    if new == old:
        return True
    return new // _SECOND == old // _SECOND and (new % _SECOND == 0 or old % _SECOND == 0)


def _capability(folder: int, name: bytes) -> bytes:
    try:
        return os.getxattr(b"/proc/self/fd/%d/%b" % (folder, name), _CAPABILITY, follow_symlinks=False)
    except OSError:
        return b""
