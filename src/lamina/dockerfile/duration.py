"""Go's duration syntax: `1h30m`, `1.5s`, `250ms`."""

import functools
import re

from ..errors import InvalidArgument

MILLISECOND = 1_000_000
"""Nanoseconds."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek letter mu
    "ms": MILLISECOND,
    "s": 1_000 * MILLISECOND,
    "m": 60_000 * MILLISECOND,
    "h": 3_600_000 * MILLISECOND,
}
_MOST = (1 << 63) - 1


class BadDuration(InvalidArgument):
    """A text is not a duration."""


def nanoseconds(text: str) -> int:
    """Return a duration such as `1m30s`.

    Raises:
        BadDuration: it is no duration, or does not fit into 64 bits.
    """
    sign, rest = (text[0], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":
        return 0
    total = 0
    at = 0
    while match := _term().match(rest, at):
        at = match.end()
        total += _term_value(match["whole"], match["part"] or "", match["unit"])
    if not rest or at < len(rest) or total > _MOST:
        raise BadDuration(f"{text[:40]!r} is no duration: give one such as 30s, 1m30s or 500ms")
    return -total if sign == "-" else total


def spelled(nanoseconds: int) -> str:
    """Return a span of time as Go shows it, in the units that HEALTHCHECK has: `1m30s`, `500ms`, `0s`."""
    seconds, rest = divmod(nanoseconds, 10**9)
    if not seconds and rest:
        return f"{rest / 10**6:g}ms"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f"{rest / 10**9:.9f}".rstrip("0").rstrip(".")[1:] if rest else ""
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}{fraction}s"


def _term_value(whole: str, part: str, unit: str) -> int:
    if len(whole) > 19:
        return _MOST + 1
    part = part[:18]  # a billionth of an hour needs 13 digits
    scale: int = 10 ** len(part)
    return int(whole or 0) * _UNITS[unit] + int(part or 0) * _UNITS[unit] // scale


@functools.cache
def _term() -> re.Pattern[str]:
    units = "|".join(sorted(_UNITS, key=len, reverse=True))
    return re.compile(rf"(?=\.?[0-9])(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?(?P<unit>{units})(?=[0-9.]|\Z)")
