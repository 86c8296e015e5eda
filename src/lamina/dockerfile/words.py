"""How a line falls into words: blanks, quotes and the escape character, as BuildKit's parser sees them."""

import functools
import re

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The characters that are stripped from lines and part quoted words (Go's unicode.IsSpace)."""


def cut(text: str) -> tuple[str, str]:
    """Split a stripped line at its first blanks; the second part is empty where there are none."""
    first, *rest = _blanks().split(text, maxsplit=1)
    return first, rest[0] if rest else ""


def fields(text: str) -> tuple[str, ...]:
    """Split a stripped text at blanks, whatever its quotes."""
    return tuple(_blanks().split(text)) if text else ()


def split(text: str, escape: str) -> list[str]:
    """Split a text at blanks that are neither quoted nor escaped; quotes and escapes stay in the words.

    A quote that is never closed reaches to the end, and an escape character at the very end is dropped.
    """
    return [match[0] for match in _word(escape).finditer(text)]


def flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """Return the leading words that begin with `--`, without their quotes and escapes, and the text after them.

    The word `--` ends the flags and is dropped.
    """
    found: list[str] = []
    at = 0
    while text.startswith("--", at) and (match := _word(escape, in_quotes=True).match(text, at)):
        at = match.end()
        flag = _bare(match[0], escape)
        if flag == "--":
            break
        found.append(flag)
        at = _gap(text, at)
    return tuple(found), text[at:].strip(SPACE)


def _gap(text: str, at: int) -> int:
    """Return where the blanks at a place end."""
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def _bare(word: str, escape: str) -> str:
    """Return a flag without quotes and escapes; an escape counts in either kind of quotes."""
    kept: list[str] = []
    quote = ""
    letters = iter(word)
    for letter in letters:
        if letter == quote:
            quote = ""
        elif letter in "'\"" and not quote:
            quote = letter
        else:
            kept.append(next(letters, "") if letter == escape else letter)
    return "".join(kept)


@functools.cache
def _blanks() -> re.Pattern[str]:
    return re.compile(r"[\t\v\f\r ]+")


@functools.cache
def _word(escape: str, *, in_quotes: bool = False) -> re.Pattern[str]:
    """Match one word; `in_quotes` says that an escape counts in single quotes too.

    Nothing here can match in two ways, and nothing stands behind it for which it would give something back: time is
    linear. (Possessive groups, which would say so, match wrongly in Python before 3.11.5.)
    """
    e = re.escape(escape)
    single = rf"'(?:[^'{e}]|{e}.)*'?" if in_quotes else "'[^']*+'?+"
    double = rf'"(?:[^"{e}]|{e}.)*"?'
    return re.compile(rf"""(?:[^{SPACE}'"{e}]|{e}.|{single}|{double})+""", re.DOTALL)
