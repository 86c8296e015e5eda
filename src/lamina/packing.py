"""Streams compressed by several threads, to the same bytes whatever their number.

gzip is one member (RFC 1952). Its pieces of a megabyte are deflated each by itself and end with a full flush, so that
they can stand one after the other (RFC 1951, section 3.2.4), and its checksum is put together from theirs. That costs
0.2 % of the size. zstd is one frame (RFC 8878) that libzstd makes in jobs of its own.

    with packed(target, Recipe("gzip", 1), threads=2) as writer:
        writer.write(data)
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .compression import Gzip, zstd
from .streams import Writer

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

LEVELS = {"gzip": range(4), "zstd": range(1, 20)}
"""The levels that a compression has; the usual ones are 1 and 3."""

PIECE = 1 << 20
"""Bytes that are deflated by themselves. Other bytes would come out with another number, as with other jobs of zstd."""

_IN_PIECES = " in pieces"
_JOB, _OVERLAP = 2 << 20, 9  # a job of zstd sees a whole window of what is before it
_MOST_THREADS = 4
"""More would wait for the one that reads and hashes."""

_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflated; no name and no time; made on no system in particular
_END = b"\x03\0"  # a last block without content


class Recipe(NamedTuple):
    """What determines the compressed bytes, beside the input and the version of the library.

    Attributes:
        name: `gzip` or `zstd`.
        level: one of `LEVELS`.
        whole: made in one go, by one thread. So lamina compressed once; what was sent so is made again in that way.
    """

    name: str
    level: int
    whole: bool = False

    @property
    def maker(self) -> str:
        """What is to be noted beside the bytes, as it makes them what they are: library, version, level, way."""
        if self.name == "gzip":
            import isal  # noqa: PLC0415

            made = f"gzip isal {isal.__version__} level {self.level}"
        else:
            made = f"zstd {zstd().zstd_version} level {self.level}"
        return made if self.whole else made + _IN_PIECES


def usual(name: str, level: int) -> Recipe:
    """Return how a compression is made: in pieces, where the library can do that."""
    return Recipe(name, level, name == "zstd" and not zstd().CompressionParameter.nb_workers.bounds()[1])


def recipe_of(maker: str) -> Recipe | None:
    """Return the recipe that was noted as a maker, None where other bytes would come out here."""
    name, *words = maker.split(" ")
    if name not in LEVELS or "level" not in words[:-1]:
        return None
    level = words[words.index("level") + 1]
    found = Recipe(name, int(level) if level in map(str, LEVELS[name]) else -1, not maker.endswith(_IN_PIECES))
    return found if found.maker == maker else None


def processors() -> int:
    """Return how many threads are of use."""
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)


Spare = Callable[[], Callable[[], None] | None]
"""Lends a processor to a thread beside the caller's, if there is one left: returns what gives it back."""


@contextlib.contextmanager
def packed(target: Writer, recipe: Recipe, threads: int = 1, spare: Spare = lambda: lambda: None) -> Iterator[Writer]:
    """Compress what a block writes into `target`, which stays open; the stream's end is written if the block ends well.

    At most one piece a thread and one more are in memory. No thread is left, however the block ends.

    Args:
        target: gets what is compressed.
        recipe: determines that.
        threads: that compress at a time, the caller's among them.
        spare: says for each piece whether another thread may have it, where others have work too; libzstd asks nobody.
    """
    if recipe.name == "zstd":
        frame = _Zstd(target, recipe, threads)
        yield frame
        frame.close()
    elif recipe.whole:
        member = Gzip(target, recipe.level)
        yield member
        member.close()
    else:
        with _Turns(threads, spare) as turns:
            pieces = _Pieces(target, recipe.level, turns)
            yield pieces
            pieces.close()


class _Zstd:
    """A writer of one frame; libzstd's threads end with it."""

    def __init__(self, target: Writer, recipe: Recipe, threads: int) -> None:
        library = zstd()
        kind = library.CompressionParameter
        options = {kind.compression_level: recipe.level}
        if not recipe.whole:
            options |= {kind.nb_workers: threads, kind.job_size: _JOB, kind.overlap_log: _OVERLAP}
        self._target = target
        self._stream = library.ZstdCompressor(options=options)

    def write(self, data: bytes | memoryview, /) -> None:
        if out := self._stream.compress(data):
            self._target.write(out)

    def close(self) -> None:
        self._target.write(self._stream.flush())


