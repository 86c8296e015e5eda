"""Instants as text and back: nanoseconds since 1970 and RFC 3339, as Go writes and reads it.

All instants from the years 1 to 9999 can be written; Go's zero time, the first of them, is ZERO.
"""

import time

from ..errors import InvalidArgument

_SECOND = 10**9
_DAY = 86400
_DAYS_BEFORE_1970 = 719162
ZERO = -_DAYS_BEFORE_1970 * _DAY * _SECOND
"""`0001-01-01T00:00:00Z`: what Docker writes for a time that never was."""
_END = (3652059 - _DAYS_BEFORE_1970) * _DAY * _SECOND
_MONTHS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)


class InvalidTime(InvalidArgument):
    """A text is no time of RFC 3339, or a number no time of four-digit years."""


def now() -> str:
    """Return this instant as RFC 3339."""
    return rfc3339(time.time_ns())


def rfc3339(nanoseconds: int) -> str:
    """Return an instant in UTC; the fraction has as many digits as needed: `2026-11-24T03:04:11.023313175Z`.

    Raises:
        InvalidTime: the year is not within 1 to 9999.
    """
    date, clock, fraction = _parts(nanoseconds)
    return f"{date}T{clock}{fraction}Z"


def spelled(nanoseconds: int) -> str:
    """Return an instant in UTC as Docker's lists show it, in whole seconds: `2026-11-24 03:19:12 +0000 UTC`.

    Raises:
        InvalidTime: the year is not within 1 to 9999.
    """
    date, clock, _ = _parts(nanoseconds)
    return f"{date} {clock} +0000 UTC"


def parse_rfc3339(text: str) -> int:
    """Return the instant of a text, in nanoseconds since 1970; digits beyond them are dropped.

    Raises:
        InvalidTime: the text is no such time, or one outside of the years 1 to 9999.
    """
    date, clock, zone = text[:10], text[10:19], text[19:]
    year, month, day = _numbers(text, date, "dddd-dd-dd")
    hour, minute, second = _numbers(text, clock, "Tdd:dd:dd")
    fraction = ""
    if zone[:1] == ".":
        rest = zone[1:].lstrip("0123456789")
        fraction, zone = zone[1 : len(zone) - len(rest)], rest
    ahead, minutes = (0, 0) if zone == "Z" else _numbers(text, zone[1:], "dd:dd")
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    valid = (
        (zone[:1] in "+-" or zone == "Z")
        and (fraction != "" or text[19] != ".")
        and year >= 1
        and 1 <= month <= 12
        and 1 <= day <= _MONTHS[month] - _MONTHS[month - 1] + leap
        and max(hour, ahead) < 24
        and max(minute, second, minutes) < 60
    )
    if not valid:
        raise InvalidTime(f"{text!r} is no time of RFC 3339")
    offset = (ahead * 60 + minutes) * (-60 if zone[0] == "-" else 60)
    seconds = _days(year, month, day) * _DAY + hour * 3600 + minute * 60 + second - offset
    return _checked(seconds * _SECOND + int(fraction[:9].ljust(9, "0")))


def _numbers(text: str, part: str, shape: str) -> list[int]:
    """Return the numbers of a part; in its shape a `d` is a digit and all else stands for itself."""
    if len(part) != len(shape) or not all(
        "0" <= char <= "9" if want == "d" else char == want for char, want in zip(part, shape, strict=True)
    ):
        raise InvalidTime(f"{text!r} is no time of RFC 3339")
    return [int(number) for number in part.lstrip("T").replace("-", ":").split(":")]


def _checked(nanoseconds: int) -> int:
    if not ZERO <= nanoseconds < _END:
        raise InvalidTime(f"{nanoseconds} ns since 1970 is not within the years 1 to 9999")
    return nanoseconds


def _parts(nanoseconds: int) -> tuple[str, str, str]:
    seconds, below = divmod(_checked(nanoseconds), _SECOND)
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    fraction = f".{below:09}".rstrip("0") if below else ""
    return f"{year:04}-{month:02}-{day:02}", f"{hour:02}:{minute:02}:{second:02}", fraction


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar."""
    before = year - 1
    leap = month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    whole = before * 365 + before // 4 - before // 100 + before // 400
    return whole + _MONTHS[month - 1] + leap + day - 1 - _DAYS_BEFORE_1970
