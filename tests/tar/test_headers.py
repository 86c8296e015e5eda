"""The short way through the headers of ordinary files beside the way of all headers."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.tars import file, tar

from lamina.tar.header import BLOCK, DIRECTORY, REGULAR, Entry, InvalidTar, blocks, ordinary, parse, settle
from lamina.tar.reader import Reader

PLAIN = blocks(Entry(b"etc/passwd", REGULAR, 0o640, 7, 8, 4242, 1_700_000_000 * 10**9))


def changed(block: bytes, offset: int, data: bytes) -> bytes:
    """Return a header with another field, and the checksum that it has then."""
    block = block[:offset] + data + block[offset + len(data) :]
    return block[:148] + b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256) + block[156:]


_fields = st.sampled_from(
    [(0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155)]
)
_texts = st.sampled_from(
    [b"-0000000001", b"00000000017", b" 17 \0", b"0o17\0", b"\xff" * 12, b"\x80" + bytes(11), b"a/"]
)


def test_an_ordinary_file() -> None:
    assert ordinary(PLAIN) == settle(parse(PLAIN, 0), 0)
    for magic in (b"ustar  \0", bytes(8)):
        assert ordinary(changed(changed(PLAIN, 257, magic), 345, b"no prefix")) is not None


@pytest.mark.parametrize(
    "block",
    [
        b"",
        PLAIN[:-1],
        PLAIN[:100] + b"1" + PLAIN[101:],  # a wrong checksum
        changed(PLAIN, 345, b"prefix"),
        changed(PLAIN, 156, DIRECTORY),
        changed(PLAIN, 0, b"etc/passwd/"),
        changed(PLAIN, 124, b"-0000000001"),
        changed(PLAIN, 124, b"000000000017"),
        changed(PLAIN, 108, b"\xff" * 8),
        changed(PLAIN, 157, b"link"),
        bytes(BLOCK),
    ],
)
def test_what_is_not_ordinary(block: bytes) -> None:
    assert ordinary(block) is None


@example(changes=[((124, 12), b"-0000000001")])
@given(changes=st.lists(st.tuples(_fields, _texts | st.binary(max_size=24)), max_size=3))
def test_both_ways_say_the_same(changes: list[tuple[tuple[int, int], bytes]]) -> None:
    block = PLAIN
    for (offset, size), data in changes:
        block = changed(block, offset, data[:size])
    try:
        found = ordinary(block)
    except InvalidTar:
        with pytest.raises(InvalidTar):
            settle(parse(block, 0), 0)
        return
    assert found is None or found == settle(parse(block, 0), 0)


def test_many_global_headers_are_read_over() -> None:
    block = changed(PLAIN, 156, b"g")
    block = changed(block, 124, b"%011o\0" % 0)
    data = block * 5000 + tar(file("a", b"x"))
    assert [entry.name for entry in Reader(io.BytesIO(data))] == [b"a"]
