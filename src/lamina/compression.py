"""Compressed streams: look at the first bytes, never at a name or a media type, and wrap the stream.

gzip goes through ISA-L, zstd through the standard library's API of Python 3.14, bzip2 and xz through the
standard library. Concatenated gzip members and zstd frames are one stream, as their formats say
(RFC 1952 section 2.2, RFC 8878 section 3).
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from .errors import DataLoss
from .streams import Pieces, Reader, Writer

_MAGICS = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_LONGEST = 6
READ = 1 << 18
"""Bytes that are read at a time."""
_PIECE = (1 << 16) + 4096
"""Bytes of input at a time. More than the headers of a gzip member have, whose extra field may have 64 KiB, and few, as
a decompressor copies what it has left at the end of every member."""
_MOST = 120 << 10
"""Bytes of output at a time. From 128 KiB on, malloc asks the kernel for new memory each time, which costs a third more
time than inflating does."""


class Corrupt(DataLoss):
    """A compressed stream is damaged or ends early."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int = -1, /) -> bytes: ...


def detect(head: bytes) -> str:
    """Name the compression that `head`, the first bytes of a stream, begins: `""` for none known."""
    for magic, name in _MAGICS.items():
        if head.startswith(magic):
            return name
    return ""


def peek(source: Reader, size: int = _LONGEST) -> tuple[bytes, Reader]:
    """Return the first `size` bytes of a reader (fewer if it is shorter) and a reader that has them still."""
    parts: list[bytes] = []
    missing = size
    while missing and (data := source.read(missing)):
        parts.append(data)
        missing -= len(data)
    head = b"".join(parts)
    return head, _Joined(head, source)


def decompressed(source: Reader) -> Reader:
    """Return a reader of the plain bytes, whatever compression the source has, none included.

    Memory is bounded whatever the ratio: a chunk of input is inflated piece by piece.

    Raises:
        Corrupt: from `read`, when the stream is damaged or ends early.
    """
    head, whole = peek(_Joined(source.read(READ), source))  # a read of a few bytes is a step of its own to all below
    name = detect(head)
    return Pieces(_inflate(whole, name)) if name else whole


class _Joined:
    def __init__(self, head: bytes, rest: Reader) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        if size < 0 or size > len(self._head):
            data, self._head = self._head + self._rest.read(size if size < 0 else size - len(self._head)), b""
        else:
            data, self._head = self._head[:size], self._head[size:]
        return data


def _inflate(source: Reader, name: str) -> Iterator[bytes]:
    new, failures = _decompressor(name)
    stream, data, given = new(), _beginning(memoryview(b""), source), 0
    part = data[:0]
    while True:
        if stream.needs_input:
            if given == len(data):
                data, given = memoryview(source.read(READ)), 0
            part = data[given : given + _PIECE]
            given += len(part)
            if not part:
                raise Corrupt(f"{name} stream ends early")
        try:
            plain = stream.decompress(part, _MOST)
        except failures as error:
            raise Corrupt(f"{name} stream is damaged: {error}") from error
        part = data[:0]
        if plain:
            yield plain
        if stream.eof:
            data, given = _beginning(data[given - len(stream.unused_data) :], source), 0
            if not data:
                return
            stream = new()


def _beginning(data: memoryview, source: Reader) -> memoryview:
    """Return the next member from its first byte, `data` being read already: nothing at the end.

    ISA-L reads a header with several optional fields only where it comes in one piece.
    """
    if len(data) >= _PIECE and data[0]:
        return data
    head = bytes(data).lstrip(b"\0")  # padding after the end is allowed
    while len(head) < _PIECE and (more := source.read(READ)):
        head = (head + more).lstrip(b"\0")
    return memoryview(head)


def _decompressor(name: str) -> tuple[Callable[[], _Decompressor], tuple[type[Exception], ...]]:
    """Return what makes a decompressor, and what it raises; a module is loaded when its format is met."""
    if name == "gzip":
        from isal import igzip_lib  # noqa: PLC0415

        failure = cast(type[Exception], igzip_lib.error)  # the stub calls it an instance
        return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), (failure, EOFError)
    if name == "zstd":
        library = zstd()
        return library.ZstdDecompressor, (library.ZstdError, EOFError)
    if name == "bzip2":
        import bz2  # noqa: PLC0415

        return bz2.BZ2Decompressor, (OSError, EOFError)
    import lzma  # noqa: PLC0415

    return lzma.LZMADecompressor, (lzma.LZMAError, EOFError)


def zstd() -> Any:
    """Return the module that does zstd: the standard library's, or the one that stands in for it."""
    try:
        from compression import zstd as library  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - Python 3.14
    except ImportError:
        from backports import zstd as library  # noqa: PLC0415
    return library


class Gzip:
    """A writer that deflates to `target`; `close` ends the stream and leaves the target open.

    The bytes depend only on the input, the level (0 to 3) and the version of ISA-L: no name and no time.
    """

    def __init__(self, target: Writer, level: int = 1) -> None:
        from isal import isal_zlib  # noqa: PLC0415

        self._target = target
        self._stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, 31)

    def write(self, data: bytes | memoryview, /) -> None:
        if out := self._stream.compress(data):
            self._target.write(out)

    def close(self) -> None:
        """Write what is left and the trailer."""
        self._target.write(self._stream.flush())
