"""Commands killed at any point: the next one works on the old or the new state, and nothing stays half made.

Here each is killed at a few of its points; `python -m tests.safety kills` does it at every one.
"""

import random
from collections.abc import Iterator

import pytest
from tests import peers, traces
from tests.peers import Tool
from tests.registry.distribution import Distribution
from tests.safety.arena import Arena
from tests.safety.commands import COMMANDS, KEPT

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

KILLS = 2
"""How often each command is killed."""


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
def test_killed_at_a_change(arena: Arena, name: str) -> None:
    command = COMMANDS[name]
    points = arena.learn(name, command).points
    for at in random.Random(name).sample(range(1, points + 1), KILLS):
        with arena.careful():
            killed = arena.kill_at(command, at)
            arena.judge(name, command, done=not killed)


@pytest.mark.parametrize("name", ["build", "load several", "run -d", "system prune"])
def test_killed_at_any_time(arena: Arena, name: str) -> None:
    command = COMMANDS[name]
    arena.learn(name, command)
    with arena.careful():
        arena.kill_after(command, random.Random(name).uniform(0.09, 0.3))
        arena.judge(name, command)


@pytest.mark.parametrize("name", KEPT)
def test_killed_where_tars_are_kept(kept: Arena, name: str) -> None:
    test_killed_at_a_change(kept, name)
