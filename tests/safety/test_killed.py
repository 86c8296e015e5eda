"""Commands killed at any point: the next one works on the old or the new state, and nothing stays half made."""

import pathlib
from collections.abc import Iterator

import pytest
from bench import images
from tests import peers, traces
from tests.peers import Tool
from tests.safety.arena import Arena

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

COMMANDS = {
    "build": ["build", "-t", "made:1", "context"],
    "load": ["load", "-q", "-i", "tiny.tar"],
    "import": ["import", "tree.tar", "imported:1"],
    "commit": ["commit", "one", "committed:1"],
    "tag": ["tag", "tiny:1", "new:1"],
    "rmi": ["rmi", "-f", "victim:1", "victim:2"],
    "run": ["run", "tiny:1", "sh", "-c", "echo x > /x"],
    "run --rm": ["run", "--rm", "tiny:1", "sh", "-c", "echo x > /x"],
    "run -v": ["run", "--rm", "-v", "new:/bin", "-v", "/made", "-v", "old:/etc", "tiny:1", "true"],
    "create": ["create", "tiny:1", "true"],
    "create -v": ["create", "-v", "new:/bin", "-v", "/made", "tiny:1", "true"],
    "rm": ["rm", "one"],
    "rm -v": ["rm", "-v", "two"],
    "volume create": ["volume", "create", "--label", "a=b", "new"],
    "volume rm": ["volume", "rm", "old"],
    "cp": ["cp", "context", "one:/again"],
}
POINTS = (1, 2, 3, 5, 8, 12, 17, 23, 30, 40, 60, 90)
"""Which changes a command is killed at; those beyond its last are not reached."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    peers.need(Tool("strace").missing(), Tool("busybox").missing(), Tool("runc").missing())
    folder: pathlib.Path = tmp_path_factory.mktemp("arena")
    tiny = images.tiny(str(folder / "tiny.tar"))
    with traces.tidy(str(folder)):
        arena = Arena(str(folder / "work"), tiny.path)
        yield arena
        arena.close()


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_a_change(arena: Arena, name: str) -> None:
    words = COMMANDS[name]
    for at in POINTS:
        killed = arena.attack(words, at=at)
        arena.judge(words)
        if not killed:
            break
    assert arena.kills


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_time(arena: Arena, name: str) -> None:
    words = COMMANDS[name]
    for moment in (0.09, 0.15, 0.25):
        arena.attack(words, after=moment)
        arena.judge(words)
