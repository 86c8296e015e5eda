"""From the bytes of a Dockerfile to its logical lines: directives, comments, continuations, heredoc texts."""

import functools
import re

import msgspec

from .heredoc import Heredoc, Opener
from .mistakes import Malformed, shown
from .words import SPACE

LONGEST = 65535
"""Bytes in a line, not counting its end."""

LARGEST = 8 << 20
"""Bytes in a Dockerfile."""

_DIRECTIVES = ("syntax", "escape", "check")


class Line(msgspec.Struct, frozen=True):
    """A logical line: physical lines joined where they were continued, comments among them left out."""

    number: int
    """Of the first physical line, counted from 1."""
    text: str


class Lines:
    """Reads logical lines, forward only; `first` is the number of the first physical line.

    Raises:
        Malformed: from the constructor and from all methods: a line or the whole is too long or holds a NUL
            byte, a directive is wrong, or a heredoc has no end.
    """

    def __init__(self, data: bytes, file: str, first: int = 1) -> None:
        if len(data) > LARGEST:
            raise Malformed(file, first, f"the Dockerfile ({file}) is larger than {LARGEST} bytes")
        data = data.removeprefix(b"\xef\xbb\xbf")
        self._file = file
        self._before = first - 1
        text, self._is_utf8 = _decoded(data)
        self._lines = text.removesuffix("\n").split("\n") if text else []
        self._at = 0
        self.directives: dict[str, str] = {}
        self.warnings: list[str] = []

    @property
    def escape(self) -> str:
        """The character that escapes another one, or the end of a line."""
        return self.directives.get("escape", "\\")

    def read_directives(self) -> None:
        """Read the `# name=value` lines at the very top; the first other line, even a blank one, ends them."""
        while self._at < len(self._lines) and (match := _directive().fullmatch(self._peek())):
            name, value = match["name"].lower(), match["value"]
            if name not in _DIRECTIVES:
                return
            self._at += 1
            if name in self.directives:
                raise self._error(self._number, f"only one {name} parser directive can be used")
            if name == "escape" and value not in ("\\", "`"):
                raise self._error(self._number, f"invalid escape token '{shown(value)}' does not match ` or \\")
            self.directives[name] = value

    def next(self) -> Line | None:
        """Return the next line that says something, or None at the end."""
        while self._at < len(self._lines):
            first = self._take().lstrip(SPACE)
            if not first or first.startswith("#"):
                continue
            number = self._number
            text = self._continued(first)
            self._check_text(number, text)
            return Line(number, text)
        return None

    def heredoc(self, opener: Opener, opened: int) -> Heredoc:
        """Read the text of a heredoc that line number `opened` opens; it begins at the next physical line."""
        start = self._at
        while self._at < len(self._lines):
            last = self._take()
            if (last.lstrip("\t") if opener.strip_tabs else last) == opener.name:
                raw = "".join(f"{line}\n" for line in self._lines[start : self._at - 1])
                self._check_text(opened, raw)
                return Heredoc(opener, raw)
        reason = f"unterminated heredoc: no line after this one is just {shown(opener.name)}"
        raise self._error(opened, f"{reason}; if << is no heredoc here, quote it")

    def _continued(self, first: str) -> str:
        """Join a line with those that continue it."""
        text, more = self._cut(first)
        parts = [text]
        gap = False
        while more and self._at < len(self._lines):
            line = self._take()
            bare = line.lstrip(SPACE)
            if bare.startswith("#"):
                continue
            if not bare:
                gap = True
                continue
            text, more = self._cut(line)
            parts.append(text)
        whole = "".join(parts)
        if gap:
            self.warnings.append(f"[WARNING]: Empty continuation line found in: {whole}")
        return whole

    def _cut(self, line: str) -> tuple[str, bool]:
        """Return a line without the escape character that continues it, and whether there was one."""
        bare = line.rstrip(" \t")
        if bare.endswith(self.escape) and not bare.endswith(self.escape * 2):
            return bare[:-1], True
        return line, False

    def _take(self) -> str:
        line = self._peek()
        self._at += 1
        if len(line) > LONGEST or (len(line) > LONGEST // 4 and len(line.encode()) > LONGEST):
            raise self._error(self._number, f"dockerfile line greater than max allowed size of {LONGEST}")
        return line

    @property
    def _number(self) -> int:
        """Of the line taken last."""
        return self._before + self._at

    def _peek(self) -> str:
        return self._lines[self._at].rstrip("\r")

    def _check_text(self, number: int, text: str) -> None:
        if "\0" in text:
            raise self._error(number, "the text has a NUL byte: save the file as UTF-8")
        if not self._is_utf8 and "\ufffd" in text:
            self.warnings.append(f"[WARNING]: Line {number} is not UTF-8; what could not be read became \ufffd")

    def _error(self, number: int, reason: str) -> Malformed:
        return Malformed(self._file, number, reason)


def _decoded(data: bytes) -> tuple[str, bool]:
    """Return the text, and whether it is UTF-8 in all places."""
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode(errors="replace"), False


@functools.cache
def _directive() -> re.Pattern[str]:
    return re.compile(
        rf"[{SPACE}]*+#[{SPACE}]*+(?P<name>[a-zA-Z][a-zA-Z0-9]*+)[\t\n\f\r ]*+=[\t\n\f\r ]*+"
        r"(?P<value>.*[^\t\n\f\r ])[\t\n\f\r ]*+"
    )
