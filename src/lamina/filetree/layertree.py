"""A layer's tar as the inodes of an EROFS image: nothing is unpacked.

The rules are those of `tar.apply`, the marks for what a layer takes away those of overlayfs: a character device 0:0,
and `trusted.overlay.opaque`. What a tar does not say is the same everywhere: a directory that it only implies belongs
to root and has the mode 0755 and the time zero, until `settling` gives it the metadata of the one below.
"""

import errno
import os
from collections.abc import Callable

from msgspec.structs import replace

from ..erofs import layout
from ..erofs.directory import Folder, Meta, Node
from ..erofs.layout import Device
from ..erofs.reader import Image
from ..erofs.writer import Writer
from ..tar import apply as tar_apply
from ..tar import whiteout
from ..tar.contract import Applied, Summed
from ..tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARDLINK, REGULAR, SYMLINK, Entry, InvalidTar
from ..tar.root import MAX_LINKS, MAX_MADE, MAX_STEPS, NotBelow, clean
from .attributes import kept
from .spare import Spare

MAX_ENTRIES = 4 << 20
"""The most entries of a layer: somewhat more than a gigabyte of memory while it comes in."""

_MAX_NAME, _MAX_TARGET = 255, 4095
_OPAQUE = b"trusted.overlay.opaque"
_SPECIAL = {CHARACTER: layout.CHARACTER, BLOCK_DEVICE: layout.BLOCK_DEVICE, FIFO: layout.FIFO}
_OPEN = 1024


class Directory(Folder):
    """A directory of a layer: whether the tar has an entry for it, and whether it hides those below."""

    __slots__ = ("described", "opaque")

    def __init__(self) -> None:
        super().__init__(Meta())
        self.described = False
        self.opaque = False


