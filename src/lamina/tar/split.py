"""tar-split: all of a tar but the contents of its files, so that the tree gives the very same bytes back.

`tar-split.json.gz` in Docker's layerdb is gzip around one JSON object a line, in the order of the stream:

    {"type":2,"payload":"<base64>","position":0}                               a segment: bytes of the tar
    {"type":1,"name":"etc/passwd","size":9,"payload":"<base64>","position":1}  a file of the tree: its content

Type 1 stands for every entry, with its name as in the header (`name_raw` in base64 where that is not UTF-8).
Its payload is the CRC-64 (ISO, big-endian) of the content, null where there is none. What is in the tar but not
in the tree goes into segments whole: stored pieces of sparse files, files that a later entry of the same name
replaces, contents of whiteouts. A name stands in one type 1 record only: readers refuse a second one.

Source: github.com/vbatts/tar-split, tar/storage; its writers and readers take part in `tests/compat`.
"""

import binascii
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, BinaryIO

import msgspec

from ..compression import Gzip, decompressed
from ..decoding import NOT_JSON
from ..errors import DataLoss
from ..streams import CHUNK, Reader, Writer, nameless, spool
from . import reader, whiteout
from .checksum import of as _crc
from .header import Entry
from .root import Breakout, clean

_FILE, _SEGMENT = 1, 2
_MAX_LINE = 16 << 20
_ZEROS = bytes(CHUNK)

Open = Callable[[bytes], int]
"""Opens the file of the tree with a name as in the tar; returns a descriptor that the callee owns."""


class SplitDamaged(DataLoss):
    """A tar-split record cannot be read, or the tree is not the one it was made from."""


class _Record(msgspec.Struct, omit_defaults=True):
    type: Annotated[int, msgspec.Meta(ge=_FILE, le=_SEGMENT)]
    name: str = ""
    name_raw: bytes = b""
    size: Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)] = 0
    payload: bytes | None = None
    position: int = 0

    @property
    def path(self) -> bytes:
        return self.name_raw or self.name.encode()


class Recorder:
    """Writes the record of one tar as a `reader.Reader` passes it; `finish` completes it. A context manager.

    Args:
        file: an empty file, open to read and write; it is not closed.
        folder: where contents are kept that a later entry replaces.
    """

    def __init__(self, file: BinaryIO, folder: str) -> None:
        self._file = file
        self._folder = folder
        self._out = _Lines(file)
        self._segment: list[bytes | memoryview] = []
        self._pending = 0
        self._crc = 0
        self._names: set[int] = set()
        self._repeated = False
        self._kept: dict[tuple[int, bytes], tuple[int, int]] = {}
        self._spool: BinaryIO | None = None

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._spool is not None:
            self._spool.close()

    def raw(self, data: bytes | memoryview) -> None:
        self._segment.append(data)
        self._pending += len(data)
        if self._pending >= CHUNK:
            self._flush()

    def stores(self, entry: Entry) -> bool:
        try:
            path = clean(entry.name)
        except Breakout:
            return False
        key = hash(path)
        seen = key in self._names
        if entry.size and (not path or whiteout.is_special(path)):
            return False
        if seen and not entry.size:
            return False
        self._repeated |= seen
        self._names.add(key)
        self._crc = 0
        return True

    def piece(self, data: memoryview) -> None:
        self._crc = _crc(data, self._crc)

    def file(self, entry: Entry) -> None:
        self._flush()
        self._out.file(entry.name, entry.size, self._crc.to_bytes(8, "big") if entry.size else None)

    def keep(self, fd: int) -> None:
        """Keep the content of a file that is about to be replaced (the contract of `contract.Keeper`)."""
        size, crc = 0, 0
        if self._spool is None:
            self._spool = nameless(self._folder)
        start = self._spool.seek(0, os.SEEK_END)
        while data := os.read(fd, CHUNK):
            crc = _crc(data, crc)
            self._spool.write(data)
            size += len(data)
        if size:
            self._kept[size, crc.to_bytes(8, "big")] = (start, size)

    def finish(self) -> None:
        """Write what is left; rewrite the record if an entry replaced an earlier one."""
        self._flush()
        self._out.close()
        if self._repeated or self._kept:
            self._rewrite()

    def _flush(self) -> None:
        if self._pending:
            self._out.segment(b"".join(self._segment))
            self._segment.clear()
            self._pending = 0

    def _rewrite(self) -> None:
        """Turn the records of replaced files into segments, and leave one record a name."""
        self._file.seek(0)
        with spool(self._file, self._folder) as old:
            last = {clean(record.path): record.position for record in _records(old) if record.type == _FILE}
            old.seek(0)
            self._file.seek(0)
            self._file.truncate()
            self._out = _Lines(self._file)
            for record in _records(old):
                if record.type == _SEGMENT:
                    self.raw(record.payload or b"")
                elif record.payload and (place := self._kept.get((record.size, record.payload))):
                    self._replay(*place)
                elif record.size or last[clean(record.path)] == record.position:
                    self._flush()
                    self._out.file(record.path, record.size, record.payload)
        self._flush()
        self._out.close()

    def _replay(self, start: int, size: int) -> None:
        if self._spool is None:
            return
        self._spool.seek(start)
        while size:
            data = self._spool.read(min(size, CHUNK))
            self.raw(data)
            size -= len(data)


