"""What part of a blob is asked for (RFC 9110, Range Requests)."""

from .codes import RangeInvalid


def parse(text: str, size: int) -> tuple[int, int] | None:
    """Return the first byte and the number of bytes of one range; None for the whole, as for what is no range.

    Raises:
        RangeInvalid: it lies outside of the `size` bytes there are.
    """
    unit, equals, spec = text.partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if unit.strip().lower() != "bytes" or not equals or not dash or not _are_numbers(first, last):
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= end:
        raise RangeInvalid(
            f"the blob has {size} bytes, and none in the range {spec[:50]!r}",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end - start


def _are_numbers(first: str, last: str) -> bool:
    return bool(first or last) and all(
        not text or (text.isascii() and text.isdigit() and len(text) < 20) for text in (first, last)
    )


def piece(text: str) -> tuple[int, int]:
    """Return the first byte and the number of bytes that a piece of an upload says it has (end-5): `0-9`.

    Raises:
        RangeInvalid: it says neither.
    """
    first, dash, last = text.removeprefix("bytes ").partition("/")[0].partition("-")
    if not dash or not first or not last or not _are_numbers(first, last) or int(last) < int(first):
        raise RangeInvalid(f"the Content-Range is {text[:50]!r}: expected first-last, both counted from 0")
    return int(first), int(last) - int(first) + 1