class _Piece(NamedTuple):
    size: int
    checksum: int
    deflated: tuple[bytes, bytes]


class _Pieces:
    """A writer of one gzip member."""

    def __init__(self, target: Writer, level: int, turns: "_Turns") -> None:
        self._target = target
        self._level = level
        self._turns = turns
        self._rest = bytearray()
        self._size = 0
        self._checksum = 0
        target.write(_HEADER)

    def write(self, data: bytes | memoryview, /) -> None:
        left = memoryview(data if isinstance(data, bytes) else bytes(data))
        while left:
            if len(left) >= PIECE and not self._rest:
                piece, left = left[:PIECE], left[PIECE:]
                self._begin(piece)
                continue
            room = PIECE - len(self._rest)
            self._rest += left[:room]
            left = left[room:]
            if len(self._rest) == PIECE:
                self._begin_rest()

    def close(self) -> None:
        """Write what is left, and the end."""
        if self._rest:
            self._begin_rest()
        for piece in self._turns.all():
            self._end(piece)
        size = (self._size % (1 << 32)).to_bytes(4, "little")
        self._target.write(_END + self._checksum.to_bytes(4, "little") + size)

    def _begin_rest(self) -> None:
        rest, self._rest = self._rest, bytearray()
        self._begin(memoryview(rest))

    def _begin(self, data: memoryview) -> None:
        for piece in self._turns.add(lambda: _deflated(data, self._level)):
            self._end(piece)

    def _end(self, piece: _Piece) -> None:
        from isal import isal_zlib  # noqa: PLC0415

        self._checksum = isal_zlib.crc32_combine(self._checksum, piece.checksum, piece.size)
        self._size += piece.size
        for part in piece.deflated:
            self._target.write(part)


def _deflated(data: memoryview, level: int) -> _Piece:
    """Deflate a piece to whole bytes, after which any other piece may come."""
    from isal import isal_zlib  # noqa: PLC0415

    stream = isal_zlib.compressobj(level, isal_zlib.DEFLATED, -15)
    deflated = stream.compress(data), stream.flush(isal_zlib.Z_FULL_FLUSH)
    return _Piece(len(data), isal_zlib.crc32(data), deflated)


class _Turns:
    """Work done by threads, this one among them, whose results come in the order that it was given in."""

    def __init__(self, threads: int, spare: Spare) -> None:
        self._others = threads - 1
        self._spare = spare
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[_Piece] | _Piece] = deque()

    def add(self, work: Callable[[], _Piece]) -> Iterator[_Piece]:
        """Have some work done, by another thread if one is free for it; yield what is done and has its turn."""
        under_way = sum(not _is_done(one) for one in self._waiting)
        back = self._spare() if under_way < self._others else None
        self._waiting.append(self._beside(work, back) if back else work())
        while self._waiting and (len(self._waiting) > self._others or _is_done(self._waiting[0])):
            yield _result(self._waiting.popleft())

    def _beside(self, work: Callable[[], _Piece], back: Callable[[], None]) -> "Future[_Piece]":
        """Have another thread do some work, and give back what that needs."""

        def done() -> _Piece:
            try:
                return work()
            finally:
                back()

        if self._pool is None:
            from concurrent import futures  # noqa: PLC0415

            self._pool = futures.ThreadPoolExecutor(self._others)
        return self._pool.submit(done)

    def all(self) -> Iterator[_Piece]:
        """Yield all that is left, when it is done."""
        while self._waiting:
            yield _result(self._waiting.popleft())

    def __enter__(self) -> "_Turns":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()  # what is under way gives back what it was lent


def _is_done(one: "Future[_Piece] | _Piece") -> bool:
    return isinstance(one, _Piece) or one.done()


def _result(one: "Future[_Piece] | _Piece") -> _Piece:
    return one if isinstance(one, _Piece) else one.result()
