"""Readers that count, hash, limit, tee: whatever the sizes of what they read from and of what is asked for."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina import streams
from lamina.errors import DataLoss
from lamina.streams import (
    CRC64,
    DigestMismatch,
    Hashed,
    Limited,
    Pieces,
    Reader,
    Slice,
    Tee,
    TooLarge,
    Verified,
    chunks,
    copy,
    read_small,
)


class Dribble:
    """A source that gives few bytes at a time, as a socket does."""

    def __init__(self, data: bytes, most: int = 3) -> None:
        self._file = io.BytesIO(data)
        self._most = most

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size if size < 0 else min(size, self._most))


class Endless:
    def read(self, size: int = -1, /) -> bytes:
        assert size >= 0, "all of an endless stream was asked for"
        return bytes(size)


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def drain(source: Reader, sizes: list[int]) -> bytes:
    """Read to the end, asking for some sizes in turn."""
    parts: list[bytes] = []
    at = 0
    while data := source.read(sizes[at % len(sizes)]):
        parts.append(data)
        at += 1
    return b"".join(parts)


_data = st.binary(max_size=60)
_sizes = st.lists(st.integers(1, 20) | st.just(-1), min_size=1, max_size=4)

WRAPPERS: dict[str, Callable[[bytes], Reader]] = {
    "Hashed": lambda data: Hashed(Dribble(data)),
    "Verified": lambda data: Verified(Dribble(data), sha256(data), len(data)),
    "Verified without a size": lambda data: Verified(Dribble(data), sha256(data)),
    "Limited": lambda data: Limited(Dribble(data + b"more"), len(data)),
    "Tee": lambda data: Tee(Dribble(data), io.BytesIO()),
    "Pieces": lambda data: Pieces(data[at : at + 7] for at in range(0, len(data), 7)),
    "Pieces, some empty": lambda data: Pieces(iter([b"", data, b"", data[:0]])),
}


@pytest.mark.parametrize("name", WRAPPERS)
@given(data=_data, sizes=_sizes)
def test_every_wrapper_gives_the_very_bytes(name: str, data: bytes, sizes: list[int]) -> None:
    reader = WRAPPERS[name](data)
    assert drain(reader, sizes) == data
    assert reader.read(1) == b"", "the end stays the end"


@pytest.mark.parametrize("name", WRAPPERS)
@given(data=_data, taken=st.integers(1, 10))
def test_all_that_is_left_is_all(name: str, data: bytes, taken: int) -> None:
    reader = WRAPPERS[name](data)
    assert reader.read(taken) + reader.read() == data


@given(_data, _sizes)
def test_hashed(data: bytes, sizes: list[int]) -> None:
    reader = Hashed(Dribble(data))
    drain(reader, sizes)
    assert (reader.digest, reader.count) == (sha256(data), len(data))


def test_hashed_by_another_algorithm() -> None:
    reader = Hashed(io.BytesIO(b"abc"), "sha512")
    reader.read()
    assert reader.digest == "sha512:" + hashlib.sha512(b"abc").hexdigest()


@given(_sizes)
def test_summed_up(sizes: list[int]) -> None:
    """The check value of CRC-64/GO-ISO in the catalogue of CRC algorithms."""
    reader = Hashed(Dribble(b"123456789"), CRC64)
    drain(reader, sizes)
    assert reader.digest == "crc64:b90956c775a41001"


class TestVerified:
    @pytest.mark.parametrize("size", [None, 5])
    @pytest.mark.parametrize("ask", [1, 5, 100, -1])
    def test_other_bytes(self, size: int | None, ask: int) -> None:
        reader = Verified(io.BytesIO(b"hallo"), sha256(b"hello"), size, "the blob")
        with pytest.raises(DigestMismatch, match=r"^the blob: expected sha256:2cf2.*, got sha256:d3751.*") as caught:
            drain(reader, [ask])
        assert (caught.value.expected, caught.value.actual) == (sha256(b"hello"), sha256(b"hallo"))
        assert isinstance(caught.value, DataLoss)

    @pytest.mark.parametrize("ask", [1, 3, 100, -1])
    def test_too_few(self, ask: int) -> None:
        with pytest.raises(DigestMismatch, match="content: expected 5 bytes, got 3 bytes"):
            drain(Verified(io.BytesIO(b"hel"), sha256(b"hel"), 5), [ask])

    @pytest.mark.parametrize("ask", [1, 5, 6, 100, -1])
    def test_too_many(self, ask: int) -> None:
        with pytest.raises(DigestMismatch, match="content: expected 5 bytes, got more"):
            drain(Verified(io.BytesIO(b"hello, more"), sha256(b"hello"), 5), [ask])

    def test_it_never_reads_far_past_the_size(self) -> None:
        with pytest.raises(DigestMismatch):
            drain(Verified(Endless(), sha256(b""), 1000), [-1])

    def test_sha512(self) -> None:
        name = "sha512:" + hashlib.sha512(b"abc").hexdigest()
        assert drain(Verified(io.BytesIO(b"abc"), name, 3), [2]) == b"abc"

    @pytest.mark.parametrize("data", [b"", b"x"])
    def test_all_at_once_is_checked_too(self, data: bytes) -> None:
        with pytest.raises(DigestMismatch):
            Verified(io.BytesIO(data), sha256(b"y")).read()


class TestLimited:
    def test_an_early_end(self) -> None:
        reader = Limited(io.BytesIO(b"abc"), 5, "the layer")
        assert reader.read(3) == b"abc"
        with pytest.raises(DataLoss, match="the layer ends 2 bytes early"):
            reader.read(1)

    def test_the_source_is_left_where_it_ends(self) -> None:
        source = io.BytesIO(b"abcdef")
        assert Limited(source, 4).read() == b"abcd"
        assert source.read() == b"ef"


@given(st.lists(st.binary(max_size=9)), st.integers(1, 12))
def test_pieces_are_one_stream_whatever_their_sizes(pieces: list[bytes], size: int) -> None:
    read = list(chunks(Pieces(iter(pieces)), size))
    assert b"".join(read) == b"".join(pieces)
    assert all(0 < len(data) <= size for data in read)


def test_a_piece_that_fits_is_not_copied() -> None:
    piece = bytes(1000)
    assert Pieces(iter([b"", piece])).read(1000) is piece


def test_tee() -> None:
    target = io.BytesIO()
    assert drain(Tee(Dribble(b"abcdef"), target), [4]) == b"abcdef"
    assert target.getvalue() == b"abcdef"


class TestSlice:
    def test_many_read_one_file(self, tmp_path: Path) -> None:
        path = tmp_path / "f"
        path.write_bytes(b"0123456789")
        with open(path, "rb") as file:
            one, two = Slice(file.fileno(), 2, 5), Slice(file.fileno(), 4, 6)
            assert (one.read(2), two.read(3), one.read(), two.read(99), one.read(1)) == (
                b"23",
                b"456",
                b"456",
                b"789",
                b"",
            )

    def test_a_file_that_is_too_short(self, tmp_path: Path) -> None:
        path = tmp_path / "f"
        path.write_bytes(b"0123")
        with open(path, "rb") as file, pytest.raises(DataLoss, match="file ends 3 bytes early"):
            drain(Slice(file.fileno(), 2, 5), [10])


@given(_data, st.integers(1, 70))
def test_chunks_and_copy(data: bytes, size: int) -> None:
    assert all(0 < len(piece) <= size for piece in chunks(io.BytesIO(data), size))
    target = io.BytesIO()
    assert copy(Dribble(data), target, size) == len(data)
    assert target.getvalue() == data


@given(_data, st.integers(0, 70))
def test_read_small(data: bytes, limit: int) -> None:
    if len(data) <= limit:
        assert read_small(Dribble(data), limit, "it") == data
        return
    with pytest.raises(TooLarge, match=f"it is larger than {limit} bytes"):
        read_small(Dribble(data), limit, "it")


def test_read_small_stops_reading() -> None:
    with pytest.raises(TooLarge):
        read_small(Endless(), 1000, "it")


class TestSpool:
    def test_the_file_has_no_name(self, tmp_path: Path) -> None:
        with streams.spool(Dribble(b"abcdef"), str(tmp_path)) as file:
            assert list(tmp_path.iterdir()) == []
            assert file.read() == b"abcdef"

    def test_a_failure_leaves_nothing(self, tmp_path: Path) -> None:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(DataLoss):
            streams.spool(Limited(io.BytesIO(b"abc"), 5), str(tmp_path))
        assert list(tmp_path.iterdir()) == []
        assert os.listdir("/proc/self/fd") == before
