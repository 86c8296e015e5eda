"""Heredocs: `<<NAME`, `<<-NAME` and `<<"NAME"` in RUN, COPY and ADD, by BuildKit's rules.

Which words open one does not depend on the escape directive: as in a shell, the escape is the backslash.
"""

import functools
import re

import msgspec

from .words import SPACE


class Opener(msgspec.Struct, frozen=True):
    """A word that opens a heredoc: the line that ends it, and how its text is to be read."""

    name: str
    expand: bool = True
    """Whether variables in the text are expanded: no part of the name was quoted."""
    strip_tabs: bool = False


class Heredoc(msgspec.Struct, frozen=True):
    """A heredoc with the lines up to the one that ended it, as they are in the file."""

    opener: Opener
    raw: str

    @property
    def text(self) -> str:
        """The lines without the leading tabs that `<<-` strips."""
        if not self.opener.strip_tabs:
            return self.raw
        return "\n".join(line.lstrip("\t") for line in self.raw.split("\n"))


def openers(text: str) -> list[Opener]:
    """Return the heredocs that the words of a line open; a line whose quotes are not closed opens none."""
    found: list[Opener] = []
    at = 0
    while at < len(text):
        match = _word().match(text, at)
        if match is None:
            return []
        at = match.end()
        if (opened := opener(match[0])) is not None:
            found.append(opened)
    return found


def opener(word: str) -> Opener | None:
    """Return the heredoc that a whole word opens, if it opens one."""
    match = _opener().fullmatch(word)
    if match is None:
        return None
    name, quoted = _unquoted(match["name"])
    return Opener(name, not quoted, match["dash"] == "-") if name else None


def _unquoted(name: str) -> tuple[str, bool]:
    """Return a name without its quotes, and whether it had any; no name if it is not one word."""
    parts: list[str] = []
    quoted = False
    at = 0
    while at < len(name):
        match = _part().match(name, at)
        if match is None:
            return "", False
        quoted = quoted or match.lastgroup in ("single", "double")
        text = match[match.lastgroup] if match.lastgroup else ""
        parts.append(_escaped().sub(r"\1", text) if match.lastgroup == "double" else text)
        at = match.end()
    return "".join(parts), quoted


@functools.cache
def _word() -> re.Pattern[str]:
    """Match blanks, or one word; blanks after `<<` belong to it."""
    return re.compile(
        rf"""[{SPACE}]++|(?:<<[\t\r ]*+|\\.|\\\Z|[^{SPACE}\\'"]|'[^']*+'|"(?:[^"\\]|\\.)*")+""", re.DOTALL
    )


@functools.cache
def _opener() -> re.Pattern[str]:
    return re.compile(r"[0-9]*+<<(?P<dash>-?)[\t\n\f\r ]*+(?P<name>[^<]*+)")


@functools.cache
def _part() -> re.Pattern[str]:
    return re.compile(
        rf"""(?P<plain>[^{SPACE}\\'"]++)|\\(?P<escaped>.)|\\\Z|'(?P<single>[^']*+)'|"(?P<double>(?:[^"\\]|\\.)*)\"""",
        re.DOTALL,
    )


@functools.cache
def _escaped() -> re.Pattern[str]:
    return re.compile(r'\\(["$\\])')
