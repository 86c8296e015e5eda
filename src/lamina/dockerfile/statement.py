"""One line of a Dockerfile, taken apart as far as all instructions are alike."""

import msgspec

from . import heredoc, words
from .heredoc import Heredoc, Opener
from .lines import Line
from .mistakes import Malformed

_WITH_HEREDOCS = ("ADD", "COPY", "RUN")


class Statement(msgspec.Struct, frozen=True):
    """A keyword, its flags, and the rest of the line."""

    file: str
    line: int
    text: str
    """The whole line as it was joined."""
    keyword: str
    """As written; see `kind`."""
    flags: tuple[str, ...]
    """Words that begin with `--`, without quotes."""
    rest: str
    escape: str
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def kind(self) -> str:
        """The keyword in capitals."""
        return self.keyword.upper()

    @property
    def source(self) -> str:
        """The line as the builder prints it."""
        return self.text.strip(words.SPACE)

    def error(self, reason: str) -> Malformed:
        """Return the error that says what is wrong with this line."""
        return Malformed(self.file, self.line, reason)

    def openers(self) -> list[Opener]:
        """Return the heredocs that follow: only ADD, COPY and RUN have any, also under ONBUILD, and not in JSON.

        Raises:
            Malformed: see `array`.
        """
        inner = self.trigger() if self.kind == "ONBUILD" else self
        if inner.kind not in _WITH_HEREDOCS or "<<" not in inner.rest or inner.array() is not None:
            return []
        return heredoc.openers(inner.rest)

    def trigger(self) -> "Statement":
        """Return the line that an ONBUILD holds."""
        return split(Line(self.line, self.rest), self.file, self.escape)

    def array(self, text: str | None = None) -> tuple[str, ...] | None:
        """Return the strings of the JSON array that the rest (or `text`) is; None if it is something else.

        Raises:
            Malformed: it is an array, but not of strings.
        """
        text = self.rest if text is None else text
        if not text.startswith("["):
            return None
        try:
            array: list[object] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return None
        except RecursionError:
            array = [None]
        strings = tuple(item for item in array if isinstance(item, str))
        if len(strings) < len(array):
            raise self.error("when using JSON array syntax, arrays must be comprised of strings only")
        if any("\0" in string for string in strings):
            raise self.error("a string with a NUL character cannot be an argument")
        return strings


def split(line: Line, file: str, escape: str) -> Statement:
    """Take a line apart; what its heredocs hold is to be added."""
    keyword, rest = words.cut(line.text.strip(words.SPACE))
    flags, rest = words.flags(rest, escape)
    return Statement(file, line.number, line.text, keyword, flags, rest, escape)