class LayerTree:
    """The tree of one layer.

    Args:
        spare: takes the contents that the tar does not hold as they are to be seen.
        earlier: an image of the same tar, of which the checksums are taken: then contents need not be read.

    Attributes:
        applied: what was read, and what is left until the layer's parent is known.
        image: its inodes.
        made: the directories that the tar only implies, by path.
    """

    def __init__(self, spare: Spare, earlier: Image | None = None) -> None:
        self._earlier = earlier
        self._checksum: Callable[[], int]  # of the file that is to be the next inode
        self.applied = Applied()
        self.image = Writer()
        self.made: dict[bytes, Directory] = {}
        self._spare = spare
        self._root = Directory()
        self._opaque: list[Directory] = []
        self._found: dict[bytes, Directory] = {}  # by clean path
        self._known: dict[bytes, Directory] = {}  # the same by how entries write it
        self._real: dict[bytes, bytes] = {}
        self._made_bytes = 0
        self._waiting = 0
        self._work = 0

    def read(self, entries: Summed) -> None:
        """Add all entries of a tar.

        Raises:
            InvalidTar: an entry cannot be what it says.
            Breakout: a name leads outside.
            ResourceExhausted: the disk is full.
            ApplyFailed: no file system would take it.
        """
        name, earlier = b"", self._earlier
        self._checksum = entries.checksum if earlier is None else lambda: earlier.checksum(self.image.count)
        try:
            for number, entry in enumerate(entries):
                name = entry.name
                if entry.type != REGULAR or not self._is_added(entry, entries):
                    self._add(entry, entries)
                if number >= MAX_ENTRIES:
                    raise InvalidTar(f"tar with more than {MAX_ENTRIES} entries")
        except OSError as error:
            raise tar_apply.refused(error, name) from error
        self.applied.size = self.image.size
        self.applied.implied = [path for path, folder in self.made.items() if not folder.described]

    def finish(self, tar_size: int) -> Writer:
        """Return the finished image; nothing can be added any more."""
        for folder in self._opaque:
            folder.meta = replace(folder.meta, xattrs={**folder.meta.xattrs, _OPAQUE: b"y"})
        devices = [Device(-(-tar_size // layout.BLOCK))]
        if self._spare.blocks:
            devices.append(Device(self._spare.blocks, self._spare.finish()))
        self.image.finish(self._root, devices)
        return self.image

    def _is_added(self, entry: Entry, entries: Summed) -> bool:
        """Add a file of which nothing is special, as most are: its folder is known, its name plain and new."""
        above, _, name = entry.name.rpartition(b"/")
        folder = self._known.get(above)
        if folder is None or name in folder.names or name[:1] in b"." or len(name) > _MAX_NAME:
            return False
        mtime = entry.mtime
        if entry.xattrs or entry.sparse is not None or self.applied.links or not 0 <= mtime < tar_apply.MAX_TIME:
            return False
        meta = Meta(entry.mode, entry.uid, entry.gid, mtime)
        block = entries.position >> layout.BLOCK_BITS
        folder.names[name] = self.image.file(meta, entry.size, block, layout.TAR, self._checksum())
        return True

    def _add(self, entry: Entry, entries: Summed) -> None:
        path = clean(entry.name)
        if not path:
            return
        if self.applied.links:
            self.applied.replace(path)
        if whiteout.is_special(path):
            self._whiteout(path)
            return
        above, _, name = path.rpartition(b"/")
        folder = self._found.get(above) or self.folder(above, make=True)
        _check_length(name, _MAX_NAME)
        kind = entry.type
        if kind == REGULAR:
            node = self._file(entry, entries) if entry.sparse is None else self._sparse(entry, entries)
            self._know(entry.name, self.put(path, folder, name, node), name)
        elif kind == DIRECTORY:
            self._directory(entry, path, folder, name)
        elif kind == SYMLINK:
            self.put(path, folder, name, self._symlink(entry))
        elif kind == HARDLINK:
            self._hardlink(entry, path, folder, name)
        elif kind in _SPECIAL:
            node = self.image.special(self._meta(entry), _SPECIAL[kind], entry.major, entry.minor)
            self.put(path, folder, name, node)
        else:
            raise InvalidTar(f"entry {os.fsdecode(entry.name[:200])!r} has the unknown type {kind!r}")

    def _know(self, path: bytes, folder: Directory, name: bytes) -> None:
        """Remember the folder of an entry by how the entry writes it."""
        above, _, last = path.rpartition(b"/")
        if len(self._known) >= _OPEN:
            self._known.clear()
        if last == name:
            self._known[above] = folder

    def _file(self, entry: Entry, entries: Summed) -> Node:
        block = entries.position >> layout.BLOCK_BITS
        return self.image.file(self._meta(entry), entry.size, block, layout.TAR, self._checksum())

    def _meta(self, entry: Entry) -> Meta:
        mtime = entry.mtime if 0 <= entry.mtime < tar_apply.MAX_TIME else 0
        if not entry.xattrs:
            return Meta(entry.mode, entry.uid, entry.gid, mtime)
        self._wait(*entry.xattrs, *entry.xattrs.values())
        return Meta(entry.mode, entry.uid, entry.gid, mtime, kept(entry))

    def _sparse(self, entry: Entry, entries: Summed) -> Node:
        bits, blocks, checksum = self._spare.sparse(entry, entries)
        self._wait(bytes(layout.CHUNK.size * len(blocks)))
        size = entry.sparse[0] if entry.sparse else 0
        return self.image.chunks(self._meta(entry), size, bits, blocks, layout.DATA, checksum)

    def _symlink(self, entry: Entry) -> Node:
        if not entry.linkname:
            raise InvalidTar(f"symbolic link {os.fsdecode(entry.name[:200])!r} without a target")
        _check_length(entry.linkname, _MAX_TARGET)
        return self.image.symlink(replace(self._meta(entry), mode=0o777), entry.linkname)

    def _directory(self, entry: Entry, path: bytes, folder: Directory, name: bytes) -> None:
        inner = folder.names.get(name)
        if not isinstance(inner, Directory):
            replaces = inner is not None
            folder = self.clear(path, folder, name)
            inner = folder.names[name] = Directory()
            if replaces:
                self._cover(inner)
        inner.meta = self._meta(entry)
        inner.described = True
        self._wait(path, entry.name)

    def _hardlink(self, entry: Entry, path: bytes, folder: Directory, name: bytes) -> None:
        target = clean(entry.linkname)
        node = self.find(target)
        if isinstance(node, Folder):
            raise InvalidTar(f"hard link {os.fsdecode(entry.name[:200])!r} to a directory")
        if node is not None and folder.names.get(name) == node:
            return
        if node is not None and self.image.is_whiteout(node):
            raise InvalidTar(f"hard link {os.fsdecode(entry.name[:200])!r} to a name that its layer hides")
        folder = self.clear(path, folder, name)
        node = self.find(target)  # which what was cleared may have held
        if node is None or isinstance(node, Folder):
            self.applied.links[path] = target
            self._wait(path, target)
            return
        folder.names[name] = node
        self.image.link(node)

    def _whiteout(self, path: bytes) -> None:
        above, slash, name = path.rpartition(b"/")
        hidden = whiteout.hides(name)
        if whiteout.is_nameless(name):
            raise InvalidTar(f"whiteout without a name: {os.fsdecode(path[:200])!r}")
        if whiteout.is_special(above):
            return
        folder = self.folder(above, make=True)
        if name == whiteout.OPAQUE:
            self.applied.opaque_root |= not above
            self._cover(folder)
        elif hidden and above + slash + hidden not in self.applied.links:
            self.applied.hidden.append(_join(self._real.get(above, above), hidden))
            self._wait(path)
            self.hide(folder, hidden)

    def hide(self, folder: Directory, name: bytes) -> None:
        """Make sure that nothing of the layers below shows at a name; what the layer itself brings stays."""
        inner = folder.names.get(name)
        if inner is None:
            _check_length(name, _MAX_NAME)
            folder.names[name] = self.image.special(Meta(0), layout.CHARACTER)
        elif isinstance(inner, Directory):
            self._cover(inner)

    def _cover(self, folder: Directory) -> None:
        """Have a directory hide those below; the root's mark is no overlayfs's: see `settling`."""
        if not folder.opaque and folder is not self._root:
            self._opaque.append(folder)
        folder.opaque = True

    def unmark(self, path: bytes) -> None:
        """Take a mark away that hides nothing; what is no mark stays."""
        above, _, name = path.rpartition(b"/")
        try:
            folder = self.folder(above)
        except (FileNotFoundError, NotBelow):
            return
        node = folder.names.get(name)
        if isinstance(node, int) and self.image.is_whiteout(node):
            self.image.unlink(node)
            del folder.names[name]

    def put(self, path: bytes, folder: Directory, name: bytes, node: Node) -> Directory:
        """Give an inode a name, which another one may have had; return its folder."""
        if name in folder.names:
            folder = self.clear(path, folder, name)
        folder.names[name] = node
        return folder

    def clear(self, path: bytes, folder: Directory, name: bytes) -> Directory:
        """Remove what is at a path, if anything is; return its folder."""
        node = folder.names.pop(name, None)
        if isinstance(node, int):
            self.image.unlink(node)
            if node & 7 == layout.SYMLINK:
                self._forget()
                return self._again(path)
        elif node is not None:
            for inner in node.below():
                for file in inner.names.values():
                    if isinstance(file, int):
                        self.image.unlink(file)
            self._forget_below(path + b"/")
        return folder

    def _again(self, path: bytes) -> Directory:
        """Return the folder of a path after a link went that may have been on the way to it."""
        try:
            return self.folder(path.rpartition(b"/")[0])
        except (FileNotFoundError, NotBelow) as error:
            raise InvalidTar(f"{os.fsdecode(path)!r} replaces a link on its own way") from error

    def _forget_below(self, prefix: bytes) -> None:
        """Drop all that waits for the layer's end in a directory that goes."""
        self._forget()
        applied = self.applied
        self._work += len(self.made) + len(applied.links) + len(applied.hidden)
        if self._work > tar_apply.MAX_WORK:
            raise InvalidTar("tar that replaces its own directories over and over")
        self.made = {path: folder for path, folder in self.made.items() if not path.startswith(prefix)}
        self.made.pop(prefix[:-1], None)
        applied.links = {path: target for path, target in applied.links.items() if not path.startswith(prefix)}
        applied.hidden = [path for path in applied.hidden if not path.startswith(prefix)]

    def _forget(self) -> None:
        self._found.clear()
        self._known.clear()
        self._real.clear()

    def find(self, path: bytes) -> Folder | Node | None:
        """Return what the layer itself has at a clean path, None where it has nothing.

        Raises:
            NotBelow: a part of the path is no directory.
        """
        above, _, name = path.rpartition(b"/")
        try:
            return self.folder(above).names.get(name) if name else self._root
        except FileNotFoundError:
            return None

    def folder(self, path: bytes, *, make: bool = False) -> Directory:
        """Return the directory at a clean path; links of the layer itself are followed.

        With `make`, directories that are missing are made, also in the place of a mark, and noted in `made`.

        Raises:
            FileNotFoundError: a directory is missing, without `make`.
            NotBelow: a part of the path is no directory, or links lead in a circle.
        """
        if not path:
            return self._root
        if (known := self._found.get(path)) is not None:
            return known
        if len(self._found) >= _OPEN:
            self._forget()
        above, _, last = path.rpartition(b"/")
        inner = self._found[above].names.get(last) if above in self._found else None
        if isinstance(inner, Directory):
            if above in self._real:
                self._real[path] = self._real[above] + b"/" + last
        else:
            inner = self._walk(path, make=make)
        self._found[path] = inner
        return inner

    def _walk(self, path: bytes, *, make: bool) -> Directory:
        """Follow a path part by part, as `Root` does."""
        todo = path.split(b"/")[::-1]
        way, names = [self._root], [b""]
        links = steps = 0
        while todo:
            part = todo.pop()
            steps += 1 if part != b".." else len(way) - 1
            if steps > MAX_STEPS:
                raise NotBelow(f"{os.fsdecode(path[:200])!r}: the way is too long")
            if part == b"..":
                if len(way) > 1:
                    way.pop()
                    names.pop()
                continue
            inner = way[-1].names.get(part)
            if isinstance(inner, int) and not self.image.is_whiteout(inner):
                links += 1
                target = self._target(inner, part, path, links)
                if target.startswith(b"/"):
                    del way[1:], names[1:]
                todo += [piece for piece in target.split(b"/")[::-1] if piece not in (b"", b".")]
                continue
            if not isinstance(inner, Directory):
                if not make:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                inner = self._make(way[-1], part, b"/".join(names[1:]))
            way.append(inner)
            names.append(part)
        if links:
            self._real[path] = b"/".join(names[1:])
        return way[-1]

    def _target(self, node: Node, part: bytes, path: bytes, links: int) -> bytes:
        if node & 7 != layout.SYMLINK:
            raise NotBelow(f"{os.fsdecode(path)!r}: {os.fsdecode(part)!r} is not a directory")
        if links > MAX_LINKS:
            raise NotBelow(f"{os.fsdecode(path)!r}: too many symbolic links")
        return self.image.target(node)

    def _make(self, folder: Directory, name: bytes, above: bytes) -> Directory:
        """Make a directory that the tar only implies; where the layer hid something, it hides that further on."""
        _check_length(name, _MAX_NAME)
        path = _join(above, name)
        self._made_bytes += len(path)
        if self._made_bytes > MAX_MADE:
            raise NotBelow(f"{os.fsdecode(path[:200])!r}: too many directories without an entry of their own")
        inner = Directory()
        if name in folder.names:
            self._cover(inner)
        folder.names[name] = self.made[path] = inner
        return inner

    def _wait(self, *waiting: bytes) -> None:
        """Count what is kept until the layer's end, so that it stays within what is sensible."""
        self._waiting += sum(map(len, waiting))
        if self._waiting > tar_apply.MAX_WAITING:
            raise InvalidTar(f"tar with more than {tar_apply.MAX_WAITING} bytes of directories' names and attributes")


def _check_length(text: bytes, most: int) -> None:
    if len(text) > most:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name
