r"""File name patterns, as Go's filepath.Match reads them.

*        any characters but `/`
?        one character but `/`
[a-z]    one character of a class; `[^a-z]` one that is not in it
\\x       the character x
"""

import enum
import functools
import re
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from ..errors import InvalidArgument
from .mistakes import quoted, shown


class BadPattern(InvalidArgument):
    """A pattern has a class without an end, or ends in a backslash."""


class Wild(enum.Enum):
    """What stands for characters that the pattern does not name."""

    ONE = "?"
    MANY = "*"


class Class(msgspec.Struct, frozen=True):
    """One character in, or with `negated` outside of, any of the ranges."""

    negated: bool
    ranges: tuple[tuple[str, str], ...]


Token: TypeAlias = str | Wild | Class
"""One part of a pattern; a string is one character."""


def match(pattern: str, path: str) -> bool:
    """Tell whether all of a path matches.

    Raises:
        BadPattern: see there.
    """
    return _compiled(pattern).fullmatch(path) is not None


def is_pattern(text: str) -> bool:
    """Tell whether a source of COPY or ADD is a pattern rather than a path: it has `*`, `?` or `[` unescaped."""
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            next(letters, None)
        elif letter in "*?[":
            return True
    return False


def tokens(pattern: str) -> Iterator[Token]:
    """Yield the parts of a pattern.

    Raises:
        BadPattern: see there.
    """
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "[":
            found, at = _class(pattern, at + 1)
            yield found
            continue
        if letter == "\\":
            at += 1
            if at == len(pattern):
                raise BadPattern(f"bad pattern {quoted(pattern)}: nothing follows the last backslash")
            yield pattern[at]
        else:
            yield Wild(letter) if letter in "*?" else letter
        at += 1


def accepts(token: Token, letter: str) -> bool:
    """Tell whether a part of a pattern, other than a `*`, is a character."""
    if isinstance(token, str):
        return token == letter
    if isinstance(token, Class):
        return any(low <= letter <= high for low, high in token.ranges) != token.negated
    return letter != "/"


def _class(pattern: str, at: int) -> tuple[Class, int]:
    """Read a class whose bracket ends at `at`."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern.startswith("]", at)):
        low, at = _member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _member(pattern, at + 1)
        if high < low:
            raise BadPattern(f"bad pattern {quoted(pattern)}: the range {shown(low)}-{shown(high)} is empty")
        ranges.append((low, high))
    return Class(negated, tuple(ranges)), at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    escaped = pattern.startswith("\\", at)
    at += escaped
    if at >= len(pattern) or (not escaped and pattern[at] in "-]"):
        raise BadPattern(f"bad pattern {quoted(pattern)}: a class [...] is empty or has no end")
    return pattern[at], at + 1


@functools.lru_cache(256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return an expression that takes linear time: each part between stars is taken where it first occurs."""
    parts: list[list[str]] = [[]]
    for token in tokens(pattern):
        if token is Wild.MANY:
            parts.append([])
        else:
            parts[-1].append(_expression(token))
    first, *rest = ("".join(part) for part in parts)
    middle = "".join(f"(?>[^/]*?{part})" for part in rest[:-1])
    last = f"[^/]*{rest[-1]}" if rest else ""
    return re.compile(first + middle + last, re.DOTALL)


def _expression(token: Token) -> str:
    if isinstance(token, Class):
        ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in token.ranges)
        return f"[{'^' if token.negated else ''}{ranges}]"
    return "[^/]" if token is Wild.ONE else re.escape(str(token))
