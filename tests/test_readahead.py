"""A reader whose source is read by another thread: the same bytes, the same errors, and no thread left."""

import io
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.errors import DataLoss
from lamina.readahead import Ahead
from lamina.streams import Limited, chunks


class Counting:
    """An endless source that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, size: int = -1, /) -> bytes:
        self.asked += 1
        return bytes(size)


@settings(max_examples=60)
@given(st.binary(max_size=100), st.integers(1, 3), st.integers(1, 30), st.integers(1, 40) | st.just(-1))
def test_the_very_bytes(data: bytes, depth: int, size: int, ask: int) -> None:
    with Ahead(io.BytesIO(data), depth, size) as ahead:
        assert b"".join(chunks(ahead, ask)) == data
        assert ahead.read(5) == b""
        assert ahead.read() == b""


def test_it_reads_ahead_but_not_without_bound() -> None:
    source = Counting()
    with Ahead(source, 3, 10) as ahead:
        assert ahead.read(10) == bytes(10)
        while source.asked < 4:  # the reader's thread goes on by itself
            pass
    assert source.asked <= 3 + 1 + 2


def test_an_error_comes_where_it_belongs_and_again() -> None:
    with Ahead(Limited(io.BytesIO(b"abcdef"), 9), 2, 4) as ahead:
        assert ahead.read(4) == b"abcd"
        assert ahead.read(4) == b"ef"
        for _ in range(2):
            with pytest.raises(DataLoss, match="ends 3 bytes early"):
                ahead.read(1)


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_leaving_stops_the_thread_wherever_it_is(taken: int) -> None:
    before = threading.active_count()
    with Ahead(Counting(), 2, 10) as ahead:
        for _ in range(taken):
            ahead.read(7)
    assert threading.active_count() == before


def test_leaving_after_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Ahead(io.BytesIO(b"x")) as ahead:
        ahead.read()
    assert not ahead._thread.is_alive()


def test_an_error_of_the_block_goes_through() -> None:
    with pytest.raises(ZeroDivisionError), Ahead(Counting(), 1, 10) as ahead:
        ahead.read(1 // 0)
