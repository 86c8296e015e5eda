r"""A layer's index: what its tar says of every path, without the contents, and without the layers below.

It follows the rules by which a tar is unpacked (`tar.apply`): later entries replace earlier ones, names lead over links
of the same layer, whiteouts concern what lies below only. Kept on disk, it is

    lamina filetree 1\n        the version of the format; another one is no index
    crc32                      of all that follows, 4 bytes, big-endian
    msgpack [                  opaque, folders
      bool,                    whether the root hides all below it
      {path: [names, records, more]}
    ]

with an element for each directory that has something in it: the names in it, sorted and joined by `/`; a record of
`RECORD` bytes for each; and of those that have more, by their place, link target, device, attributes and sparse map.
"""

import stat
import struct
import zlib
from collections.abc import Iterable

import msgspec

from ..errors import DataLoss
from ..tar.apply import MAX_TIME, OVERLAY
from ..tar.header import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARDLINK, REGULAR, SYMLINK, Entry, InvalidTar
from ..tar.root import MAX_LINKS, clean
from ..tar.split import Outlined
from ..tar.whiteout import OPAQUE, hides, is_special

_MAGIC = b"lamina filetree 1\n"
_CRC = 4
_FIELDS = struct.Struct("<HBIIQqqQQ")
RECORD = _FIELDS.size
"""Bytes of a record: mode, flags, uid, gid, size, mtime, number, offset, checksum."""

_OPAQUE, _BELOW = 1, 2

_KINDS = {
    REGULAR: stat.S_IFREG,
    SYMLINK: stat.S_IFLNK,
    CHARACTER: stat.S_IFCHR,
    BLOCK_DEVICE: stat.S_IFBLK,
    DIRECTORY: stat.S_IFDIR,
    FIFO: stat.S_IFIFO,
}


class IndexDamaged(DataLoss):
    """An index is not as it was written, or of another version."""


class More(msgspec.Struct, frozen=True, array_like=True):
    """What few files have.

    Attributes:
        target: of a symbolic link; of a link to a lower layer, the path there.
        device: major and minor number.
        xattrs: name to value.
        sparse: offset and size of each stored piece of a file with holes.
    """

    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] = {}
    sparse: list[tuple[int, int]] | None = None


_NOTHING_MORE = More()


class Node(msgspec.Struct, frozen=True, gc=False):
    """What a layer has at a path.

    Attributes:
        mode: kind and permissions, as in `os.stat_result.st_mode`; 0 for an absence, or a link to a lower layer.
        flags: see the properties.
        uid: of its owner.
        gid: of its group.
        size: bytes of its content, holes included.
        mtime: nanoseconds since the epoch.
        number: of its entry in the tar, the first of a file with several names; -1 for a directory that is implied.
        offset: of its content in the tar.
        checksum: CRC-64 (ISO) of what is stored of its content.
        more: what few files have.
    """

    mode: int
    flags: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    number: int = -1
    offset: int = 0
    checksum: int = 0
    more: More = _NOTHING_MORE

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_opaque(self) -> bool:
        """Whether it is a directory that hides those below it."""
        return bool(self.flags & _OPAQUE)

    @property
    def is_below(self) -> bool:
        """Whether it stands for what lower layers have at `more.target`."""
        return bool(self.flags & _BELOW)

    @property
    def is_absence(self) -> bool:
        """Whether it hides what lower layers have."""
        return not self.mode and not self.flags


_IMPLIED = Node(stat.S_IFDIR | 0o755)
_ABSENCE = Node(0)
_NO_NODES: dict[bytes, Node] = {}


class Index:
    """The nodes of a layer by folder and name; directories are read when they are asked for.

    Attributes:
        is_opaque: whether the root hides all below it.
    """

    def __init__(self, is_opaque: bool, folders: dict[bytes, msgspec.Raw]) -> None:
        self.is_opaque = is_opaque
        self._folders = folders
        self._read: dict[bytes, dict[bytes, Node]] = {}

    def names(self, folder: bytes) -> dict[bytes, Node]:
        """Return what is in a directory by name, sorted; nothing of one that the layer has not.

        Raises:
            IndexDamaged: it cannot be read.
        """
        found = self._read.get(folder)
        if found is None:
            raw = self._folders.get(folder)
            found = self._read[folder] = _NO_NODES if raw is None else _unpacked(raw)
        return found


