"""Rows of figures, and the tables that show them."""

import itertools
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

import msgspec

LAMINA = "lamina"
OURS = (LAMINA, "lamina-overlay2", "lamina-erofs")
PEERS = ("dockerd", "podman", "buildah", "skopeo", "docker-registry")
EVERYBODY = (*OURS, *PEERS)
"""Contestants in the order of columns: lamina as it is, with the storage driver that is not the default, and peers."""

_FLOORS = ("skopeo",)  # does only a part of the work: not one to be better than


class Target(msgspec.Struct, frozen=True):
    """The most that lamina may need, or the least where more is better.

    Attributes:
        bound: times what `of` needs, or an amount if there is a `unit`.
        of: a peer, or "better" for the best of all there are.
        unit: of an amount: "s", "MB" or "ms".
    """

    bound: float
    of: str = "better"
    unit: str = ""

    def __str__(self) -> str:
        if self.unit:
            return amount(self.bound, self.unit)
        return f"{self.bound:.3g} x {'' if self.of == 'better' else self.of}".rstrip()


class Row(msgspec.Struct):
    """What each contestant needed in each round.

    Attributes:
        name: how the operation is called on the command line.
        about: what is measured, for people.
        unit: "s", "ms", "MB", "/s" or "MB/s".
        targets: what is demanded of lamina.
        rounds: the figures of each contestant, in the order of the rounds.
        absent: who could not take part, and why.
        more: whether more is better.
        axis: of a row that is one of a series: what grows from row to row.
        at: how much of that there is.
        growth: the most that a series may grow with, see `growth`.
    """

    name: str
    about: str
    unit: str
    targets: tuple[Target, ...] = ()
    rounds: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    more: bool = False
    axis: str = ""
    at: float = 0
    growth: float | None = None

    def median(self, who: str) -> float | None:
        """Return the median of somebody's rounds; None for who did not take part."""
        return statistics.median(self.rounds[who]) if self.rounds.get(who) else None

    def reference(self, target: Target) -> float | None:
        """Return what lamina is measured by: the best peer, unless the target names another."""
        if target.of not in ("", "better"):
            return self.median(target.of)
        peers = [who for who in self.rounds if who not in (*OURS, *_FLOORS)]
        found = [value for who in peers if (value := self.median(who)) is not None]
        return (max if self.more else min)(found, default=None)

    @property
    def ratio(self) -> float | None:
        """What lamina needs over what the reference of the first target does."""
        return self._ratio(self.targets[0] if self.targets else Target(1))

    @property
    def met(self) -> bool | None:
        """Whether the targets are met, all that there is something to tell by; None where there is none."""
        found = [met for target in self.targets if (met := self._met(target)) is not None]
        return all(found) if found else None

    def _ratio(self, target: Target) -> float | None:
        ours, reference = self.median(LAMINA), self.reference(target)
        return ours / reference if ours is not None and reference else None

    def _met(self, target: Target) -> bool | None:
        value = self.median(LAMINA) if target.unit else self._ratio(target)
        if value is None:
            return None
        return value >= target.bound if self.more else value <= target.bound


def table(rows: Iterable[Row]) -> str:
    """Return the rows that are of no series as text, with a column for each who took part."""
    rows = [row for row in rows if not row.axis]
    who = names(rows)
    lines = [["operation", *who, "ratio", "target", "met"]]
    for row in rows:
        amounts = [amount(row.median(name), row.unit) for name in who]
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
        lines.append([row.about, *amounts, ratio, _demanded(row), _yes(row.met)])
    return _aligned(lines) if rows else ""


def scales(rows: Iterable[Row]) -> str:
    """Return the series as text: a table for each, with what every contestant's figures grow with."""
    found = []
    for series in in_series(rows):
        first, who = series[0], names(series)
        lines = [[f"{first.about}, {first.axis}", *who, "target", "met"]]
        for row in series:
            amounts = [amount(row.median(name), row.unit) for name in who]
            lines.append([f"{row.at:12,g}", *amounts, _demanded(row), _yes(row.met)])
        grown = [f"{value:.2f}" if (value := growth(series, name)) is not None else "-" for name in who]
        bound = "-" if first.growth is None else f"{first.growth:.2f}"
        lines.append(["grows with the power", *grown, bound, _yes(bounded(series))])
        found.append(_aligned(lines))
    return "\n".join(found)


def in_series(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows of each series, the smallest first."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.axis:
            found.setdefault((row.name, row.about), []).append(row)
    for series in found.values():
        yield sorted(series, key=lambda row: row.at)


def growth(series: Sequence[Row], who: str) -> float | None:
    """Return the power that somebody's figures grow with at the end of a series: 1 is linearly, 0 is not at all.

    It is that between the last two points: at the first ones, what each call costs outweighs the rest.
    """
    points = [(row.at, value) for row in series if (value := row.median(who)) and value > 0 and row.at > 0]
    for (at, value), (then, later) in reversed(list(itertools.pairwise(points))):
        return math.log(later / value) / math.log(then / at)
    return None


def bounded(series: Sequence[Row]) -> bool | None:
    """Return whether lamina's figures grow no faster than they may; None where there is nothing to tell it by."""
    found, bound = growth(series, LAMINA), series[0].growth
    return None if found is None or bound is None else found <= bound


def met(rows: Sequence[Row]) -> bool:
    """Return whether no target is missed."""
    return all(row.met is not False for row in rows) and all(bounded(series) is not False for series in in_series(rows))


def names(rows: Iterable[Row]) -> list[str]:
    """Return who took part in some rows, in the order of columns; lamina always does."""
    found = {who for row in rows for who in row.rounds if row.rounds[who]}
    return [who for who in EVERYBODY if who in found or who == LAMINA] + sorted(found - {*EVERYBODY})


def absences(rows: Iterable[Row]) -> str:
    """Return a line for each who could not take part in something, and why."""
    where = ((row, f"{row.at:,g} {row.axis}" if row.axis else row.about) for row in rows)
    return "".join(dict.fromkeys(f"{text}: {who}: {why}\n" for row, text in where for who, why in row.absent.items()))


def amount(value: float | None, unit: str) -> str:
    """Return an amount as people read it."""
    if value is None:
        return "-"
    if unit == "s":
        return f"{value:.{3 if value < 1 else 2}f} s"
    return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f} {unit}"


def _demanded(row: Row) -> str:
    return ", ".join(map(str, row.targets)) or "-"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: "-"}[value]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        f"{line[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
        + "\n"
        for line in lines
    )
