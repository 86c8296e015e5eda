"""Calls that fail: a command ends well and whole, or says what failed and leaves the old state or the new one.

Here one call of each command fails; `python -m tests.safety faults` does it to every one.
"""

import random
from collections.abc import Iterator
from errno import EIO

import pytest
from tests import peers, traces
from tests.peers import Tool
from tests.registry.distribution import Distribution
from tests.safety import faults
from tests.safety.arena import Arena
from tests.safety.commands import COMMANDS, KEPT
from tests.safety.tracer import Call, Fail

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

FAULTS = 1
"""How many calls of each command fail, each in a run of its own."""


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    peers.need(Distribution.missing(), Tool("busybox").missing(), Tool("runc").missing(), Tool("conmon").missing())
    with traces.tidy():
        arena = Arena()
        try:
            yield arena
        finally:
            arena.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_call_fails(arena: Arena, name: str) -> None:
    command = COMMANDS[name]
    points = arena.learn(name, command).points  # fewer than those that can fail
    for at in random.Random(name).sample(range(1, points + 1), FAULTS):
        with arena.careful():
            faults.attack(arena, name, command, at)


@pytest.mark.parametrize("name", KEPT)
def test_a_call_fails_where_tars_are_kept(kept: Arena, name: str) -> None:
    test_a_call_fails(kept, name)


def test_nothing_runs_that_could_not_be_noted(arena: Arena) -> None:
    command = COMMANDS["start"]
    arena.learn("start", command)

    def judge(call: Call) -> Fail | None:
        return Fail(EIO) if call.name == "mkdir" and call.path(0).endswith("/monitored") else None

    with arena.careful():
        arena.begin(command)
        done = arena.traced(command, judge)
        assert (done.status, "Input/output error" in done.said) == (1, True)
        assert "container one is created 1" in arena.look()
        arena.judge("start", command)


@pytest.mark.parametrize("name", ["rmi", "image prune"])
def test_no_image_goes_where_a_parent_cannot_be_read(arena: Arena, name: str) -> None:
    command = COMMANDS[name]
    known = arena.learn(name, command)

    def judge(call: Call) -> Fail | None:
        return Fail(EIO) if call.name == "openat" and call.path(1, 0).endswith("/parent") else None

    with arena.careful():
        arena.begin(command)
        done = arena.traced(command, judge, lambda call, _: call.name == "openat")
        assert (done.status, "Input/output error" in done.said) == (1, True), done.said
        assert arena.look() == known.old
        arena.judge(name, command)
