"""Where the boxes and lines of a forest's picture go: a tree's base below, what stands on it above.

    ┌────┐┌────┐        ┌────┐
    │    ││    │        │    │
    └─┬──┘└──┬─┘        └─┬──┘      a column: boxes one on the other, as long as no two stand on the same
      └───┬──┴─────┬──────┘         a channel: the lines from a fork to all that stands on it
       ┌──┴──┐
       └──┬──┘

What stands on a fork is set in a row. A row that would be too wide is broken into several, one above the other, the
low things first, and the line to the upper ones, the trunk, goes up through a gap in the lower ones: two hundred images
may stand on one. Within a row nothing hangs over a box but what stands on it.
Lengths are whole pixels; x grows to the right, y downward.
"""

from collections.abc import Sequence
from math import isqrt

import msgspec

from .forest import Node, flatten, printable, short
from .units import size

GLYPH = 7.3
"""Width of a character in the font of the boxes, rounded up."""
LINE = 17
PADDING = 9
NAMES = 4
LONGEST_NAME = 40
_STEP = 7  # between boxes of a column
_CHANNEL = 34
_GAP = 16  # between columns of a row
_TREE_GAP = 40
_LEAST_WIDTH = 8  # boxes in the widest row that is never broken


class Box(msgspec.Struct, frozen=True):
    """A node's place, and the lines of text in it: its names, then its id and its size."""

    node: Node
    x: int
    y: int
    width: int
    height: int
    names: tuple[str, ...]


class Edge(msgspec.Struct, frozen=True):
    """A line from the top of a parent's box to the bottom of a child's; both are places in the list of boxes."""

    parent: int
    child: int
    points: tuple[tuple[int, int], ...]