class _Lines:
    """Writes records as gzipped lines."""

    def __init__(self, target: Writer) -> None:
        self._gzip = Gzip(target)
        self._lines: list[bytes] = []
        self._size = 0
        self._position = 0

    def segment(self, data: bytes) -> None:
        self._line(b'{"type":2,"payload":"%b","position":%d}\n' % (_base64(data), self._position))

    def file(self, name: bytes, size: int, checksum: bytes | None) -> None:
        payload = b'"%b"' % _base64(checksum) if checksum else b"null"
        length = b'"size":%d,' % size if size else b""
        line = b'{"type":1,%b%b"payload":%b,"position":%d}\n' % (_name(name), length, payload, self._position)
        self._line(line)

    def close(self) -> None:
        self._gzip.write(b"".join(self._lines))
        self._gzip.close()

    def _line(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        self._position += 1
        if self._size >= CHUNK:
            self._gzip.write(b"".join(self._lines))
            self._lines.clear()
            self._size = 0


def _name(name: bytes) -> bytes:
    try:
        return b'"name":%b,' % msgspec.json.encode(name.decode()) if name else b""
    except UnicodeDecodeError:
        return b'"name_raw":"%b",' % _base64(name)


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


def assemble(split: Reader, open_file: Open) -> Iterator[bytes]:
    """Yield the tar that a record was made from, in pieces of a chunk or little less.

    Raises:
        SplitDamaged: the record is damaged, or a file is missing or not what it was.
    """
    parts: list[bytes] = []
    pending = 0
    for record in _records(split):
        for data in _parts(record, open_file):
            if pending + len(data) > CHUNK:
                yield b"".join(parts)
                parts.clear()
                pending = 0
            parts.append(data)
            pending += len(data)
    yield b"".join(parts)


def size(split: Reader) -> int:
    """Return the number of bytes that `assemble` yields.

    Raises:
        SplitDamaged: the record is damaged.
    """
    return sum(record.size if record.type == _FILE else len(record.payload or b"") for record in _records(split))


class Outline:
    """The entries of the tar that a record was made from; no file of the tree is opened. See `contract.Summed`.

    Contents that lie in the tree are zeros here, but have their checksums.

    Raises:
        SplitDamaged: from the iteration: the record is damaged.
        InvalidTar: from the iteration: what it holds is no tar.
    """

    def __init__(self, split: Reader) -> None:
        self._hollow = _Hollow(split)
        self._tar = reader.Reader(self._hollow)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._tar)

    def content(self) -> Iterator[memoryview]:
        return self._tar.content()

    @property
    def position(self) -> int:
        return self._tar.position

    def checksum(self) -> int:
        self._hollow.checksum = None
        found = self._tar.checksum()
        return found if self._hollow.checksum is None else self._hollow.checksum


class _Hollow:
    """The tar of a record, with zeros where the tree has the content; `checksum` is that of such content just read."""

    def __init__(self, split: Reader) -> None:
        self.checksum: int | None = None
        self._records = _records(split)
        self._left = 0

    def read(self, size: int = -1, /) -> bytes:
        while not self._left:
            record = next(self._records, None)
            if record is None:
                return b""
            if record.type == _SEGMENT and record.payload:
                return record.payload
            if record.size:
                self._left = record.size
                self.checksum = int.from_bytes(record.payload or b"", "big")
        data = _ZEROS[: self._left]
        self._left -= len(data)
        return data


def _parts(record: _Record, open_file: Open) -> Iterable[bytes]:
    if record.type == _SEGMENT:
        return (record.payload or b"",)
    return _content(record, open_file) if record.size else ()


def _content(record: _Record, open_file: Open) -> Iterator[bytes]:
    """Yield a file's content, checked."""
    try:
        fd = open_file(record.path)
    except OSError as error:
        raise SplitDamaged(f"{os.fsdecode(record.path)!r} cannot be read: {error.strerror}") from error
    crc, left = 0, record.size
    try:
        while left and (data := os.read(fd, min(left, CHUNK))):
            crc = _crc(data, crc)
            left -= len(data)
            yield data
    except OSError as error:
        raise SplitDamaged(f"{os.fsdecode(record.path)!r} cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)
    if left or crc.to_bytes(8, "big") != record.payload:
        raise SplitDamaged(f"file integrity checksum failed for {os.fsdecode(record.path)!r}")


def _records(split: Reader) -> Iterator[_Record]:
    decoder = msgspec.json.Decoder(_Record)
    stream = decompressed(split)
    rest = b""
    try:
        while data := stream.read(CHUNK):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            if len(rest) > _MAX_LINE:
                raise SplitDamaged("tar-split record longer than 16 MiB")
            for line in lines:
                yield decoder.decode(line)
        if rest.strip():
            yield decoder.decode(rest)
    except NOT_JSON as error:
        raise SplitDamaged(f"tar-split record is damaged: {error}") from error
