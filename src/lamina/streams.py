"""Readers that count, hash, limit or tee as bytes pass.

A reader here is anything with `read(size) -> bytes`; it may return fewer bytes than asked for, and returns
none only at the end. Wrappers do not close what they wrap.
"""

import hashlib
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from .errors import DataLoss, ResourceExhausted

CHUNK = 1 << 20
"""Bytes read at a time where nothing speaks for another size."""

CRC64 = "crc64"
"""An algorithm for `Hashed` beside hashlib's: CRC-64 (ISO), for what was hashed before. It proves nothing to others."""


class Reader(Protocol):
    """Where bytes come from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none only at the end; a negative size means all that is left."""
        ...


class Writer(Protocol):
    """Where bytes go to."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take all of `data`."""
        ...


class DigestMismatch(DataLoss):
    """The bytes read are not the bytes that were named."""

    def __init__(self, what: str, expected: str, actual: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {actual}")
        self.expected = expected
        self.actual = actual


class TooLarge(ResourceExhausted):
    """A stream goes on after the bound set for it."""

    http_status = 413


def chunks(source: Reader, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the rest of a reader in pieces of at most `size` bytes."""
    while data := source.read(size):
        yield data


def copy(source: Reader, target: Writer, size: int = CHUNK) -> int:
    """Write the rest of a reader to a writer; return the number of bytes."""
    total = 0
    for data in chunks(source, size):
        target.write(data)
        total += len(data)
    return total


def read_small(source: Reader, limit: int, what: str) -> bytes:
    """Return the rest of a reader that must not hold more than `limit` bytes.

    Raises:
        TooLarge: there are more.
    """
    parts: list[bytes] = []
    left = limit + 1
    while left and (data := source.read(left)):
        parts.append(data)
        left -= len(data)
    if not left:
        raise TooLarge(f"{what} is larger than {limit} bytes")
    return b"".join(parts)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _Crc64:
    """A hash as those of hashlib."""

    def __init__(self) -> None:
        from fastcrc import crc64  # noqa: PLC0415

        self._of = crc64.go_iso
        self._sum = 0

    def update(self, data: bytes, /) -> None:
        self._sum = self._of(data, self._sum)

    def hexdigest(self) -> str:
        return f"{self._sum:016x}"


class Hashed:
    """A reader that hashes and counts all that passes: `digest` and `count` hold for what was read so far."""

    def __init__(self, source: Reader, algorithm: str = "sha256") -> None:
        self._source = source
        self._hash: _Hash = _Crc64() if algorithm == CRC64 else hashlib.new(algorithm)
        self._algorithm = algorithm
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self.count += len(data)
        return data

    @property
    def digest(self) -> str:
        """The digest of the bytes read, as `algorithm:hex`."""
        return f"{self._algorithm}:{self._hash.hexdigest()}"


class Verified(Hashed):
    """A reader that raises at its end unless the bytes were those named; it never reads past `size`.

    Raises:
        DigestMismatch: from the `read` that meets the end, or the first byte too many.
    """

    def __init__(self, source: Reader, digest: str, size: int | None = None, what: str = "content") -> None:
        super().__init__(source, digest.partition(":")[0])
        self._expected = digest
        self._size = size
        self._what = what

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(chunks(self))
        if self._size is not None:
            size = min(size, self._size + 1 - self.count)
        data = super().read(size)
        if self._size is not None and self.count > self._size:
            raise DigestMismatch(self._what, f"{self._size} bytes", "more")
        if not data and size:
            self._check()
        return data

    def _check(self) -> None:
        if self._size is not None and self.count != self._size:
            raise DigestMismatch(self._what, f"{self._size} bytes", f"{self.count} bytes")
        if self.digest != self._expected:
            raise DigestMismatch(self._what, self._expected, self.digest)


class Limited:
    """A reader over the next `size` bytes of another one; a source that ends early is an error.

    Raises:
        DataLoss: from `read`, when the source ends before `size` bytes.
    """

    def __init__(self, source: Reader, size: int, what: str = "stream") -> None:
        self._source = source
        self._what = what
        self.left = size

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(chunks(self))
        size = min(size, self.left)
        if not size:
            return b""
        data = self._source.read(size)
        if not data:
            raise DataLoss(f"{self._what} ends {self.left} bytes early")
        self.left -= len(data)
        return data


class Tee:
    """A reader that also writes all that passes to `target`."""

    def __init__(self, source: Reader, target: Writer) -> None:
        self._source = source
        self._target = target

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._target.write(data)
        return data


class Slice:
    """A reader over `size` bytes at `offset` of an open file, by pread: many may read one file at a time."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._offset = offset
        self.left = size

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(chunks(self))
        size = min(size, self.left)
        if not size:
            return b""
        data = os.pread(self._fd, size, self._offset)
        if not data:
            raise DataLoss(f"file ends {self.left} bytes early")
        self._offset += len(data)
        self.left -= len(data)
        return data


class Pieces:
    """A reader over an iterator of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(chunks(self))
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            if 0 < len(piece) <= size:
                return piece
            self._rest = memoryview(piece)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


def spool(source: Reader, folder: str) -> BinaryIO:
    """Copy a reader to a file without a name in `folder`, and return it open at its start.

    The file is gone with its last descriptor, whatever happens.
    """
    file = nameless(folder)
    try:
        copy(source, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def nameless(folder: str) -> BinaryIO:
    """Open a new file without a name in `folder`, to write and to read again."""
    return open(_nameless(folder), "w+b")


def _nameless(folder: str) -> int:
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o600)
    except OSError:  # a file system without O_TMPFILE
        path = os.path.join(folder, f".tmp-{os.urandom(8).hex()}")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)
        return fd
