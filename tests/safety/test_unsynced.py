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
def crashes(request: pytest.FixtureRequest) -> Iterator[Crashes]:
    """A disk that promises least, of stores with overlay2, or with the driver that is asked for."""
    peers.need(disks.missing(), Distribution.missing())
    peers.need(Tool("busybox").missing(), Tool("runc").missing(), Tool("conmon").missing())
    with traces.tidy():
        crashes = Crashes(getattr(request, "param", "overlay2"))
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


@pytest.mark.parametrize("crashes", ["erofs"], indirect=True)
@pytest.mark.parametrize(
    "name", ["build", "load new", "commit", "run", "system prune", "pull", "check --repair", "migrate", "migrate back"]
)
def test_power_lost_where_tars_are_kept(crashes: Crashes, name: str) -> None:
    test_power_lost(crashes, name)
