"""The forest as text, and its sums."""

import os

import pytest
from hypothesis import given
from tests.render import forests

from lamina.render.forest import Node, Totals, draw, flatten, printable, short, totals
from lamina.render.units import size

DATA = os.path.join(os.path.dirname(__file__), "..", "data", "render")


def golden(name: str) -> str:
    with open(os.path.join(DATA, name), encoding="utf-8", newline="") as file:
        return file.read()


def test_eleven_images() -> None:
    assert draw(forests.eleven()) == golden("eleven.txt")
    assert draw(forests.eleven(), unicode=False) == golden("eleven.ascii.txt")


def test_containers_and_many_names() -> None:
    assert draw(forests.running()) == golden("running.txt")


def test_totals() -> None:
    ubuntu = 131_500_000 + 24_900 + 194_533
    debian = 84_970_000
    unshared = [ubuntu, ubuntu + 84_340_000, ubuntu + 9_700_000]
    unshared += [debian + size for size in (148_200_000, 118_700_000, 2_420_000, 40_170_000)]
    on_disk = ubuntu + 84_340_000 + 9_700_000 + debian + 148_200_000 + 118_700_000 + 2_420_000 + 40_170_000
    assert totals(forests.eleven()) == Totals(11, 10, 0, on_disk, sum(unshared))
    app = 1_000_000 + 1_300 + 70
    assert totals(forests.running()) == Totals(2, 4, 2, app + 12_345 + 5, 3 * app + 12_345 + 5)
    assert totals([]) == Totals(0, 0, 0, 0, 0)


@given(forests.forests())
def test_every_node_is_drawn_once(forest: list[Node]) -> None:
    lines = draw(forest).split("\n")
    nodes = [node for node, _ in flatten(forest)]
    drawn = [line for line in lines[:-2] if line]
    assert len(drawn) == len(nodes)
    for line, node in zip(drawn, nodes, strict=True):
        assert f" {short(node.id)} " in line
        assert f" {size(node.size)}" in line
        assert all(printable(name) in line for name in node.names)


@given(forests.forests())
def test_ascii_is_ascii_and_of_the_same_shape(forest: list[Node]) -> None:
    plain = draw(forest, unicode=False)
    assert plain.isascii()
    assert len(plain.split("\n")) == len(draw(forest).split("\n"))


@given(forests.forests())
def test_sharing_never_costs(forest: list[Node]) -> None:
    total = totals(forest)
    layers = [node for node, _ in flatten(forest) if node.kind == "layer" and not node.children]
    assert total.unshared >= total.bytes - sum(node.size for node in layers)  # layers that nothing needs are no copy
    assert total.images + total.containers <= len(flatten(forest))


def test_a_long_line_does_not_drift() -> None:
    drawn = draw(forests.line(30)).split("\n")[:30]
    assert {line[0] for line in drawn} == {"○", "●"}
    assert len({len(line.split("  ")[0]) for line in drawn}) == 1


def test_depth_has_no_bound() -> None:
    assert len(draw(forests.line(5000)).split("\n")) == 5000 + 3


def test_names_are_bold_on_request() -> None:
    text = draw(forests.eleven(), bold=True)
    assert "  \x1b[1mubuntu:12.04\x1b[0m\n" in text
    assert text.replace("\x1b[1m", "").replace("\x1b[0m", "") == draw(forests.eleven())


@pytest.mark.parametrize("evil", ["\x1b[31mred", "a\nb", "\r\x07", "\u202eabc", "\udc80"])
def test_terminals_get_no_orders(evil: str) -> None:
    text = draw([Node("ab", 1, (evil,)), Node("cd", 1, created_by=evil)])
    assert len(text.split("\n")) == 6
    assert all(char.isprintable() or char == "\n" for char in text)


def test_long_commands_are_cut() -> None:
    text = draw([Node("ab", 1, created_by="x" * 100)])
    assert "  " + "x" * 59 + "…\n" in text


def test_short_ids_have_no_algorithm() -> None:
    assert short("sha256:" + "ab" * 32) == "ab" * 6