def _unpacked(raw: msgspec.Raw) -> dict[bytes, Node]:
    try:
        names, records, more = msgspec.msgpack.decode(raw, type=tuple[bytes, bytes, dict[int, More]])
        nodes = [Node(*fields) for fields in _FIELDS.iter_unpack(records)]
        for place, rest in more.items():
            nodes[place] = msgspec.structs.replace(nodes[place], more=rest)
        return dict(zip(names.split(b"/"), nodes, strict=True))
    except (msgspec.DecodeError, struct.error, ValueError, IndexError) as error:
        raise IndexDamaged(f"an index of a layer's files is damaged: {error}") from error


def decode(data: bytes) -> Index:
    """Return the index that `build` wrote.

    Raises:
        IndexDamaged: it did not, or in another version.
    """
    start = len(_MAGIC) + _CRC
    body = memoryview(data)[start:]
    if data[:start] != _MAGIC + _crc32(body):
        raise IndexDamaged("an index of a layer's files is not as it was written")
    try:
        return Index(*msgspec.msgpack.decode(body, type=tuple[bool, dict[bytes, msgspec.Raw]]))
    except msgspec.DecodeError as error:
        raise IndexDamaged(f"an index of a layer's files is damaged: {error}") from error


def build(entries: Iterable[Outlined]) -> bytes:
    """Return the index of a layer, to be kept.

    Raises:
        InvalidTar: an entry cannot be what it says.
        Breakout: a name leads out of the tree.
    """
    builder = _Builder()
    for number, one in enumerate(entries):
        builder.add(number, one)
    body = builder.finish()
    return _MAGIC + _crc32(body) + body


def _crc32(body: bytes | memoryview) -> bytes:
    return zlib.crc32(body).to_bytes(_CRC, "big")


