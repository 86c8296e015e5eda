"""What a stack of layers shows, read from their tars alone: nothing is mounted or extracted, and no right is needed.

The rules are those of the image specification (layer.md, Applying Changesets), and overlayfs's where layers meet: what
a layer brings replaces what those below have at the same path, a directory merges with a directory, and whiteouts hide
what lies below their layer, never what it brings itself.
"""

import stat
from collections.abc import Iterable, Iterator

import msgspec

from ..errors import InvalidArgument, NotFound
from ..tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARDLINK, REGULAR, SYMLINK, Entry
from ..tar.root import clean
from ..tar.whiteout import OPAQUE, hides, is_special

_MAX_LINKS = 40  # as Linux has it (path_resolution(7))


class File(msgspec.Struct, frozen=True):
    """A file, directory or link of a tree.

    Attributes:
        entry: of the tar, as it is there; the one that a hard link leads to.
        layer: whose it is, counted from the base.
        number: of the entry in that layer's tar; -1 for a directory that the tar only implies.
    """

    entry: Entry
    layer: int
    number: int

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.entry.type == DIRECTORY

    @property
    def size(self) -> int:
        """Bytes of its content, holes included."""
        return self.entry.sparse[0] if self.entry.sparse else self.entry.size

    @property
    def mode(self) -> int:
        """Its kind and permissions, as in `os.stat_result.st_mode`."""
        return stat.S_IMODE(self.entry.mode) | _KINDS.get(self.entry.type, stat.S_IFREG)


_KINDS = {
    DIRECTORY: stat.S_IFDIR,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    FIFO: stat.S_IFIFO,
    REGULAR: stat.S_IFREG,
}


class Union:
    """A tree that layers are added to, base first."""

    def __init__(self) -> None:
        self._files: dict[bytes, File] = {b"": _implied(0)}
        self._names: dict[bytes, dict[bytes, None]] = {b"": {}}
        self._layer = -1

    def add(self, entries: Iterable[Entry]) -> None:
        """Put a layer on top.

        Raises:
            InvalidTar: from the entries.
            Breakout: a name leads out of the tree.
        """
        self._layer += 1
        for number, entry in enumerate(entries):
            path = clean(entry.name)
            folder, _, name = path.rpartition(b"/")
            if name == OPAQUE:
                for other in [*self._names.get(folder, ())]:
                    self._hide(_join(folder, other))
            elif hidden := hides(name):
                self._hide(_join(folder, hidden))
            elif not is_special(path):
                self._put(path, File(entry, self._layer, number))

    def _put(self, path: bytes, file: File) -> None:
        if file.entry.type == HARDLINK:
            target = self._files.get(self._inside(clean(file.entry.linkname)))
            if target is None or target.is_directory:
                return  # a link to nothing: unpacking refuses it
            file = target
        path = self._inside(path)
        if not path:
            if file.is_directory:
                self._files[path] = file
            return
        self._make_folder(path.rpartition(b"/")[0])
        if not file.is_directory:
            self._remove(path)
        self._enter(path, file)

    def _inside(self, path: bytes) -> bytes:
        """Return where a path leads whose folders may be links of the same layer; those below it are covered."""
        at = b""
        for part in path.split(b"/")[:-1]:
            at = _join(at, part)
            found = self._files.get(at)
            if found and found.layer == self._layer and found.entry.type == SYMLINK:
                at = self._walk(at)[0]
        return _join(at, path.rpartition(b"/")[2])

    def _make_folder(self, path: bytes) -> None:
        """Have a directory where the tar only implies one, and those above it."""
        missing = [path]
        while missing[-1]:
            missing.append(missing[-1].rpartition(b"/")[0])
        for folder in reversed(missing):
            found = self._files.get(folder)
            if found is None or not found.is_directory:
                self._remove(folder)
                self._enter(folder, _implied(self._layer))

    def _enter(self, path: bytes, file: File) -> None:
        folder, _, name = path.rpartition(b"/")
        self._files[path] = file
        self._names.setdefault(folder, {})[name] = None

    def _hide(self, path: bytes) -> None:
        """Take away what is at a path and below it, but for what this layer has brought, and the way to that."""
        for at in reversed(self._below(path)):
            found = self._files.get(at)
            if found and found.layer < self._layer and not self._names.get(at):
                self._remove(at)

    def _below(self, path: bytes) -> list[bytes]:
        """Return a path and all those below it, parents first."""
        found = [path]
        for at in found:
            found += [_join(at, name) for name in self._names.get(at, ())]
        return found

    def _remove(self, path: bytes) -> None:
        """Take away what is at a path, with all below it."""
        if self._files.get(path) is None:
            return
        folder, _, name = path.rpartition(b"/")
        self._names[folder].pop(name, None)
        for at in self._below(path):
            self._files.pop(at, None)
            self._names.pop(at, None)

    def find(self, path: bytes, *, follow: bool = True) -> tuple[bytes, File]:
        """Return where a path leads, and what is there.

        Args:
            path: from the root of the tree, with or without a slash before it.
            follow: where it names a symbolic link, go on to what that leads to.

        Raises:
            NotFound: there is nothing.
            InvalidArgument: links lead in a circle.
        """
        at, rest = self._walk(path, follow=follow)
        if rest or at not in self._files:
            raise NotFound(f"{_shown(path)}: No such file or directory")
        return at, self._files[at]

    def names(self, path: bytes) -> Iterator[tuple[bytes, File]]:
        """Yield what is in a directory that `find` has found, by name."""
        for name in sorted(self._names.get(path, ())):
            yield name, self._files[_join(path, name)]

    def _walk(self, path: bytes, *, follow: bool = True) -> tuple[bytes, list[bytes]]:
        """Follow a path as the kernel would, in this tree; return where it leads, and what is left where it ends."""
        at, rest, links = b"", path.split(b"/")[::-1], 0
        while rest:
            part = rest.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = at.rpartition(b"/")[0]
                continue
            found = self._files.get(_join(at, part))
            if found is None:
                return at, [*rest, part]
            if found.entry.type == SYMLINK and (rest or follow):
                links += 1
                if links > _MAX_LINKS:
                    raise InvalidArgument(f"{_shown(path)}: too many levels of symbolic links")
                at = b"" if found.entry.linkname.startswith(b"/") else at
                rest += found.entry.linkname.split(b"/")[::-1]
                continue
            if rest and any(rest) and not found.is_directory:
                return at, [*rest, part]
            at = _join(at, part)
        return at, []


def _implied(layer: int) -> File:
    """Return a directory that a tar only implies."""
    return File(Entry(b"", DIRECTORY, 0o755), layer, -1)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
