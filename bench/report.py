"""Rows of the table, and the table."""

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from .contestants import LAMINA, PEERS


class Target(msgspec.Struct, frozen=True):
    """The most that lamina may need.

    Attributes:
        most: times what `of` needs, or an amount if there is a `unit`.
        of: a peer, or "better" for the better of all there are.
        unit: of an amount: "s", "MB" or "ms".
    """

    most: float
    of: str = "better"
    unit: str = ""

    def __str__(self) -> str:
        if self.unit:
            return _amount(self.most, self.unit)
        return f"{self.most:g} x {'' if self.of == 'better' else self.of}".rstrip()


class Row(msgspec.Struct):
    """A line of the table: what each contestant needed in each round."""

    name: str
    about: str
    unit: str
    target: Target
    rounds: dict[str, list[float]]

    def median(self, who: str) -> float | None:
        """Return the median of somebody's rounds; None for who did not take part."""
        return statistics.median(self.rounds[who]) if self.rounds.get(who) else None

    @property
    def reference(self) -> float | None:
        """What lamina is measured by: the better peer, unless the target names another."""
        if self.target.of not in ("", "better"):
            return self.median(self.target.of)
        return min((found for peer in self.rounds if peer != LAMINA and (found := self.median(peer))), default=None)

    @property
    def ratio(self) -> float | None:
        """What lamina needs over what the reference does."""
        ours = self.median(LAMINA)
        return ours / self.reference if ours and self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is nothing to tell it by."""
        value = self.median(LAMINA) if self.target.unit else self.ratio
        return None if value is None else value <= self.target.most


def table(rows: Iterable[Row]) -> str:
    """Return the table as text."""
    lines = [["operation", LAMINA, *PEERS, "ratio", "target", "met"]]
    for row in rows:
        amounts = [_amount(row.median(who), row.unit) for who in (LAMINA, *PEERS)]
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
        lines.append([row.about, *amounts, ratio, str(row.target), {True: "yes", False: "NO", None: "-"}[row.met]])
    return _aligned(lines)


def document(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Return the rows as values for JSON, the times of all rounds included."""
    return [
        {
            "operation": row.name,
            "about": row.about,
            "unit": row.unit,
            "rounds": row.rounds,
            "median": {who: row.median(who) for who in row.rounds},
            "ratio": row.ratio,
            "target": msgspec.structs.asdict(row.target),
            "met": row.met,
        }
        for row in rows
    ]


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = {"s": 3 if value < 1 else 2, "MB": 0, "ms": 3}[unit]
    return f"{value:.{digits}f} {unit}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        f"{line[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        + "\n"
        for line in lines
    )
