"""Sizes and spans of time for people, in the words of Docker."""

from collections.abc import Sequence

from ..errors import InvalidArgument

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_POWERS = "bkmgtp"
_LARGEST = (1 << 63) - 1
_HOUR = 3600


class InvalidSize(InvalidArgument):
    """A text is no size."""


def size(count: float) -> str:
    """Return a number of bytes in three digits of decimal units: `0B`, `1.24kB`, `409MB`."""
    return _scaled(count, 1000, _DECIMAL, ".3g")


def binary_size(count: float) -> str:
    """Return a number of bytes in four digits of binary units: `1.5MiB`."""
    return _scaled(count, 1024, _BINARY, ".4g")


def parse_size(text: str) -> int:
    """Return the bytes that a size means, in binary units of either case: `512`, `10m`, `1.5GiB`, `64 kb`.

    Raises:
        InvalidSize: this is no size, a negative one, or one past 63 bits.
    """
    number, space, unit = text.partition(" ")
    if not space:
        number = text.rstrip("".join(char for char in set(text) if not (char == "." or "0" <= char <= "9")))
        unit = text[len(number) :]
    if not number or not all(char in "+0123456789.eE" for char in number):
        raise InvalidSize(f"invalid size: '{text}'")
    power = _POWERS.find(unit[:1].lower())
    if power < 0 or unit[1:].lower() not in (("", "b", "ib") if power else ("",)):
        raise InvalidSize(f"invalid suffix: '{unit.lower()}'")
    try:
        count = float(number) * 1024**power
    except ValueError as error:
        raise InvalidSize(f"invalid size: '{text}'") from error
    if count > _LARGEST:
        raise InvalidSize(f"invalid size: '{text}' is more than 8EiB")
    return int(count)


def duration(seconds: float) -> str:
    """Return a span of time in words: `Less than a second`, `About a minute`, `3 weeks`."""
    whole, minutes, hours = int(seconds), int(seconds / 60), int(seconds / _HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / _HOUR) // 24 // 365} years"


def ago(seconds: float) -> str:
    """Return how long ago something was: `2 hours ago`."""
    return duration(seconds) + " ago"


def _scaled(count: float, base: int, units: Sequence[str], digits: str) -> str:
    power = 0
    while count >= base and power < len(units) - 1:
        count /= base
        power += 1
    return format(count, digits) + units[power]
