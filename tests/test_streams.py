import io

from hypothesis import given
from hypothesis import strategies as st

from lamina import streams
from lamina.readahead import Ahead


@given(st.lists(st.binary(max_size=9)), st.integers(1, 12))
def test_pieces_are_one_stream_whatever_their_sizes(pieces: list[bytes], size: int) -> None:
    read = list(streams.chunks(streams.Pieces(iter(pieces)), size))
    assert b"".join(read) == b"".join(pieces)
    assert all(0 < len(data) <= size for data in read)


def test_a_piece_that_fits_is_not_copied() -> None:
    piece = bytes(1000)
    assert streams.Pieces(iter([b"", piece])).read(1000) is piece


@given(st.binary(max_size=40), st.integers(1, 9), st.integers(1, 9))
def test_reading_ahead_gives_the_same_bytes(data: bytes, chunk: int, size: int) -> None:
    with Ahead(io.BytesIO(data), depth=2, size=chunk) as ahead:
        assert b"".join(streams.chunks(ahead, size)) == data
