"""A disk that is full: a command says so in a line and leaves all as it was, its room given back; then it works again.

How much room is left is chosen so that commands fail at their beginning, in their midst, and shortly before their end.
"""

import os
import pathlib
from collections.abc import Iterator

import pytest
from tests import disks, peers, traces
from tests.peers import Tool
from tests.registry.distribution import Distribution
from tests.safety import view
from tests.safety.arena import Arena
from tests.safety.commands import COMMANDS

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

SIZE = 64 << 20
ROOM = (0, 8, 40, 120)
"""KiB that are left."""

MORE = {"pull": (1600, 2960, 3000, 3020)}
"""Further ones: a blob comes whole, then its files, then the image."""

SLACK = 16 << 10
"""Bytes that may be missing afterwards: directories do not shrink. What is noted of a registry takes as much."""


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    peers.need(
        disks.missing(),
        Distribution.missing(),
        Tool("busybox").missing(),
        Tool("runc").missing(),
        Tool("conmon").missing(),
    )
    folder: pathlib.Path = tmp_path_factory.mktemp("full")
    with traces.tidy(str(folder)), disks.ext4(SIZE, str(folder / "disk")) as place:
        arena = Arena(place, str(folder / "run"))  # another disk's, as /run is
        try:
            yield arena
        finally:
            arena.close()


@pytest.mark.parametrize(
    "name", ["build", "load new", "import", "commit", "create", "run", "cp", "pull", "pull partial", "push"]
)
def test_full(arena: Arena, name: str) -> None:
    command = COMMANDS[name]
    known = arena.learn(name, command)
    refused = 0
    for room in (*ROOM, *MORE.get(name, ())):
        with arena.careful():
            arena.begin(command)
            ballast = _fill(arena, room << 10)
            before = _free(arena)
            done = arena.traced(command, lambda _: None)
            refused += bool(done.status)
            if done.status:
                found = arena.look()
                assert view.lasting(found) <= known.old | known.new
                if not command.parts:
                    assert found == known.old
                    assert _free(arena) >= before - SLACK * (1 + command.remote)
                lines = done.said.strip().splitlines()
                assert "No space left on device" in lines[-1] or "no space left" in lines[-1], done.said
                assert "Traceback" not in done.said
            os.unlink(ballast)
            arena.judge(name, command, done=not done.status)
    assert refused, "there was always room enough"


def _fill(arena: Arena, room: int) -> str:
    """Write a file that leaves some bytes of the disk free; return its path."""
    path = os.path.join(arena.folder, "ballast")
    with open(path, "wb") as file:
        while (left := _free(arena)) > room:
            size = os.fstat(file.fileno()).st_size
            step = left - room if left - room > 64 << 10 else 4096  # the file's own index takes blocks too
            try:
                os.posix_fallocate(file.fileno(), size, step - (16 << 10 if step > 64 << 10 else 0))
            except OSError:
                break
    return path


def _free(arena: Arena) -> int:
    os.sync()
    info = os.statvfs(arena.folder)
    return info.f_bavail * info.f_bsize
