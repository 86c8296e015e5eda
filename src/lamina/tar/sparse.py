"""Files with holes, in the four forms that GNU tar has written (tar manual, Storing Sparse Files).

    old GNU   type S; the map in the header and in blocks that follow it
    pax 0.0   GNU.sparse.{offset,numbytes} records, repeated
    pax 0.1   GNU.sparse.map record: offset,size,offset,size,...
    pax 1.0   GNU.sparse.major=1; the map as decimal lines before the content

Only the pieces with data are stored; the reader's entry says where each belongs.
"""

from collections.abc import Callable

from .header import BLOCK, GNU_SPARSE, REGULAR, Entry, InvalidTar, decimal, number

MAX_PIECES = 1 << 20
"""The largest map that is read, in pieces."""

MAX_SIZE = 16 << 40
"""The largest file with holes, in bytes: ext4's bound, so that no other file system takes what cannot be copied."""

_PAIR = 24
Raw = Callable[[int], bytes]


def read(entry: Entry, block: bytes, records: list[tuple[bytes, bytes]], raw: Raw) -> None:
    """Set `entry.sparse` if the entry is a file with holes; `raw` reads on where its headers end.

    Raises:
        InvalidTar: the map is malformed, too long, or does not fit the sizes.
    """
    if entry.type == GNU_SPARSE:
        size, numbers = number(block[483:495]), _old(block, raw)
        entry.type = REGULAR
    else:
        keys = {key[11:]: value for key, value in records if key.startswith(b"GNU.sparse.")}
        if not keys:
            return
        entry.name = keys.get(b"name", entry.name)
        if keys.get(b"major") == b"1":
            size, numbers = decimal(keys.get(b"realsize", b"")), _lines(entry, raw)
        else:
            size, numbers = decimal(keys.get(b"size", b"")), _listed(keys, records)
    pieces = list(zip(numbers[::2], numbers[1::2], strict=True)) if len(numbers) % 2 == 0 else []
    _check(entry, size, pieces)
    entry.sparse = (size, pieces)


def _old(block: bytes, raw: Raw) -> list[int]:
    numbers = _pairs(block[386:482])
    more = block[482]
    while more:
        block = raw(BLOCK)
        numbers += _pairs(block[:504])
        more = block[504]
        _bound(len(numbers))
    return numbers


def _pairs(table: bytes) -> list[int]:
    numbers: list[int] = []
    for at in range(0, len(table), _PAIR):
        if not table[at]:
            break
        numbers += (number(table[at : at + 12]), number(table[at + 12 : at + _PAIR]))
    return numbers


def _listed(keys: dict[bytes, bytes], records: list[tuple[bytes, bytes]]) -> list[int]:
    if b"map" in keys:
        words = keys[b"map"].split(b",") if keys[b"map"] else []
    else:
        words = [value for key, value in records if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes")]
    _bound(len(words))
    return [decimal(word) for word in words]


def _lines(entry: Entry, raw: Raw) -> list[int]:
    """Read the map that stands before the content, and take it off the entry's size."""
    numbers: list[int] = []
    rest = b""
    while not numbers or len(numbers) <= 2 * numbers[0]:
        entry.size -= BLOCK
        if entry.size < 0 or len(rest) > BLOCK:
            raise InvalidTar("sparse map without an end")
        *lines, rest = (rest + raw(BLOCK)).split(b"\n")
        for line in lines:
            if not numbers or len(numbers) <= 2 * numbers[0]:
                numbers.append(decimal(line))
        _bound(2 * numbers[0] if numbers else 0)
    return numbers[1 : 1 + 2 * numbers[0]]


def _bound(numbers: int) -> None:
    if numbers > 2 * MAX_PIECES:
        raise InvalidTar(f"sparse file of more than {MAX_PIECES} pieces")


def _check(entry: Entry, size: int, pieces: list[tuple[int, int]]) -> None:
    if size > MAX_SIZE:
        raise InvalidTar(f"sparse file {entry.name[:100]!r} of {size} bytes: at most {MAX_SIZE} are unpacked")
    end = 0
    for offset, length in pieces:
        if offset < end or length < 0:
            break
        end = offset + length
    else:
        if sum(length for _, length in pieces) == entry.size and end <= size:
            return
    raise InvalidTar(f"sparse map of {entry.name[:100]!r} does not fit its sizes")
