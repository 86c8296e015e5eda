"""What the headers of a registry's answers say. All come from strangers: what is malformed is as good as absent."""

import re
from functools import cache
from typing import NamedTuple

_LONGEST = 16 << 10
"""The longest header that is read."""

_WARNINGS = 4096
"""What a registry may send of warnings in one answer."""

_DATE, _DIGITS = 64, 19


class Challenge(NamedTuple):
    """One way to say who we are: `basic` or `bearer`, and what it needs."""

    scheme: str
    parameters: dict[str, str]


class Span(NamedTuple):
    """The bytes that a partial answer has: the first, the last, and how many there are in all (None: not said)."""

    first: int
    last: int
    total: int | None


def challenges(text: str) -> list[Challenge]:
    """Return what WWW-Authenticate asks for (RFC 9110, section 11.6.1)."""
    found: list[Challenge] = []
    position, text = 0, text[:_LONGEST]
    while match := _item().match(text, position):
        position = match.end()
        if match["scheme"]:
            found.append(Challenge(match["scheme"].lower(), {}))
        elif found:
            quoted = match["quoted"]
            value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1].parameters.setdefault(match["name"].lower(), value)
    return found


@cache
def _item() -> re.Pattern[str]:
    """Match a parameter, or the scheme that begins a challenge."""
    word = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    value = r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
    return re.compile(rf"[\s,]*(?:(?P<name>{word})\s*=\s*{value}|(?P<scheme>{word})(?=\s|,|$))")


def next_page(text: str) -> str:
    """Return the URL of the next page in a Link header, or nothing (RFC 8288)."""
    for target, parameters in _link().findall(text[:_LONGEST]):
        if re.search(r';\s*rel\s*=\s*"?next"?\s*(?:;|$)', parameters, re.IGNORECASE):
            return str(target)
    return ""


@cache
def _link() -> re.Pattern[str]:
    return re.compile(r'<([^<>]*)>((?:\s*;\s*[a-zA-Z*-]+\s*=\s*(?:"[^"]*"|[^\s,;"]+))*)')


def content_range(text: str) -> Span | None:
    """Return what a Content-Range says: `bytes 5-9/10`, `bytes 5-9/*`; None for anything else."""
    match = re.fullmatch(r"\s*bytes\s+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\s*", text, re.ASCII)
    if not match:
        return None
    first, last, total = int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])
    return Span(first, last, total) if first <= last and (total is None or last < total) else None


def length(text: str) -> int | None:
    """Return what a Content-Length says; None where it says nothing."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else None


def received(text: str) -> int | None:
    """Return how many bytes of an upload a registry has, by the Range of its answer: `0-9` are ten.

    `0-0` is none for some registries and one byte for others, so it is not an answer: None, as for what is malformed.
    """
    match = re.fullmatch(r"\s*(?:bytes=)?0-([0-9]{1,19})\s*", text, re.ASCII)
    return int(match[1]) + 1 if match and int(match[1]) else None


def warnings(text: str) -> list[str]:
    """Return what Warning headers have to tell a person (distribution-spec main, Warnings; RFC 7234, section 5.5)."""
    found = re.findall(r'(?:^|,)\s*299 - "((?:[^"\\]|\\.)*)"(?=\s*(?:,|$))', text[:_WARNINGS])
    return [_utf8(re.sub(r"\\(.)", r"\1", one)) for one in found]


def _utf8(text: str) -> str:
    """Return a header's text, which was read as Latin-1, as it was meant."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def seconds(text: str, now: float) -> float | None:
    """Return the seconds that a Retry-After asks for, in figures or as a date; None where it says nothing.

    Args:
        text: the header.
        now: the time, in seconds since the epoch.
    """
    if re.fullmatch(r"\s*[0-9]{1,9}(?:\.[0-9]{1,9})?\s*", text, re.ASCII):
        return float(text)
    if not text:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - dates are rare

    try:
        return max(0.0, parsedate_to_datetime(text[:_DATE]).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
