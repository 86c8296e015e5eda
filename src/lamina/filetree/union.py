"""What a stack of layers shows, read from their images alone: nothing is mounted or extracted, and no right is needed.

The rules are overlayfs's: the topmost layer that has a name decides, and directories of several layers merge, down to
one that is opaque.
"""

import stat
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ..erofs.reader import Image, Inode
from ..errors import InvalidArgument, NotFound
from ..tar.root import MAX_LINKS, merging

_OPAQUE = b"trusted.overlay.opaque"
_ROOT = Inode(number=0, mode=stat.S_IFDIR | 0o755)
_NOTHING: dict[bytes, bytes] = {}

Merged = list[tuple[int, Inode]]
"""The directories that are one, the topmost first, with the numbers of their layers."""


class File(msgspec.Struct, frozen=True, gc=False):
    """A file, directory or link of a tree.

    Attributes:
        path: clean, from the root of the tree.
        inode: what there is to say of it.
        layer: whose it is, counted from the base.
        target: of a symbolic link.
        xattrs: its attributes by name, without overlayfs's.
    """

    path: bytes
    inode: Inode
    layer: int
    target: bytes = b""
    xattrs: dict[bytes, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of its content; none of a directory."""
        return 0 if self.inode.is_directory else self.inode.size

    @property
    def identity(self) -> tuple[int, int]:
        """The same for all names of one file."""
        return self.layer, self.inode.number


class Union:
    """Images of layers stacked, the base first; they stay their owner's.

    Attributes:
        images: of the layers.
    """

    def __init__(self, images: Sequence[Image]) -> None:
        self.images = images
        self._merged: dict[bytes, Merged] = {
            b"": [(layer, images[layer].root) for layer in reversed(range(len(images)))]
        }

    def find(self, path: bytes, *, follow: bool = True) -> File:
        """Return what a path leads to; links on the way are followed as if the tree's root were `/`.

        Args:
            path: from the root of the tree, with or without a slash before it.
            follow: where it names a symbolic link, go on to what that leads to.

        Raises:
            NotFound: there is nothing.
            InvalidArgument: links lead in a circle.
        """
        at, rest, links = self.root, path.split(b"/")[::-1], 0
        while rest:
            part = rest.pop()
            if part in (b"", b".") and at.inode.is_directory:
                continue
            if part == b".." and at.inode.is_directory:
                at = self._at(at.path.rpartition(b"/")[0])
                continue
            found = self.get(_join(at.path, part)) if at.inode.is_directory else None
            if found is None:
                raise NotFound(f"{shown(path)}: No such file or directory")
            if found.inode.is_symlink and (follow or any(rest)):
                links += 1
                if links > MAX_LINKS:
                    raise InvalidArgument(f"{shown(path)}: Too many levels of symbolic links")
                at = self.root if found.target.startswith(b"/") else at
                rest += found.target.split(b"/")[::-1]
            else:
                at = found
        return at

    @property
    def root(self) -> File:
        """The root of the tree."""
        return File(b"", _ROOT, 0)

    def get(self, path: bytes) -> File | None:
        """Return what is at a clean path, None if there is nothing; links are not followed."""
        above, _, name = path.rpartition(b"/")
        for layer, folder in self._directories(above):
            if (inode := self.images[layer].find(folder, name)) is not None:
                return None if inode.is_whiteout else self._file(path, inode, layer)
        return None

    def names(self, folder: File) -> Iterator[File]:
        """Yield what is in a directory, by name."""
        listed = [(layer, dict(self.images[layer].names(inode))) for layer, inode in self._directories(folder.path)]
        tops = {name: (layer, inode) for layer, names in reversed(listed) for name, inode in names.items()}
        for name, (layer, inode) in sorted(tops.items()) if len(listed) > 1 else tops.items():
            if inode.is_whiteout:
                continue
            path = _join(folder.path, name)
            if inode.is_directory:
                self._merged[path] = self._merge((layer, names.get(name)) for layer, names in listed)
            yield self._file(path, inode, layer)

    def walk(self, folder: File) -> Iterator[File]:
        """Yield all that is below a directory, parents first and names sorted."""
        waiting = [self.names(folder)]
        while waiting:
            file = next(waiting[-1], None)
            if file is None:
                waiting.pop()
                continue
            yield file
            if file.inode.is_directory:
                waiting.append(self.names(file))

    def _at(self, path: bytes) -> File:
        """Return the directory at a path that was come through."""
        found = self.get(path) if path else self.root
        assert found is not None, "it was come through"
        return found

    def _file(self, path: bytes, inode: Inode, layer: int) -> File:
        target, xattrs = b"", _NOTHING
        if inode.is_symlink:
            target = self.images[layer].target(inode)
        if inode.attributes:
            xattrs = self.images[layer].xattrs(inode)
            xattrs.pop(_OPAQUE, None)
        return File(path, inode, layer, target, xattrs)

    def _directories(self, path: bytes) -> Merged:
        """Return the directories that merge at a clean path."""
        return merging(path, self._merged, self._found_below)

    def _found_below(self, path: bytes) -> Merged:
        """Return the directories that merge at a path; those of the one it is in are known."""
        above, _, name = path.rpartition(b"/")
        return self._merge((layer, self.images[layer].find(folder, name)) for layer, folder in self._merged[above])

    def _merge(self, found: Iterable[tuple[int, Inode | None]]) -> Merged:
        """Return the directories that merge, of what the layers have at a path, the topmost first."""
        merged: Merged = []
        for layer, inode in found:
            if inode is None:
                continue
            if not inode.is_directory:
                break
            merged.append((layer, inode))
            if is_opaque(self.images[layer], inode):
                break
        return merged


def is_opaque(image: Image, folder: Inode) -> bool:
    """Tell whether a directory of a layer hides those below."""
    return image.xattrs(folder).get(_OPAQUE) == b"y"


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def shown(path: bytes) -> str:
    """Return a path for a message."""
    return path.decode("utf-8", "backslashreplace")
