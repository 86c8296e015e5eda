"""Compressed streams, told by their first bytes, made by the standard library and by the real programs."""

import bz2
import gzip
import io
import itertools
import lzma
import random
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import peers
from tests.test_streams import Dribble

from lamina import compression
from lamina.compression import Corrupt, Gzip, decompressed, detect
from lamina.streams import CHUNK, Reader, chunks, copy

zstd = compression.zstd()

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
TEXT = random.Random(1).randbytes(5000) + b"abc" * 50_000


def plain(data: bytes) -> bytes:
    return b"".join(chunks(decompressed(Dribble(data, 10_000)), 4096))


@pytest.mark.parametrize("name", COMPRESS)
def test_detected_and_inflated(name: str) -> None:
    packed = COMPRESS[name](TEXT)
    assert detect(packed[:6]) == name
    assert plain(packed) == TEXT


@pytest.mark.parametrize("name", COMPRESS)
def test_of_nothing(name: str) -> None:
    assert plain(COMPRESS[name](b"")) == b""


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f", b"\x1f\x8b", b"plain text", bytes(1024), b"BZ", b"\xfd7zXZ"])
def test_what_is_not_compressed_passes(data: bytes) -> None:
    assert detect(data) == ""
    assert plain(data) == data


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("pause", [b"", bytes(1), bytes(1000)])
def test_members_and_frames_in_a_row_are_one_stream(name: str, pause: bytes) -> None:
    packed = pause.join(map(COMPRESS[name], [b"first ", b"", TEXT, b" last"])) + pause
    assert plain(packed) == b"first " + TEXT + b" last"


def test_gzip_with_all_optional_fields() -> None:
    packed = gzip.compress(TEXT)
    extra = b"\4\0ABCD"
    head = packed[:3] + bytes([2 | 4 | 8 | 16]) + packed[4:10] + extra + b"name\0" + b"comment\0"
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    assert plain(head + packed[10:]) == TEXT


@pytest.mark.parametrize(
    ("program", "options"), [("gzip", ["-1"]), ("gzip", ["-9"]), ("zstd", ["-3"]), ("zstd", ["-19", "--long=27"])]
)
def test_what_the_programs_make(program: str, options: list[str]) -> None:
    peers.need(peers.Tool(program).missing())
    packed = subprocess.run([program, "-c", *options], input=TEXT, capture_output=True, check=True).stdout
    assert plain(packed) == TEXT


@pytest.mark.parametrize("name", COMPRESS)
def test_an_early_end_is_an_error_wherever_it_is(name: str) -> None:
    packed = COMPRESS[name](b"some content " * 20)
    for end in range(6, len(packed)):
        with pytest.raises(Corrupt, match=f"{name} stream ends early"):
            plain(packed[:end])


@pytest.mark.parametrize("name", COMPRESS)
def test_a_second_member_that_ends_early(name: str) -> None:
    packed = COMPRESS[name](TEXT)
    with pytest.raises(Corrupt):
        plain(packed + packed[:-5])


@pytest.mark.parametrize("name", COMPRESS)
def test_junk_after_the_end_is_an_error(name: str) -> None:
    with pytest.raises(Corrupt, match=f"{name} stream is damaged"):
        plain(COMPRESS[name](TEXT) + b"this is no member of anything")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])  # a zstd frame need not have a checksum
def test_no_flipped_bit_goes_unnoticed(name: str) -> None:
    packed = COMPRESS[name](TEXT)
    spots = [at for at in range(6, len(packed), len(packed) // 50) if not (name == "gzip" and at < 10)]
    for at in spots:
        with pytest.raises(Corrupt):
            plain(packed[:at] + bytes([packed[at] ^ 16]) + packed[at + 1 :])


@given(st.sampled_from(sorted(COMPRESS)), st.binary(max_size=200))
def test_any_bytes_after_a_magic_are_a_stream_or_refused(name: str, tail: bytes) -> None:
    magic = next(magic for magic, known in compression._MAGICS.items() if known == name)
    try:
        plain(magic + tail)
    except Corrupt as error:
        assert name in str(error)  # noqa: PT017


class Zeros:
    """A compressed stream of very many zeros, made as it is read."""

    def __init__(self, name: str, size: int) -> None:
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31) if name == "gzip" else zstd.ZstdCompressor()
        pieces = (compressor.compress(bytes(CHUNK)) for _ in range(size // CHUNK))
        self._stream = itertools.chain(pieces, (compressor.flush() for _ in range(1)))
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while not self._rest:
            piece = next(self._stream, None)
            if piece is None:
                return b""
            self._rest = piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_bomb_is_inflated_piece_by_piece(name: str) -> None:
    size = 200 * CHUNK
    reader: Reader = decompressed(Zeros(name, size))
    tracemalloc.start()
    try:
        total = sum(len(data) for data in chunks(reader))
        assert tracemalloc.get_traced_memory()[1] < 10 * CHUNK
    finally:
        tracemalloc.stop()
    assert total == size


@pytest.mark.parametrize("name", COMPRESS)
def test_a_bomb_in_one_chunk_of_input(name: str) -> None:
    packed = io.BytesIO(COMPRESS[name](bytes(64 * CHUNK)))
    tracemalloc.start()
    try:
        assert len(decompressed(packed).read(10)) == 10
        assert tracemalloc.get_traced_memory()[1] < 16 * CHUNK
    finally:
        tracemalloc.stop()


class TestGzip:
    @pytest.mark.parametrize("level", [0, 1, 2, 3])
    def test_others_read_it(self, level: int) -> None:
        packed = self.pack(TEXT, level)
        assert gzip.decompress(packed) == TEXT
        assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout == TEXT

    def test_neither_name_nor_time(self) -> None:
        assert self.pack(TEXT)[3:8] == bytes(5)
        assert self.pack(TEXT) == self.pack(TEXT)

    def test_the_target_stays_open(self) -> None:
        target = io.BytesIO()
        Gzip(target).close()
        assert gzip.decompress(target.getvalue()) == b""

    def pack(self, data: bytes, level: int = 1) -> bytes:
        target = io.BytesIO()
        writer = Gzip(target, level)
        copy(Dribble(data, 1000), writer)
        writer.close()
        return target.getvalue()


@given(st.binary(max_size=12), st.integers(0, 8))
def test_peek(data: bytes, size: int) -> None:
    head, whole = compression.peek(Dribble(data, 2), size)
    assert head == data[:size]
    assert b"".join(chunks(whole, 3)) == data
    assert compression.peek(Dribble(data, 2), size)[1].read() == data