class _Builder:
    def __init__(self) -> None:
        self._folders: dict[bytes, dict[bytes, Node]] = {b"": {}}
        self._is_opaque = False
        self._links: dict[bytes, Node] = {}  # by the path below that they lead to

    def add(self, number: int, one: Outlined) -> None:
        entry = one.entry
        path = clean(entry.name)
        folder, _, name = path.rpartition(b"/")
        if not path or is_special(folder):
            return
        if name == OPAQUE:
            self._hide_all(self._folder(folder))
        elif hidden := hides(name):
            self._hide(self._folder(folder), hidden)
        elif is_special(name):
            return
        elif entry.type == HARDLINK:
            self._link(number, entry, folder, name)
        else:
            self._put(self._folder(folder), name, _node(number, one))

    def finish(self) -> bytes:
        """Return the body of the index."""
        nodes = [node for names in self._folders.values() for node in names.values()] if self._links else []
        for node in nodes:
            if node.is_below:  # what a link leads to is the layer's, too
                folder, _, name = node.more.target.rpartition(b"/")
                self._folders[self._folder(folder)].setdefault(name, node)
        folders = {folder: _packed(names) for folder, names in self._folders.items() if names}
        return msgspec.msgpack.encode((self._is_opaque, folders))

    def _put(self, folder: bytes, name: bytes, node: Node) -> None:
        path = _join(folder, name)
        before = self._folders[folder].get(name)
        if node.is_directory:
            self._folders.setdefault(path, {})
            if before is not None and not before.is_below and (before.is_opaque or not before.is_directory):
                node = msgspec.structs.replace(node, flags=_OPAQUE)
        elif before is not None and before.is_directory:
            self._remove(path)
        self._folders[folder][name] = node

    def _link(self, number: int, entry: Entry, folder: bytes, name: bytes) -> None:
        folder = self._folder(folder)
        target = clean(entry.linkname)
        above, _, last = target.rpartition(b"/")
        place = self._find(above)
        node = None if place is None else self._folders[place].get(last)
        if node is None:
            node = self._links.setdefault(target, Node(0, _BELOW, number=number, more=More(target)))
        elif node.is_directory:
            raise InvalidTar(f"hard link {_shown(entry.name)} to a directory")
        elif (place, last) == (folder, name):
            return
        elif node.is_absence:
            raise InvalidTar(f"hard link {_shown(entry.name)} to a name that its layer hides")
        self._put(folder, name, node)

    def _hide(self, folder: bytes, name: bytes) -> None:
        names = self._folders[folder]
        before = names.setdefault(name, _ABSENCE)
        if before.is_directory:
            names[name] = msgspec.structs.replace(before, flags=_OPAQUE)

    def _hide_all(self, folder: bytes) -> None:
        if not folder:
            self._is_opaque = True
            return
        above, _, name = folder.rpartition(b"/")
        self._hide(above, name)

    def _remove(self, folder: bytes) -> None:
        """Forget all in a directory."""
        gone = [folder]
        for at in gone:
            gone += [_join(at, name) for name, node in self._folders.pop(at).items() if node.is_directory]

    def _folder(self, path: bytes) -> bytes:
        """Return where the directory at a clean path is, links of the layer followed; it is made if it is missing."""
        found = self._walk(path, make=True)
        assert found is not None, "it is made"
        return found

    def _find(self, path: bytes) -> bytes | None:
        return self._walk(path, make=False)

    def _walk(self, path: bytes, *, make: bool) -> bytes | None:
        if path in self._folders:
            return path
        at, rest, links = b"", path.split(b"/")[::-1], 0
        while rest:
            part = rest.pop()
            if part == b"..":
                at = at.rpartition(b"/")[0]
                continue
            if part in (b"", b"."):
                continue
            node = self._folders[at].get(part)
            if node is not None and node.is_symlink:
                links += 1
                if links > MAX_LINKS:
                    raise InvalidTar(f"{_shown(path)}: too many symbolic links")
                at = b"" if node.more.target.startswith(b"/") else at
                rest += node.more.target.split(b"/")[::-1]
                continue
            if node is None or not node.is_directory:
                if not make:
                    return None
                if node is not None and node.mode:
                    raise InvalidTar(f"{_shown(path)}: {_shown(part)} is not a directory")
                self._put(at, part, _IMPLIED)
            at = _join(at, part)
        return at


def _node(number: int, one: Outlined) -> Node:
    entry = one.entry
    kind = _KINDS.get(entry.type)
    if kind is None:
        raise InvalidTar(f"entry {_shown(entry.name)} has the unknown type {entry.type!r}")
    size, sparse = entry.sparse or (len(entry.linkname) if entry.type == SYMLINK else entry.size, None)
    more = _NOTHING_MORE
    xattrs = {key: value for key, value in entry.xattrs.items() if not key.startswith(OVERLAY)}
    if entry.linkname or entry.major or entry.minor or xattrs or sparse is not None:
        more = More(entry.linkname, (entry.major, entry.minor), xattrs, sparse)
    mtime = entry.mtime if 0 <= entry.mtime < MAX_TIME else 0
    mode = kind | (0o777 if entry.type == SYMLINK else stat.S_IMODE(entry.mode))
    return Node(mode, 0, entry.uid, entry.gid, size, mtime, number, one.offset, one.checksum, more)


def _packed(names: dict[bytes, Node]) -> tuple[bytes, bytes, dict[int, More]]:
    found = sorted(names.items())
    records = [
        _FIELDS.pack(
            node.mode, node.flags, node.uid, node.gid, node.size, node.mtime, node.number, node.offset, node.checksum
        )
        for _, node in found
    ]
    more = {place: node.more for place, (_, node) in enumerate(found) if node.more != _NOTHING_MORE}
    return b"/".join(name for name, _ in found), b"".join(records), more


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "backslashreplace"))
