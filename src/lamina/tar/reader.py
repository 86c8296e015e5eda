"""A tar stream as a sequence of entries, read once, in constant memory.

    for entry in (tar := Reader(stream, recorder)):
        for piece in tar.content():
            ...

A recorder sees every byte of the stream once, in its order: headers and padding as `raw`, contents as their
checksum or, where they will not lie on disk as a file, as `raw` too. See `split`.
"""

import os
from collections.abc import Callable, Iterator

from ..streams import CHUNK
from ..streams import Reader as Stream
from . import checksum, sparse
from .contract import Recorder
from .header import (
    BLOCK,
    EXTENSIONS,
    GNU_LINK,
    GNU_NAME,
    GNU_SPARSE,
    HARDLINK,
    PAX_GLOBAL,
    REGULAR,
    Entry,
    InvalidTar,
    ordinary,
    override,
    parse,
    pax_records,
    settle,
)
from .root import clean

MAX_EXTENSION = 1 << 20
"""The most bytes of pax headers and GNU long names that are read for one entry."""

_ZERO_BLOCK = bytes(BLOCK)
_EXTENDED = EXTENSIONS | {GNU_SPARSE}


class Reader:
    """Iterate over the entries of a tar stream; the content of one is gone when the next is asked for.

    The whole stream is read: what follows the end of the archive too. Only where there is no recorder and the
    stream can seek, contents that nobody asks for are passed over. Not thread-safe.

    Attributes:
        position: where in the stream the content of the current entry begins.

    Raises:
        InvalidTar: from the iteration, when the stream is damaged, ends early, or breaks a bound.
    """

    def __init__(self, stream: Stream, recorder: Recorder | None = None) -> None:
        self.position = 0
        self._stream = stream
        self._recorder = recorder
        self._buffer = b""
        self._view = memoryview(b"")
        self._at = 0
        self._offset = 0  # of the buffer in the stream
        self._left = 0  # of the content of the current entry
        self._seek: Callable[[int, int], object] | None = getattr(stream, "seek", None)
        self._stored = False  # the recorder takes that content as a file

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._ordinary() or self._other()) is not None:
            self._left = entry.size
            self._stored = self._recorder is not None and entry.sparse is None and self._recorder.stores(entry)
            self.position = self._offset + self._at
            yield entry
            padding = -entry.size % BLOCK
            end = self._at + self._left + padding
            if self._recorder is None and end <= len(self._buffer):
                self._at, self._left = end, 0
                continue
            self._skip()
            if self._recorder is not None and self._stored:
                self._recorder.file(entry)
            self._raw(padding)
        self._drain()

    def _ordinary(self) -> Entry | None:
        """Return the next entry if it is an ordinary file whose header has come."""
        at = self._at
        block = self._buffer[at : at + BLOCK]
        entry = ordinary(block)
        if entry is not None:
            self._at = at + BLOCK
            if self._recorder is not None:
                self._recorder.raw(block)
        return entry

    def _skip(self) -> None:
        """Pass over what is left of the content, without reading it where nobody has to see it."""
        ahead = self._left - (len(self._buffer) - self._at)
        if self._recorder is None and self._seek is not None and ahead > CHUNK:
            self._offset += len(self._buffer) + ahead
            self._seek(ahead, os.SEEK_CUR)
            self._buffer, self._view, self._at, self._left = b"", memoryview(b""), 0, 0
        for _ in self.content():
            pass

    def content(self) -> Iterator[memoryview]:
        """Yield what is left of the current entry's content, in pieces that stay valid."""
        take = None
        if self._recorder is not None:
            take = self._recorder.piece if self._stored else self._recorder.raw
        while self._left:
            at = self._at
            if at == len(self._buffer):
                self._fill(self._left)
                at = 0
            piece = self._view[at : at + self._left]
            size = len(piece)
            self._at = at + size
            self._left -= size
            if take:
                take(piece)
            yield piece

    def checksum(self) -> int:
        """Pass over what is left of the current entry's content; return its CRC-64 (ISO)."""
        at, end = self._at, self._at + self._left
        if self._recorder is None and end <= len(self._buffer):
            self._at, self._left = end, 0
            return checksum.of(self._view[at:end])
        found = 0
        for piece in self.content():
            found = checksum.of(piece, found)
        return found

    def _header_block(self) -> bytes | None:
        """Return the next block that is not zero, or None at the end of the archive."""
        if self._at == len(self._buffer) and not self._more():
            return None
        block = self._raw(BLOCK)
        if block != _ZERO_BLOCK:
            return block
        if self._at == len(self._buffer) and not self._more():
            return None
        block = self._raw(BLOCK)
        if block != _ZERO_BLOCK:
            raise InvalidTar(f"tar goes on after a zero block at byte {self._here - BLOCK}")
        return None

    def _other(self) -> Entry | None:
        """Return the next entry, of whatever kind it is, None at the end of the archive."""
        while (block := self._header_block()) is not None:
            if (entry := self._entry(block)) is not None:
                return entry
        return None

    def _entry(self, block: bytes) -> Entry | None:
        """Return the entry that begins with a header block, its extension headers included."""
        start = self._here - BLOCK
        entry = parse(block, start)
        if entry.type not in _EXTENDED:
            return settle(entry, start)
        records: list[tuple[bytes, bytes]] = []
        room = MAX_EXTENSION
        while entry.type in EXTENSIONS:
            data = self._extension(entry, room)
            room -= len(data) + BLOCK
            if entry.type == PAX_GLOBAL:
                return None
            if entry.type in (GNU_NAME, GNU_LINK):
                records.append((b"path" if entry.type == GNU_NAME else b"linkpath", data.split(b"\0", 1)[0]))
            else:
                records.extend(pax_records(data))
            block = self._raw(BLOCK)
            entry = parse(block, self._here - BLOCK)
        if records:
            override(entry, records)
        if entry.type == GNU_SPARSE or (records and entry.type == REGULAR):
            sparse.read(entry, block, records, self._raw)
        return settle(entry, start)

    def _extension(self, entry: Entry, room: int) -> bytes:
        if not 0 <= entry.size <= room:
            raise InvalidTar(
                f"tar extension header of {entry.size} bytes at byte {self._here - BLOCK}; "
                f"at most {MAX_EXTENSION} are read for one entry"
            )
        data = self._raw(entry.size)
        self._raw(-entry.size % BLOCK)
        return data

    @property
    def _here(self) -> int:
        """Where in the stream the next byte is."""
        return self._offset + self._at

    def _raw(self, size: int) -> bytes:
        """Return `size` bytes that are no content, and record them."""
        at = self._at
        data = self._buffer[at : at + size]
        if len(data) == size:
            self._at = at + size
        else:
            data = self._gather(size)
        if self._recorder is not None and size:
            self._recorder.raw(data)
        return data

    def _gather(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            if self._at == len(self._buffer):
                self._fill(size)
            part = self._buffer[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _fill(self, missing: int) -> None:
        if not self._more():
            raise InvalidTar(f"tar ends early: {missing} bytes are missing at byte {self._here}")

    def _more(self) -> bool:
        """Read the next chunk of the stream; the current one is used up."""
        self._offset += len(self._buffer)
        self._buffer = self._stream.read(CHUNK)
        self._view = memoryview(self._buffer)
        self._at = 0
        return bool(self._buffer)

    def _drain(self) -> None:
        """Read what follows the end of the archive, padding as a rule."""
        while True:
            if self._recorder is not None and self._at < len(self._buffer):
                self._recorder.raw(self._view[self._at :])
            if not self._more():
                return


class Below:
    """The entries of a reader, each under a directory: names and hard links alike.

    That of the root itself is left out, as Docker does: the directory is there, and stays what it is.
    """

    def __init__(self, reader: Reader, folder: bytes) -> None:
        self._reader = reader
        self._folder = folder

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._reader:
            path = clean(entry.name)
            if not path:
                continue
            entry.name = self._folder + b"/" + path
            if entry.type == HARDLINK:
                entry.linkname = self._folder + b"/" + clean(entry.linkname)
            yield entry

    def content(self) -> Iterator[memoryview]:
        """Yield what is left of the current entry's content."""
        return self._reader.content()
