"""Calls that fail: a command ends well and whole, or says what failed and leaves the old state or the new one.

Here a few calls of each command fail; `python -m tests.safety faults` does it to every one.
"""

import random
from collections.abc import Iterator

import pytest
from tests import peers, traces
from tests.peers import Tool
from tests.safety import faults
from tests.safety.arena import Arena
from tests.safety.commands import COMMANDS

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

FAULTS = 2
"""How many calls of each command fail."""


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    peers.need(Tool("busybox").missing(), Tool("runc").missing(), Tool("conmon").missing())
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
