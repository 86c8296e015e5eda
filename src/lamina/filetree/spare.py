"""Contents that a layer's tar does not hold as they are to be seen: of files with holes, and of files from below.

They lie in a file of their own, the second device of the layer's image. What has a hole is cut into chunks; a chunk
that has data takes all of its room there, of which the file system stores what is not zeros.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from io import FileIO
from typing import NamedTuple

from ..erofs.layout import BLOCK, BLOCK_BITS, HOLE, MAX_CHUNK_BITS
from ..erofs.reader import Image, Inode
from ..erofs.writer import TooLarge
from ..errors import DataLoss
from ..files import open_regular
from ..tar import checksum
from ..tar.contract import Entries
from ..tar.header import Entry

_CHUNKS = 1024
"""Into which a file with holes is cut, and two more for each piece of it: its table is about as large as its map."""


_STEP = 1 << 16
"""Bytes that are hashed or copied at a time, unless they are all zeros."""


class Chunks(NamedTuple):
    """A file's content.

    Attributes:
        bits: the power of two of blocks in a chunk.
        blocks: where each chunk is; `HOLE` where all is zeros.
        checksum: of the content.
    """

    bits: int
    blocks: list[int]
    checksum: int


class Spare:
    """The file at `path`, made when the first content comes; a context manager.

    Contents are laid out by their order alone. Without a path, it is only said where they would be.

    Attributes:
        blocks: of the file.
        fresh: whether contents are written; else they are there already, and it is only said where.
    """

    def __init__(self, path: str = "", *, fresh: bool = False) -> None:
        self.fresh = fresh
        self._path = path
        self.blocks = 0
        self._file: FileIO | None = None

    def __enter__(self) -> "Spare":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    def sparse(self, entry: Entry, entries: Entries) -> Chunks:
        """Take the content of an entry with holes.

        Raises:
            TooLarge: all such contents together are larger than a device can be.
        """
        size, pieces = entry.sparse or (0, [])
        blocks = -(-size // BLOCK)
        room = -(-blocks // (_CHUNKS + 2 * len(pieces)))
        bits = min(max(0, room - 1).bit_length(), MAX_CHUNK_BITS)
        shift = bits + BLOCK_BITS
        table = [HOLE] * -(-blocks >> bits)
        for offset, length in pieces:
            for number in range(offset >> shift, offset + length + (1 << shift) - 1 >> shift) if length else ():
                if table[number] == HOLE:
                    table[number] = self._take(min(1 << bits, blocks - (number << bits)))
        found = checksum.Holed() if HOLE in table else checksum.Whole()
        for offset, data in _placed(pieces, entries.content()):
            found.add(offset, data)
            if self.fresh:  # a piece lies in one piece: its chunks were taken in a row
                _write(self._open(), data, table[offset >> shift] * BLOCK + offset % (1 << shift))
        return Chunks(bits, table, found.finish(size))

    def copy(self, image: Image, file: Inode, devices: list[str]) -> Chunks:
        """Take the content of a file of a layer below.

        Args:
            image: of that layer.
            file: in it.
            devices: the files that its contents lie in, by the number of the device less one.
        """
        blocks, bits = -(-file.size // BLOCK), file.chunk_bits
        table = [HOLE] * -(-blocks >> bits)
        for offset, size, device, position in image.pieces(file):
            first = table[offset >> BLOCK_BITS >> bits] = self._take(-(-size // BLOCK))
            if self.fresh:
                with open(open_regular(devices[device - 1]), "rb", buffering=0) as source:
                    self._copy(source.fileno(), position, first * BLOCK, size)
        return Chunks(bits, table, image.checksum(file.order))

    def finish(self) -> str:
        """Complete the file; return its digest, if there is a file."""
        if not self._path:
            return ""
        if self._file is not None:
            self._file.truncate(self.blocks * BLOCK)
        return digest(self._path)

    def _take(self, blocks: int) -> int:
        """Return the first of so many new blocks."""
        first = self.blocks
        self.blocks += blocks
        if self.blocks >= HOLE:
            raise TooLarge("contents of files with holes, and from layers below, of more than 2 TiB")
        return first

    def _copy(self, source: int, position: int, start: int, size: int) -> None:
        target = self._open()
        if os.fstat(source).st_size < position + size:
            raise DataLoss("a layer below has lost a part of a file's content")
        for at, data in _steps(source, position, position + size):
            _write(target, memoryview(data), start + at - position)

    def _open(self) -> int:
        if self._file is None:
            self._file = open(self._path, "r+b" if os.path.exists(self._path) else "x+b", buffering=0)  # noqa: SIM115
        return self._file.fileno()


def _placed(pieces: list[tuple[int, int]], content: Iterator[memoryview]) -> Iterator[tuple[int, memoryview]]:
    """Yield what is stored of a file with holes, and where in the file it lies."""
    rest = memoryview(b"")
    for offset, length in pieces:
        at, end = offset, offset + length
        while at < end:
            rest = rest or next(content)
            part, rest = rest[: end - at], rest[end - at :]
            yield at, part
            at += len(part)


def _write(fd: int, data: memoryview, at: int) -> None:
    while data:
        done = os.pwrite(fd, data, at)
        data, at = data[done:], at + done


def digest(path: str) -> str:
    """Return the SHA-256 in hex of a file's length and of all its steps that are not zeros, with their places.

    So holes cost nothing, however large they are.
    """
    found = hashlib.sha256()
    with open(open_regular(path), "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for at, data in _steps(file.fileno(), 0, size):
            found.update(at.to_bytes(8, "little"))
            found.update(data)
    found.update(size.to_bytes(8, "little"))
    return found.hexdigest()


def _steps(fd: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield where between two places a file has data that are not all zeros, and the data, a step at a time."""
    at = start
    while at < end:
        at += (_data(fd, at, end) - at) // _STEP * _STEP
        data = os.pread(fd, min(_STEP, end - at), at)
        if data.count(0) < len(data):
            yield at, data
        at += _STEP


def _data(fd: int, start: int, end: int) -> int:
    """Return where from one place on the disk has data, or the end."""
    try:
        return min(os.lseek(fd, start, os.SEEK_DATA), end)
    except OSError as error:
        if error.errno != errno.ENXIO:  # there is no more
            raise
        return end
