"""The patterns of `${name#pattern}` and its kin: `*` is any text, `?` one character, a backslash escapes them.

Each works on the parts between stars, which have a fixed length, so that no pattern takes more time than its
length times that of the value.
"""

import functools
import re
from collections.abc import Iterator
from typing import TypeAlias

from ..errors import InvalidArgument
from .mistakes import quoted, shown

LONGEST = 1024
"""Characters in a pattern."""

_Parts: TypeAlias = tuple[str, ...]
"""The expressions of what stands between the stars."""


class BadPattern(InvalidArgument):
    """A pattern escapes what needs no escape, ends in a backslash, or is too long."""


def without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """Return a value without the shortest, or the longest, beginning that matches.

    Raises:
        BadPattern: see there.
    """
    end = _end(value, 0, _parts(pattern), longest=longest)
    return value if end is None else value[end:]


def without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """Return a value without the shortest, or the longest, end that matches.

    Raises:
        BadPattern: see there.
    """
    backward = value[::-1]
    end = _end(backward, 0, _parts(pattern, backward=True), longest=longest)
    return value if end is None else backward[end:][::-1]


def matches(value: str, pattern: str) -> Iterator[tuple[int, int]]:
    """Yield the places that match, from left to right, each as long as can be.

    An empty match next to the one before is left out.

    Raises:
        BadPattern: see there.
    """
    parts = _parts(pattern)
    at = 0
    last = -1
    while at <= len(value) and (found := _expression(parts[0]).search(value, at)):
        end = _end(value, found.start(), parts, longest=True)
        if end is None:  # what follows the first part is not there, nor will it be further on
            return
        if end > found.start() or end != last:
            yield found.start(), end
        last = end
        at = end if end > found.start() else end + 1


def _end(value: str, start: int, parts: _Parts, *, longest: bool) -> int | None:
    """Return where a match that begins at `start` ends: each part is taken where it first occurs, but the last."""
    match = _expression(parts[0]).match(value, start)
    for part in parts[1:-1]:
        match = match and _expression(part).search(value, match.end())
    if match and len(parts) > 1:
        last = _expression(parts[-1], after_most=True) if longest else _expression(parts[-1])
        match = last.match(value, match.end()) if longest else last.search(value, match.end())
    return match.end() if match else None


def _parts(pattern: str, *, backward: bool = False) -> _Parts:
    if len(pattern) > LONGEST:
        raise BadPattern(f"the pattern {quoted(pattern)} has more than {LONGEST} characters")
    letters = list(_letters(pattern))
    parts: list[list[str]] = [[]]
    for letter in reversed(letters) if backward else letters:
        if letter == "*":
            parts.append([])
        else:
            parts[-1].append(letter)
    return tuple("".join(part) for part in parts)


def _letters(pattern: str) -> Iterator[str]:
    """Yield an expression for each character, and `*` for stars; an escaped brace or slash is just that."""
    letters = iter(pattern)
    for letter in letters:
        if letter != "\\":
            yield {"*": "*", "?": "."}.get(letter) or re.escape(letter)
            continue
        escaped = next(letters, "")
        if not escaped or escaped not in "*?\\}/":
            raise BadPattern(
                f"invalid pattern ({quoted(pattern)}) in substitution: invalid escape '\\{shown(escaped)}'"
            )
        yield re.escape(escaped)


@functools.lru_cache(256)
def _expression(part: str, *, after_most: bool = False) -> re.Pattern[str]:
    return re.compile(f".*{part}" if after_most else part, re.DOTALL)
