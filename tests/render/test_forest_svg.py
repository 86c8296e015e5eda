"""The picture of the forest: where its boxes are, and that it is SVG."""

import os
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from tests.render import forests

from lamina.render.forest import Node, flatten, short
from lamina.render.forest_layout import GLYPH, LONGEST_NAME, NAMES, PADDING, Box, Picture, layout, shown_names
from lamina.render.forest_svg import draw
from lamina.render.units import size

DATA = os.path.join(os.path.dirname(__file__), "..", "data", "render")
SVG = "{http://www.w3.org/2000/svg}"
FREE = 5
"""Pixels that are free between any two boxes."""


@pytest.mark.parametrize("name", ["eleven", "running"])
def test_golden(name: str) -> None:
    with open(os.path.join(DATA, f"{name}.svg"), encoding="utf-8", newline="") as file:
        assert draw(getattr(forests, name)()) == file.read()


def check(picture: Picture, forest: list[Node]) -> None:
    """Assert that no boxes meet, that each line joins parent and child, and that no line runs through a box."""
    nodes = flatten(forest)
    assert [box.node for box in picture.boxes] == [node for node, _ in nodes]
    for one, other in combinations(picture.boxes, 2):
        assert (
            one.x + one.width + FREE <= other.x
            or other.x + other.width + FREE <= one.x
            or one.y + one.height + FREE <= other.y
            or other.y + other.height + FREE <= one.y
        ), (one, other)
    for box in picture.boxes:
        assert min(box.x, box.y) >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
        texts = [*box.names, f"{short(box.node.id)} {size(box.node.size)}"]
        assert max(map(len, texts)) * GLYPH <= box.width - 2 * PADDING + 1
    assert [(edge.parent, edge.child) for edge in picture.edges] == [
        (parent, child) for child, (_, parent) in enumerate(nodes) if parent >= 0
    ]
    for edge in picture.edges:
        parent, child = picture.boxes[edge.parent], picture.boxes[edge.child]
        assert child.y + child.height < parent.y
        assert edge.points[0] == (parent.x + parent.width // 2, parent.y)
        assert edge.points[-1] == (child.x + child.width // 2, child.y + child.height)
        for start, end in pairwise(edge.points):
            assert start[0] == end[0] or start[1] == end[1]
            assert not any(runs_through(start, end, box) for box in picture.boxes)


def runs_through(start: tuple[int, int], end: tuple[int, int], box: Box) -> bool:
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    return left < box.x + box.width and box.x < right + 1 and top < box.y + box.height and box.y < bottom


@given(forests.forests())
def test_boxes_and_lines_of_any_forest(forest: list[Node]) -> None:
    check(layout(forest), forest)


@settings(max_examples=10)
@given(forests.forests(most=200))
def test_boxes_and_lines_of_large_forests(forest: list[Node]) -> None:
    check(layout(forest), forest)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 50, 200])
def test_many_images_on_one_stay_on_a_page(count: int) -> None:
    forest = forests.star(count)
    picture = layout(forest)
    check(picture, forest)
    assert picture.width <= 2400
    assert picture.height <= 1600


def test_a_base_is_below_what_stands_on_it() -> None:
    forest = forests.line(30)
    picture = layout(forest)
    check(picture, forest)
    assert [box.y for box in picture.boxes] == sorted((box.y for box in picture.boxes), reverse=True)
    assert len({box.x for box in picture.boxes}) == 1


def test_depth_has_no_bound() -> None:
    assert draw(forests.line(3000)).count("<rect") > 3000


@given(forests.forests(most=20))
def test_it_is_xml_with_every_node(forest: list[Node]) -> None:
    text = draw(forest)
    root = ElementTree.fromstring(text)
    boxes = [group for group in root.iter(SVG + "g") if group.find(SVG + "title") is not None]
    picture = layout(forest)
    assert len(boxes) == len(picture.boxes)
    for group, box in zip(boxes, picture.boxes, strict=True):
        rect = group.find(SVG + "rect")
        assert rect is not None
        assert [int(rect.attrib[key]) for key in ("x", "y", "width", "height")] == [box.x, box.y, box.width, box.height]
        shown = [element.text or "" for element in group.iter(SVG + "text")]
        assert shown == [*box.names, short(box.node.id), size(box.node.size)]
        assert box.node.id in (group.findtext(SVG + "title") or "")
    assert len(root.findall(f".//{SVG}path")) == len(picture.edges)
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")


@pytest.mark.parametrize("evil", ["</text><script>", "&amp;", '"', "\x00", "\x1b", "\ufffe", "\udc80", "a]]>b"])
def test_names_are_text(evil: str) -> None:
    root = ElementTree.fromstring(draw([Node("ab", 1, (evil,), created_by=evil)]))
    assert root.find(f".//{SVG}script") is None
    assert len(list(root.iter(SVG + "text"))) == 5  # a name, an id, a size, a colour, the totals


def test_long_and_many_names_are_cut() -> None:
    node = Node("ab", names=tuple(f"registry.example.com/team/some-very-long-name:{i}" for i in range(9)))
    names = shown_names(node)
    assert len(names) == NAMES
    assert names[-1] == "and 6 more"
    assert {len(name) for name in names[:-1]} == {LONGEST_NAME}
    assert all(name in draw([node]) for name in node.names)  # in the tooltip
