"""Directories in the making, and what they become: blocks of entries, sorted by name."""

from collections.abc import Mapping
from functools import cache
from itertools import accumulate
from struct import Struct

import msgspec

from .layout import BLOCK, DIRECTORY, DIRENT, SLOT

Node = int
"""An inode that is no directory: its number, shifted by three bits, and its type."""


class Meta(msgspec.Struct, frozen=True, gc=False):
    """What every inode has: permissions, owner, time in nanoseconds since 1970, attributes by name."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: Mapping[bytes, bytes] = {}


class Folder:
    """A directory in the making: whoever makes it may change all of it until the image is finished.

    Attributes:
        meta: as it will be written.
        names: what is in it; the names are 1 to 255 bytes, without `/` and NUL, and neither `.` nor `..`.
        number: of its inode, once it has one.
        above: where that of the directory has to be written which it is in.
    """

    __slots__ = ("above", "meta", "names", "number")

    def __init__(self, meta: Meta) -> None:
        self.meta = meta
        self.names: dict[bytes, Folder | Node] = {}
        self.number = 0
        self.above = (bytearray(), 0)

    def folders(self) -> "list[Folder]":
        """Return the directories in it."""
        return [inner for inner in self.names.values() if isinstance(inner, Folder)]

    def below(self) -> "list[Folder]":
        """Return it with all directories below it, each before those in it."""
        found = [self]
        for folder in found:
            found += folder.folders()
        return found


def pack(folder: Folder) -> tuple[bytearray, int, int]:
    """Return the blocks of a directory, whose folders have their numbers, without what follows the last name.

    With them, where in the blocks the numbers have to be written of the directory and of the one that it is in.
    """
    names = sorted([*folder.names, b".", b".."])
    packed = bytearray()
    dots = [0, 0]
    first = used = 0
    for at, name in enumerate([*names, b"x" * BLOCK]):
        used += DIRENT.size + len(name)
        if used > BLOCK:  # the last name is one that fits nowhere
            inside = names[first:at]
            packed += bytes(-len(packed) % BLOCK)
            for number, dot in enumerate((b".", b"..")):
                if dot in inside:
                    dots[number] = len(packed) + DIRENT.size * inside.index(dot)
            packed += _block(inside, folder.names)
            first, used = at, DIRENT.size + len(name)
    return packed, *dots  # type: ignore[return-value]


def _block(names: list[bytes], nodes: Mapping[bytes, Folder | Node]) -> bytes:
    """Return the entries of a block; those of dots lack their numbers."""
    fields: list[int] = []
    for name, at in zip(names, accumulate(map(len, names), initial=DIRENT.size * len(names))):  # noqa: B905
        node = nodes.get(name, DIRECTORY)
        if isinstance(node, Folder):
            fields += (node.number, at, DIRECTORY)
        else:
            fields += (node >> 3, at, node & 7)
    return _dirents(len(names)).pack(*fields) + b"".join(names)


@cache
def _dirents(count: int) -> Struct:
    """Return the form of some `DIRENT`s, without what is 0; a block has 39 at most."""
    return Struct("<" + "QHBx" * count)


def fitting(end: int, head: int, tail: int) -> int:
    """Return where after `end` an inode can lie whose last `tail` bytes, after `head` others, are in one block.

    It is -1 where that is nowhere.
    """
    start = -(-end // SLOT) * SLOT
    for at in range(start, start + BLOCK, SLOT):
        if (at + head) % BLOCK + tail <= BLOCK:
            return at
    return -1
