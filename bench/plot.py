"""Results as a picture: `python -m bench.plot RESULTS.json PICTURE.svg`.

Bars of the table, a chart for each unit, and below them lines, a chart for each series; all on logarithmic scales. The
picture brings all it needs, and has colours for light and for dark pages.
"""

import argparse
import math
from collections.abc import Sequence

from . import results
from .report import EVERYBODY, Row, amount, in_series, names
from .results import Results
from .scale import Scale
from .svg import document, element, path, text, tip

_WIDTH, _MARGIN = 860, 20
_LABELS, _FIGURES = 230, 80  # the widths of the names of bars, and of the figures behind them
_BAR, _BETWEEN = 11, 10
_CHART, _HEIGHT = 400, 230  # a chart of lines, with its title and axes

_COLOURS = {  # on light and on dark
    "lamina": ("#0b5cad", "#58a6ff"),
    "lamina-overlay2": ("#6ba3d6", "#2f6fb3"),
    "lamina-erofs": ("#6ba3d6", "#2f6fb3"),
    "dockerd": ("#d9730d", "#f0a050"),
    "podman": ("#8250a8", "#b98ae0"),
    "buildah": ("#2a8f5b", "#4fc08d"),
    "skopeo": ("#b59a00", "#d8c04a"),
    "docker-registry": ("#d9730d", "#f0a050"),
    "other": ("#8b8f96", "#8b8f96"),
}
_UNITS = {
    "s": "Seconds: less is better",
    "ms": "Milliseconds: less is better",
    "MB": "MB of memory: less is better",
    "/s": "A second: more is better",
    "MB/s": "MB a second: more is better",
}


def draw(found: Results) -> str:
    """Return the medians of some results as an SVG document; the same results always give the same text."""
    rows = [row for row in found.rows if any(row.rounds.values())]
    parts, y = _legend(names(rows)), 3.0 * _MARGIN
    singles = [row for row in rows if not row.axis]
    for unit in dict.fromkeys(row.unit for row in singles):
        chart, height = _bars(_UNITS.get(unit, unit), [row for row in singles if row.unit == unit], y)
        parts += chart
        y += height
    series = list(in_series(rows))
    for number, each in enumerate(series):
        column, line = number % 2, number // 2
        parts += _lines(each, _MARGIN + column * (_CHART + _MARGIN), y + line * (_HEIGHT + _MARGIN))
    y += math.ceil(len(series) / 2) * (_HEIGHT + _MARGIN)
    parts += [text(line, _MARGIN, y + 14 * number, class_="small") for number, line in enumerate(_caption(found))]
    height = y + 2 * _MARGIN
    ground = element("rect", class_="ground", width=_WIDTH, height=height)
    return document(_WIDTH, height, "lamina compared", _style(), ground, *parts)


def _style() -> str:
    """Return the style: `ground` is what everything lies on, `of-NAME` and `line-NAME` are the contestants."""

    def colours(dark: bool) -> str:
        ground, ink, grid = ("#0d1117", "#e6edf3", "#30363d") if dark else ("#ffffff", "#1f2328", "#d8dee4")
        each = (
            f".of-{name}{{fill:{both[dark]}}}.line-{name}{{stroke:{both[dark]}}}" for name, both in _COLOURS.items()
        )
        return f".ground{{fill:{ground}}}text{{fill:{ink}}}.grid{{stroke:{grid}}}{''.join(each)}"

    fonts = "text{font:12px system-ui,sans-serif}.small{font-size:10px}.title{font-weight:bold}"
    lines = "path{fill:none;stroke-width:2;stroke-linejoin:round}"
    return f"{fonts}{lines}{colours(False)}@media(prefers-color-scheme:dark){{{colours(True)}}}"


def _legend(who: Sequence[str]) -> list[str]:
    parts, x, y = [], float(_MARGIN), _MARGIN + 6
    for name in who:
        parts.append(element("rect", class_=f"of-{_known(name)}", x=x, y=y - 9, width=10, height=10))
        parts.append(text(name, x + 15, y))
        x += 36 + 7 * len(name)
    return parts


