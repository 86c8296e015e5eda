"""The power goes while a command works, and after it: the store is sound, and what was said to be done is.

Here after a few barriers of some commands; `python -m tests.safety crashes` does it after every one of all.
"""

from collections.abc import Iterator

import pytest
from tests import disks, peers, traces
from tests.peers import Tool
from tests.registry.distribution import Distribution
from tests.safety.commands import COMMANDS
from tests.safety.crashes import Crashes

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]


@pytest.fixture(scope="module")
def crashes() -> Iterator[Crashes]:
    peers.need(disks.missing(), Distribution.missing())
    peers.need(Tool("busybox").missing(), Tool("runc").missing(), Tool("conmon").missing())
    with traces.tidy():
        crashes = Crashes()
        try:
            yield crashes
        finally:
            crashes.close()


@pytest.mark.parametrize(
    "name",
    ["build", "load new", "commit", "create -v", "run", "run -v", "run -d", "rm", "system prune", "cp", "pull", "push"],
)
def test_power_lost(crashes: Crashes, name: str) -> None:
    assert [*filter(None, crashes.attack(name, COMMANDS[name], most=3))] == []
