"""What a stack of layers shows, read from their indexes alone: nothing is mounted or extracted, and no right is needed.

The rules are those of the image specification (layer.md, Applying Changesets), and overlayfs's where layers meet: the
topmost layer that has a name decides; directories of several layers merge, down to one that is opaque, and a directory
that a layer only implies is described by the one below it, also where it hides what that holds.
"""

import stat
from collections.abc import Iterator, Sequence

import msgspec

from ..errors import InvalidArgument, NotFound
from ..tar.root import MAX_LINKS
from .index import Index, Node

_ROOT = Node(stat.S_IFDIR | 0o755)


class File(msgspec.Struct, frozen=True, gc=False):
    """A file, directory or link of a tree.

    Attributes:
        path: clean, from the root of the tree.
        node: what there is to say of it.
        layer: whose it is, counted from the base.
        place: where that layer has it: another path for a link to a file of a lower layer.
        link: the layer and the number of the entry that links to a lower layer; overlayfs copies the file up for it.
    """

    path: bytes
    node: Node
    layer: int
    place: bytes
    link: tuple[int, int] | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """The same for all names of one file: its layer and the number of an entry there."""
        return self.link or (self.layer, self.node.number)


class Union:
    """Layers stacked, the base first."""

    def __init__(self, layers: Sequence[Index]) -> None:
        self._layers = layers
        self._merged: dict[tuple[bytes, int], list[int]] = {}

    def find(self, path: bytes, *, follow: bool = True) -> File:
        """Return what a path leads to; links on the way are followed as if the tree's root were `/`.

        Args:
            path: from the root of the tree, with or without a slash before it.
            follow: where it names a symbolic link, go on to what that leads to.

        Raises:
            NotFound: there is nothing.
            InvalidArgument: links lead in a circle.
        """
        at, rest, links = self._root(), path.split(b"/")[::-1], 0
        while rest:
            part = rest.pop()
            if part in (b"", b".") and at.node.is_directory:
                continue
            if part == b".." and at.node.is_directory:
                at = self._at(at.path.rpartition(b"/")[0])
                continue
            found = self._in(at.path, part, len(self._layers)) if at.node.is_directory else None
            if found is None:
                raise NotFound(f"{shown(path)}: No such file or directory")
            if found.node.is_symlink and (follow or any(rest)):
                links += 1
                if links > MAX_LINKS:
                    raise InvalidArgument(f"{shown(path)}: Too many levels of symbolic links")
                target = found.node.more.target
                at = self._root() if target.startswith(b"/") else at
                rest += target.split(b"/")[::-1]
            else:
                at = found
        return at

    def names(self, folder: File) -> Iterator[File]:
        """Yield what is in a directory, by name."""
        path, below = folder.path, len(self._layers)
        merged = self._directories(path, below)
        found: dict[bytes, tuple[int, Node]] = {}
        for layer in reversed(merged):
            found |= {name: (layer, node) for name, node in self._layers[layer].names(path).items()}
        prefix = path + b"/" if path else b""
        for name, (layer, node) in sorted(found.items()) if len(merged) > 1 else found.items():
            if node.mode and node.number >= 0:
                yield File(prefix + name, node, layer, prefix + name)
            elif (file := self._in(path, name, below)) is not None:
                yield file

    def walk(self, folder: File) -> Iterator[File]:
        """Yield all that is below a directory, parents first and names sorted."""
        waiting = [self.names(folder)]
        while waiting:
            file = next(waiting[-1], None)
            if file is None:
                waiting.pop()
                continue
            yield file
            if file.node.is_directory:
                waiting.append(self.names(file))

    def _root(self) -> File:
        return File(b"", _ROOT, 0, b"")

    def _at(self, path: bytes) -> File:
        """Return the directory at a path that was come through."""
        folder, _, name = path.rpartition(b"/")
        found = self._in(folder, name, len(self._layers)) if path else self._root()
        assert found is not None, "it was come through"
        return found

    def _in(self, folder: bytes, name: bytes, below: int) -> File | None:
        """Return what the layers below a certain one show in a directory under a name."""
        path = folder + b"/" + name if folder else name
        implied: File | None = None
        for layer in self._directories(folder, below):
            node = self._layers[layer].names(folder).get(name)
            if node is None:
                continue
            if node.is_directory:
                if node.number >= 0:
                    return File(path, node, layer, path)
                implied = implied or File(path, node, layer, path)
                continue
            if implied is None and node.is_below:
                return self._linked(path, node, layer)
            if implied is None and node.mode:
                return File(path, node, layer, path)
            break
        return implied

    def _linked(self, path: bytes, link: Node, layer: int) -> File | None:
        """Return what a link to a lower layer is."""
        folder, _, name = link.more.target.rpartition(b"/")
        found = self._in(folder, name, layer)
        return found and File(path, found.node, found.layer, found.place, (layer, link.number))

    def _directories(self, path: bytes, below: int) -> list[int]:
        """Return the layers below a certain one whose directories merge at a path, the topmost first."""
        unknown: list[bytes] = []
        while path and (path, below) not in self._merged:
            unknown.append(path)
            path = path.rpartition(b"/")[0]
        known = self._merged[path, below] if path else self._bottom(below)
        for inner in reversed(unknown):
            known = self._merged[inner, below] = self._merge(known, inner)
        return known

    def _bottom(self, below: int) -> list[int]:
        """Return the layers whose roots merge."""
        if (known := self._merged.get((b"", below))) is None:
            opaque = [layer for layer in range(below) if self._layers[layer].is_opaque]
            known = self._merged[b"", below] = list(range(below - 1, max(opaque, default=0) - 1, -1))
        return known

    def _merge(self, above: list[int], path: bytes) -> list[int]:
        folder, _, name = path.rpartition(b"/")
        merged: list[int] = []
        for layer in above:
            node = self._layers[layer].names(folder).get(name)
            if node is None:
                continue
            if not node.is_directory:
                break
            merged.append(layer)
            if node.is_opaque:
                break
        return merged


def shown(path: bytes) -> str:
    """Return a path for a message."""
    return path.decode("utf-8", "backslashreplace")