def _bars(title: str, rows: Sequence[Row], y: float) -> tuple[list[str], float]:
    """Return a chart of bars, a group for each row, and its height."""
    scale = Scale(_medians(rows), (_LABELS, _WIDTH - _FIGURES))
    top, bars = y, []
    y += 24
    for row in rows:
        present = names([row])
        bars.append(text(row.about, _LABELS - 10, y + len(present) * _BAR / 2 + 4, text_anchor="end"))
        for name in present:
            bars += _bar(row, name, scale, y)
            y += _BAR
        y += _BETWEEN
    grid = []
    for tick in scale.ticks:
        grid.append(_rule(scale(tick), top + 20, scale(tick), y - _BETWEEN))
        grid.append(text(f"{tick:g}", scale(tick), top + 16, class_="small", text_anchor="middle"))
    return [text(title, _MARGIN, top, class_="title"), *grid, *bars], y - top + _MARGIN


def _bar(row: Row, name: str, scale: Scale, y: float) -> list[str]:
    value = row.median(name)
    if value is None:
        return []
    said, width = amount(value, row.unit), max(scale(value) - _LABELS, 1)
    return [
        element(
            "rect", tip(f"{name}: {said}"), class_=f"of-{_known(name)}", x=_LABELS, y=y, width=width, height=_BAR - 1
        ),
        text(said, _LABELS + width + 4, y + _BAR - 2, class_="small"),
    ]


def _lines(series: Sequence[Row], x: float, y: float) -> list[str]:
    """Return a chart of lines for a series, one for each contestant, in a corner."""
    first = series[0]
    across = Scale([row.at for row in series], (x + 50, x + _CHART - 20))
    upward = Scale(_medians(series), (y + _HEIGHT - 40, y + 24))
    left, right, low = across.start, across.end, upward.start
    parts = [text(f"{first.about} ({first.unit}), {first.axis}", x, y + 8, class_="title")]
    for tick in upward.ticks:
        parts.append(_rule(left, upward(tick), right, upward(tick)))
        parts.append(text(f"{tick:g}", left - 6, upward(tick) + 4, class_="small", text_anchor="end"))
    for row in series:
        parts.append(_rule(across(row.at), low, across(row.at), low + 4))
        parts.append(text(f"{row.at:,g}", across(row.at), low + 16, class_="small", text_anchor="middle"))
    for name in reversed(names(series)):  # lamina above the others
        medians = [(row.at, row.median(name)) for row in series]
        points = [(across(at), upward(value)) for at, value in medians if value is not None and value > 0]
        if points:
            parts.append(path(points, class_=f"line-{_known(name)}"))
        parts += [element("circle", class_=f"of-{_known(name)}", cx=at, cy=height, r=3) for at, height in points]
    return parts


def _rule(x: float, y: float, to_x: float, to_y: float) -> str:
    return element("line", class_="grid", x1=x, y1=y, x2=to_x, y2=to_y)


def _medians(rows: Sequence[Row]) -> list[float]:
    return [value for row in rows for name in row.rounds if (value := row.median(name)) is not None]


def _known(name: str) -> str:
    return name if name in EVERYBODY else "other"


def _caption(found: Results) -> list[str]:
    """Return what the figures are, and of which machine."""
    keys = ("processor", "processors", "memory", "kernel", "disk")
    facts = [f"{key} {found.machine[key]}" for key in keys if key in found.machine]
    rounds = f"Medians of {found.rounds} rounds" if found.rounds > 1 else "One round"
    return [f"{rounds}, {found.date[:10]}, commit {found.commit[:12]}", ", ".join(facts)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description="Draw results.")
    parser.add_argument("results", help="a file that python -m bench --json has written")
    parser.add_argument("picture", help="the SVG to write")
    args = parser.parse_args()
    try:
        results.save(draw(results.read(args.results)).encode(), args.picture)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
