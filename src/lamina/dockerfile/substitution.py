"""The lexer of `expand`: goes through a text once, and puts values in the place of variables."""

import functools
import re
from collections.abc import Mapping

from ..errors import InvalidArgument
from . import pattern
from .mistakes import quoted, shown

MOST = 1 << 20
"""Characters that the variables of one word may come to."""

_DEEPEST = 30
"""Braces within braces."""

Pieces = list[tuple[str, bool]]
"""Text, and whether blanks in it part words."""


class BadSubstitution(InvalidArgument):
    """A word has a quote or a brace without an end, an unknown modifier, or a variable that must be set and is not."""


class Expansion:
    """One text on its way to be expanded: `at` is the place that was reached."""

    def __init__(self, text: str, env: Mapping[str, str], escape: str, *, quotes: bool = True) -> None:
        self._text = text
        self._env = env
        self._escape = escape
        self._quotes = quotes
        self._at = 0
        self._left = MOST
        self._depth = 0

    def all(self) -> Pieces:
        """Return what the whole text comes to.

        Raises:
            BadSubstitution: see there.
        """
        return self._until("", raw=False)

    def _until(self, stop: str, *, raw: bool) -> Pieces:
        """Expand up to an unquoted `stop`, and go past it; `raw` keeps escapes, for they are a pattern's."""
        pieces: Pieces = []
        plain = _plain(self._escape, stop, quotes=self._quotes)
        while letter := self._peek():
            if letter == stop:
                self._at += 1
                return pieces
            if letter == "$":
                pieces.append((self._variable(), True))
            elif letter == self._escape:
                pieces.append((self._escaped(raw=raw), False))
            elif self._quotes and letter == "'":
                pieces.append((self._single_quoted(), False))
            elif self._quotes and letter == '"':
                pieces.append((self._double_quoted(raw=raw), False))
            else:
                pieces.append((self._run(plain), True))
        if stop:
            raise self._error(f"syntax error: missing '{stop}'")
        return pieces

    def _escaped(self, *, raw: bool) -> str:
        pair = self._text[self._at : self._at + 2]
        self._at += 2
        return pair if raw else pair[1:]

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise self._error("unexpected end of statement while looking for matching single-quote")
        start, self._at = self._at + 1, end + 1
        return self._text[start:end]

    def _double_quoted(self, *, raw: bool) -> str:
        self._at += 1
        parts: list[str] = []
        while letter := self._peek():
            if letter == '"':
                self._at += 1
                return "".join(parts)
            if letter == "$":
                parts.append(self._variable())
            elif letter == self._escape:
                parts.append(self._escaped_in_quotes(raw=raw))
            else:
                parts.append(self._run(_plain(self._escape, '"', quotes=False)))
        raise self._error("unexpected end of statement while looking for matching double-quote")

    def _escaped_in_quotes(self, *, raw: bool) -> str:
        """Go past an escape, which counts only before `"`, `$` and itself; in a pattern it is itself escaped."""
        self._at += 1
        special = self._peek() in ('"', "$", self._escape)
        return (self._escape if raw else "") + (self._take() if special else self._escape)

    def _variable(self) -> str:
        """Go past a `$` and what belongs to it, and return what that stands for."""
        self._at += 1
        if self._peek() == "{":
            self._at += 1
            self._depth += 1
            if self._depth > _DEEPEST:
                raise self._error(f"more than {_DEEPEST} braces in one another")
            value = self._braced()
            self._depth -= 1
            return self._charged(value)
        name = self._name()
        return self._charged(self._env.get(name, "")) if name else "$"

    def _braced(self) -> str:
        if self._peek() in ("{", "}", ":"):
            raise self._error("syntax error: bad substitution")
        name = self._name()
        modifier = self._take()
        if modifier == "}":
            return self._env.get(name, "")
        if modifier == "/":
            return self._replaced(name)
        if modifier in ("#", "%"):
            return self._trimmed(name, modifier)
        with_empty = modifier == ":"
        if with_empty:
            modifier += self._take()
        if modifier[-1:] in ("-", "+", "?"):
            return self._chosen(name, modifier[-1], with_empty=with_empty)
        if self._at == len(self._text):
            raise self._error("syntax error: missing '}'")
        raise self._error(f"unsupported modifier ({shown(modifier)}) in substitution")

    def _chosen(self, name: str, modifier: str, *, with_empty: bool) -> str:
        """Finish `${name-word}` and the like; `with_empty` says that an empty value counts as unset."""
        other = self._joined("}", raw=False)
        value = self._env.get(name)
        is_set = bool(value) if with_empty else value is not None
        if modifier == "+":
            return other if is_set else ""
        if is_set:
            return value or ""
        if modifier == "?":
            what = "empty" if value is not None else "unset"
            raise self._error(f"{shown(name)}: {shown(other) or f'is not allowed to be {what}'}")
        return other

    def _trimmed(self, name: str, modifier: str) -> str:
        match = self._joined("}", raw=True)
        longest = match.startswith(modifier)
        trim = pattern.without_prefix if modifier == "#" else pattern.without_suffix
        try:
            return trim(self._env.get(name, ""), match[longest:], longest=longest)
        except pattern.BadPattern as error:
            raise self._error(str(error)) from error

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        self._at += everywhere
        match = self._joined("/", raw=True)
        other = self._joined("}", raw=True)
        value = self._env.get(name, "")
        parts: list[str] = []
        done = 0
        try:
            for start, end in pattern.matches(value, match):
                parts += (value[done:start], self._charged(other))
                done = end
                if not everywhere:
                    break
        except pattern.BadPattern as error:
            raise self._error(str(error)) from error
        return "".join([*parts, value[done:]])

    def _name(self) -> str:
        found = _names().match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _joined(self, stop: str, *, raw: bool) -> str:
        return "".join(piece for piece, _ in self._until(stop, raw=raw))

    def _run(self, plain: re.Pattern[str]) -> str:
        """Go past letters that are not special."""
        found = plain.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return found[0]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        letter = self._peek()
        self._at += len(letter)
        return letter

    def _charged(self, value: str) -> str:
        self._left -= len(value)
        if self._left < 0:
            raise self._error(f"its variables come to more than {MOST} characters")
        return value

    def _error(self, reason: str) -> BadSubstitution:
        return BadSubstitution(f"failed to process {quoted(self._text)}: {reason}")


@functools.cache
def _plain(escape: str, stop: str, *, quotes: bool) -> re.Pattern[str]:
    special = "".join({escape, stop, "$", *("'\"" if quotes else "")})
    return re.compile(f"[^{re.escape(special)}]+")


@functools.cache
def _names() -> re.Pattern[str]:
    """Match a name, a number, or one special parameter; all are read alike, but a number ends before a letter."""
    return re.compile(r"\d+|[@*#?$!-]|\w+")
