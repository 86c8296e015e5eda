"""How the mistakes of a Dockerfile's author are told: the place, what is wrong, and what was probably meant."""

from collections.abc import Iterable

from ..errors import InvalidArgument

_SHOWN = 100
"""Characters of the author's text that a message repeats at most."""


class Malformed(InvalidArgument):
    """A Dockerfile, or one line of it, that cannot be read; the text begins with `FILE:LINE: `."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


def quoted(text: str) -> str:
    """Return text of the author's for a message, in double quotes: printable, and not all of it if it is long."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return '"' + "".join(_printable(letter) for letter in cut) + '"'


def shown(text: str) -> str:
    """Return what `quoted` does, without the quotes."""
    return quoted(text)[1:-1]


def _printable(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the option nearest to a word, or nothing when none is near."""
    if len(word) > _SHOWN:
        return ""
    ranked = sorted((_distance(word.lower(), option.lower()), option) for option in options)
    if not ranked or ranked[0][0] > max(1, len(word) // 3):
        return ""
    return f" (did you mean {ranked[0][1]}?)"


def _distance(one: str, other: str) -> int:
    """Count the letters to insert, drop, replace, or swap with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
