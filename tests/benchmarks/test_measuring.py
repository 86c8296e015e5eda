"""Rounds, with contestants that are functions: what is measured, undone, and told of who fails."""

import subprocess
from typing import Unpack

import pytest
from bench.contestants import Contestant
from bench.measuring import Bench, Operation, Part, Rounds, Stuff, compared, together
from tests.peers import Failed, How, Result

log: list[str] = []


class Tool:
    """A contestant that notes what it is asked for, and fails at one thing."""

    def __init__(self, name: str, fails: str = "") -> None:
        self._name, self._fails = name, fails

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        log.append(f"{self._name} {args[0]}")
        if args[0] == self._fails and how.get("check", True):
            raise Failed(1, [self._name, *args], "", "first\nit fails\n")
        return Result(args, 0, "", "")


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    log.clear()


def rounds(_: str, tool: Contestant, __: Stuff) -> Rounds:
    tool("prepare")
    try:
        while True:
            yield lambda: tool("load")
            tool("unload")
            yield lambda: 42.0
    finally:
        tool("clear", check=False)


OPERATION = Operation("both", rounds, (Part("load"), Part("figure", unit="MB")))


def bench(rounds: int = 2, **tools: Tool) -> Bench:
    return Bench(tools, Stuff("/nowhere"), rounds)


def test_contestants_take_turns_and_undo_at_once() -> None:
    compared(OPERATION, bench(1, lamina=Tool("l"), podman=Tool("p")))
    turns = ["l load", "l unload", "p load", "p unload"]
    assert log == ["l prepare", "p prepare", *turns, *turns, "p clear", "l clear"]


def test_the_first_round_does_not_count_and_a_float_is_the_figure() -> None:
    load, figure = compared(OPERATION, bench(3, lamina=Tool("l")))
    assert (load.name, load.about, len(load.rounds["lamina"])) == ("both", "load", 3)
    assert all(0 <= took < 10 for took in load.rounds["lamina"])
    assert (figure.unit, figure.rounds["lamina"]) == ("MB", [42, 42, 42])


@pytest.mark.parametrize("step", ["prepare", "load", "unload"])
def test_a_peer_that_fails_is_absent_and_the_others_go_on(step: str) -> None:
    rows = compared(OPERATION, bench(lamina=Tool("l"), podman=Tool("p", fails=step)))
    assert [list(row.rounds) for row in rows] == [["lamina"], ["lamina"]]
    assert all(row.absent == {"podman": "it fails"} for row in rows)
    assert log.count(f"p {step}") == 1
    assert ("p clear" in log) == (step != "prepare")
    assert log.count("l load") == 3


@pytest.mark.parametrize("step", ["prepare", "load", "unload"])
def test_a_failure_of_ours_is_raised_and_all_is_cleared(step: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        compared(OPERATION, bench(podman=Tool("p"), lamina=Tool("l", fails=step)))
    assert "p clear" in log
    assert ("l clear" in log) == (step != "prepare")


def test_beyond_its_limits_ours_may_be_absent_too() -> None:
    limited = Operation("deep", rounds, OPERATION.parts, limited=True)
    rows = compared(limited, bench(lamina=Tool("l", fails="load"), podman=Tool("p")))
    assert [list(row.rounds) for row in rows] == [["podman"], ["podman"]]
    assert rows[0].absent == {"lamina": "it fails"}


def test_who_cannot_take_part_is_not_asked() -> None:
    [row, _] = compared(OPERATION, bench(lamina=Tool("l"), buildah=Tool("b")))
    assert list(row.rounds) == ["lamina"]
    assert not [line for line in log if line.startswith("b")]


def test_points_of_a_series_are_measured_side_by_side() -> None:
    benches = {1.0: bench(1, lamina=Tool("one")), 10.0: bench(1, lamina=Tool("ten"))}
    rows = together(Operation("scale", rounds, (Part("load", growth=1.1),), axis="layers"), benches)
    assert [(row.at, row.axis, row.growth) for row in rows] == [(1, "layers", 1.1), (10, "layers", 1.1)]
    turns = [line for line in log if line.endswith("load")]
    assert turns[:4] == ["one load", "one unload", "ten load", "ten unload"]