class Picture(msgspec.Struct, frozen=True):
    """Boxes in the order of `flatten`, and the lines between them, within a width and a height."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


class _Column(msgspec.Struct):
    """Nodes one on the other, from the lowest up, and the rows of columns that stand on the highest.

    `stack` is the height of its boxes, `width` and `height` are those of all of it; `trunk` is the middle of its
    boxes, from its left side.
    """

    first: int
    box_width: int
    stack: int
    children: list[int] = []
    rows: list[list[int]] = []
    width: int = 0
    height: int = 0
    trunk: int = 0
    x: int = 0
    bottom: int = 0


def layout(forest: Sequence[Node]) -> Picture:
    """Return the picture of a forest; the same forest always gives the same picture."""
    return _Layout(forest).picture()


def shown_names(node: Node) -> tuple[str, ...]:
    """Return the lines that a box has for names: long names lose their middle, and many names their end."""
    names = [printable(name) for name in node.names]
    half = LONGEST_NAME // 2
    names = [name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}" for name in names]
    if len(names) > NAMES:
        names[NAMES - 1 :] = [f"and {len(names) - NAMES + 1} more"]
    return tuple(names)


class _Layout:
    def __init__(self, forest: Sequence[Node]) -> None:
        self.nodes = flatten(forest)
        self.columns: list[_Column] = []
        self.column_of: list[int] = []
        self.roots: list[int] = []
        self._make_columns()
        area = sum((each.box_width + _GAP) * (each.stack + _CHANNEL) for each in self.columns)
        widest = max((each.box_width for each in self.columns), default=0) + _GAP
        self.limit = max(_LEAST_WIDTH * widest, isqrt(2 * area))

    def picture(self) -> Picture:
        for column in reversed(self.columns):  # what stands on a column comes after it
            self._measure(column)
        width, height = self._place_roots()
        for column in self.columns:
            self._place_children(column)
        boxes = self._boxes()
        return Picture(width, height, tuple(boxes), tuple(self._edges(boxes)))

    def _make_columns(self) -> None:
        for i, (node, parent) in enumerate(self.nodes):
            box_width = _text_width(node)
            if parent >= 0 and len(self.nodes[parent][0].children) == 1:
                column = self.columns[self.column_of[parent]]
                column.box_width = max(column.box_width, box_width)
                column.stack += _STEP + _box_height(node)
                self.column_of.append(self.column_of[parent])
                continue
            self.column_of.append(len(self.columns))
            above = self.columns[self.column_of[parent]].children if parent >= 0 else self.roots
            above.append(len(self.columns))
            self.columns.append(_Column(i, box_width, _box_height(node)))

    def _measure(self, column: _Column) -> None:
        column.rows = self._rows(column.children, self.limit, _GAP)
        if len(column.rows) > 1:
            low_first = sorted(column.children, key=lambda i: self.columns[i].height)
            column.rows = self._rows(low_first, self.limit, _GAP)
        above = sum(_CHANNEL + max(self.columns[i].height for i in row) for row in column.rows)
        column.height = column.stack + above
        sides = [self._sides(row, top=row is column.rows[-1]) for row in column.rows]
        half = (column.box_width + 1) // 2
        column.trunk = max([half, *(left for left, _ in sides)])
        column.width = column.trunk + max([half, *(right for _, right in sides)])

    def _rows(self, items: Sequence[int], limit: int, gap: int) -> list[list[int]]:
        """Break columns into as few rows as fit the limit, of about the same width."""
        widths = [self.columns[i].width + gap for i in items]
        count = len(_broken(widths, limit))
        narrow = sum(widths) // max(count, 1)
        while len(places := _broken(widths, narrow)) > count:
            narrow += max(gap, 1)
        return [list(items[start:end]) for start, end in places]

    def _split(self, row: Sequence[int], top: bool) -> tuple[Sequence[int], Sequence[int]]:
        """Return what stands left and right of the trunk; the top row needs no gap for it, and is not split."""
        if top:
            return row, ()
        whole = sum(self.columns[i].width for i in row)
        left = 0
        for at, i in enumerate(row):
            left += self.columns[i].width
            if 2 * left >= whole:
                return row[: at + 1], row[at + 1 :]
        return row, ()

    def _span(self, row: Sequence[int]) -> int:
        return sum(self.columns[i].width + _GAP for i in row) - _GAP if row else 0

    def _sides(self, row: Sequence[int], top: bool) -> tuple[int, int]:
        """Return how far a row reaches to the left and the right of the trunk."""
        if top:  # the trunk comes up between the outermost of its children
            span = self._span(row)
            left = (self.columns[row[0]].trunk + span - self.columns[row[-1]].width + self.columns[row[-1]].trunk) // 2
            return left, span - left
        left_row, right_row = self._split(row, top)
        return self._span(left_row) + _GAP, self._span(right_row) + _GAP

    def _place_roots(self) -> tuple[int, int]:
        """Set the trees in rows, the first one uppermost; return the width and the height of all."""
        width = bottom = 0
        for row in self._rows(self.roots, self.limit, _TREE_GAP):
            bottom += max(self.columns[i].height for i in row) + (_TREE_GAP if bottom else 0)
            x = 0
            for i in row:
                self.columns[i].x, self.columns[i].bottom = x, bottom
                x += self.columns[i].width + _TREE_GAP
            width = max(width, x - _TREE_GAP)
        return width, bottom

    def _place_children(self, column: _Column) -> None:
        trunk = column.x + column.trunk
        bottom = column.bottom - column.stack
        for row in column.rows:
            bottom -= _CHANNEL
            top = row is column.rows[-1]
            left, _ = self._sides(row, top)
            first, second = self._split(row, top)
            self._place_row(first, trunk - left, bottom)
            self._place_row(second, trunk + _GAP, bottom)
            bottom -= max(self.columns[i].height for i in row)

    def _place_row(self, row: Sequence[int], x: int, bottom: int) -> None:
        for i in row:
            self.columns[i].x, self.columns[i].bottom = x, bottom
            x += self.columns[i].width + _GAP

    def _boxes(self) -> list[Box]:
        boxes: list[Box] = []
        tops: list[int] = []
        for i, (node, parent) in enumerate(self.nodes):
            column = self.columns[self.column_of[i]]
            bottom = column.bottom if i == column.first else tops[parent] - _STEP
            height = _box_height(node)
            tops.append(bottom - height)
            x = column.x + column.trunk - column.box_width // 2
            boxes.append(Box(node, x, bottom - height, column.box_width, height, shown_names(node)))
        return boxes

    def _edges(self, boxes: Sequence[Box]) -> list[Edge]:
        edges = []
        for i, (_, parent) in enumerate(self.nodes):
            if parent < 0:
                continue
            column = self.columns[self.column_of[i]]
            below = self.columns[self.column_of[parent]]
            start = (below.x + below.trunk, boxes[parent].y)
            end = (column.x + column.trunk, boxes[i].y + boxes[i].height)
            bus = end[1] + _CHANNEL // 2
            points = (start, end) if start[0] == end[0] else (start, (start[0], bus), (end[0], bus), end)
            edges.append(Edge(parent, i, points))
        return edges


def _box_height(node: Node) -> int:
    return LINE * (1 + len(shown_names(node))) + PADDING


def _text_width(node: Node) -> int:
    longest = max(map(len, (f"{short(node.id)}  {size(node.size):>7}", *shown_names(node))))
    return 2 * round((longest * GLYPH + 2 * PADDING + 1) / 2)


def _broken(widths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Return the stretches of widths that fit a limit, each as long as it can be, and not empty."""
    stretches: list[tuple[int, int]] = []
    start = total = 0
    for i, width in enumerate(widths):
        if i > start and total + width > limit:
            stretches.append((start, i))
            start, total = i, 0
        total += width
    return [*stretches, (start, len(widths))] if widths else []
