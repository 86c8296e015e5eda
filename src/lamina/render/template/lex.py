"""Template text to tokens.

    text   {{   name .field $variable "quoted" `raw` 'c' 12 1.5 ( ) | := = ,   }}   text

`{{- ` and ` -}}` trim the white space of the text next to them; `{{/* a comment */}}` leaves no token.
White space inside an action is no token of its own: a token says whether some stood before it.
"""

import functools
import re

import msgspec

from .verbs import quote

SPACE = " \t\r\n"
KEYWORDS = frozenset(["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"])
_TERMINATORS = SPACE + ".,|:)("
_LITERALS = {"true": "bool", "false": "bool", "nil": "nil"}


class Token(msgspec.Struct, frozen=True):
    """One token; `at` is its place in the text, counted in characters."""

    kind: str
    text: str
    at: int
    line: int
    spaced: bool = False

    def __str__(self) -> str:
        """Return the token as a message names it."""
        if self.kind in ("error", "eof"):
            return self.text
        if self.kind in ("keyword", "dot", "nil"):
            return f"<{self.text}>"
        return quote(self.text[:10]) + ("..." if len(self.text) > 10 else "")


def tokens(text: str) -> list[Token]:
    """Return the tokens of a template; the last one is `eof`, or `error` with the reason as its text."""
    lexer = _Lexer(text)
    try:
        lexer.run()
    except _Bad as error:
        lexer.emit("error", lexer.pos, str(error))
    return lexer.found


class _Bad(Exception):
    """The text is no template; what was found before it still counts."""


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.found: list[Token] = []
        self._line = 1
        self._counted = 0
        self._spaced = False
        self._parens = 0

    def emit(self, kind: str, end: int, shown: str | None = None) -> None:
        """Add the token from `pos` to `end`, and step behind it."""
        self._line += self.text.count("\n", self._counted, self.pos)
        self._counted = self.pos
        shown = self.text[self.pos : end] if shown is None else shown
        self.found.append(Token(kind, shown, self.pos, self._line, self._spaced))
        self._spaced = False
        self.pos = end

    def run(self) -> None:
        while (start := self.text.find("{{", self.pos)) >= 0:
            trim = self._marks(start + 2, "-", SPACE)
            end = len(self.text[self.pos : start].rstrip(SPACE)) + self.pos if trim else start
            if end > self.pos:
                self.emit("text", end)
            self.pos = start
            if self.text.startswith("/*", start + 2 + 2 * trim):
                self._comment(start + 2 + 2 * trim)
            else:
                self.emit("{{", start + 2)
                self._action()
        if self.pos < len(self.text):
            self.emit("text", len(self.text))
        self.emit("eof", len(self.text), "EOF")

    def _marks(self, at: int, first: str, second: str) -> bool:
        pair = self.text[at : at + 2]
        return len(pair) == 2 and pair[0] in first and pair[1] in second

    def _comment(self, start: int) -> None:
        end = self.text.find("*/", start + 2)
        if end < 0:
            raise _Bad("unclosed comment")
        self.pos = end + 2
        if not self._at_close():
            raise _Bad("comment ends before closing delimiter")
        self._close(emit=False)

    def _at_close(self) -> bool:
        return self.text.startswith("}}", self.pos) or self._trims_right()

    def _trims_right(self) -> bool:
        return self._marks(self.pos, SPACE, "-") and self.text.startswith("}}", self.pos + 2)

    def _close(self, emit: bool = True) -> None:
        trim = self._trims_right()
        self.pos += 2 * trim
        if emit:
            self.emit("}}", self.pos + 2)
        else:
            self.pos += 2
        if trim:
            self.pos = self._skip(SPACE)

    def _skip(self, chars: str) -> int:
        end = self.pos
        while end < len(self.text) and self.text[end] in chars:
            end += 1
        return end

    def _action(self) -> None:
        self._parens = 0
        if self._marks(self.pos, "-", SPACE):
            self.pos += 2
        while not self._at_close():
            if self.pos >= len(self.text):
                raise _Bad("unclosed action")
            self._token(self.text[self.pos])
        if self._parens:
            raise _Bad("unclosed left paren")
        self._spaced = False
        self._close()

    def _token(self, char: str) -> None:
        following = self.text[self.pos + 1 : self.pos + 2]
        if char in SPACE:
            self.pos += 1
            self._spaced = True
        elif char in "\"'`":
            self._quoted(char)
        elif char == "$" or (char == "." and not ("0" <= following <= "9")):
            self._word("variable" if char == "$" else "field", self.pos + 1)
        elif char in "+-.0123456789":
            self._number()
        elif _is_word(char):
            self._word("name", self.pos)
        else:
            self._punctuation(char, following)

    def _punctuation(self, char: str, following: str) -> None:
        if char == ":" and following != "=":
            raise _Bad("expected :=")
        if char in "()":
            self._parens += 1 if char == "(" else -1
            if self._parens < 0:
                raise _Bad("unexpected right paren")
        if not (char.isascii() and char.isprintable()):
            raise _Bad(f"unrecognized character in action: {_code(char)}")
        kind = ":=" if char == ":" else char if char in "()|=" else "char"
        self.emit(kind, self.pos + len(kind if kind == ":=" else char))

    def _word(self, kind: str, start: int) -> None:
        end = start
        while end < len(self.text) and _is_word(self.text[end]):
            end += 1
        if end < len(self.text) and self.text[end] not in _TERMINATORS and not self.text.startswith("}}", end):
            raise _Bad(f"bad character {_code(self.text[end])}")
        word = self.text[self.pos : end]
        if kind == "name":
            kind = "keyword" if word in KEYWORDS else _LITERALS.get(word, "name")
        self.emit("dot" if word == "." else kind, end)

    def _quoted(self, quote: str) -> None:
        end = self.pos + 1
        while end < len(self.text) and (char := self.text[end]) != quote and (char != "\n" or quote == "`"):
            end += 2 if char == "\\" and quote != "`" and self.text[end + 1 : end + 2] != "\n" else 1
        if self.text[end : end + 1] != quote:
            name = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}[quote]
            raise _Bad(f"unterminated {name}")
        self.emit("rune" if quote == "'" else "string", end + 1)

    def _number(self) -> None:
        match = _numbers().match(self.text, self.pos)
        assert match is not None, "the pattern matches the empty text"
        end = match.end()
        after = self.text[end : end + 1]
        if after and (_is_word(after) or after in "+-"):  # a sign would make a complex number
            raise _Bad(f'bad number syntax: "{self.text[self.pos : end + 1]}"')
        self.emit("number", end)


def _is_word(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


@functools.cache
def _numbers() -> re.Pattern[str]:
    base = "|".join(rf"0{mark}[{digits}_]*(?:\.[{digits}_]*)?" for mark, digits in (("[oO]", "0-7"), ("[bB]", "01")))
    hexadecimal = r"0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    return re.compile(rf"[+-]?(?:{hexadecimal}|{base}|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?")


def _code(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")
