"""Locks between processes, and leases of processes that live or were killed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina import lock
from lamina.lock import Lease, abandoned, claims, exclusive, live_claims, shared

HOLDER = """
import sys
from lamina import lock

with getattr(lock, sys.argv[1])(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""
LEASER = """
import sys
from lamina.lock import Lease

lease = Lease(sys.argv[1])
for claim in sys.argv[2:]:
    lease.add(*claim.split("-", 1))
print("held", flush=True)
sys.stdin.read()
"""
COUNTER = """
import sys
from lamina.lock import exclusive

for _ in range(100):
    with exclusive(sys.argv[1]), open(sys.argv[2], "r+") as file:
        number = int(file.read())
        file.seek(0)
        file.write(str(number + 1))
"""


@contextlib.contextmanager
def running(script: str, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a script up to its first line of output; it is killed at the end of the block."""
    command = [sys.executable, "-c", script, *args]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def killed(script: str, *args: str) -> None:
    with running(script, *args) as process:
        process.send_signal(signal.SIGKILL)


class TestLocks:
    @pytest.mark.parametrize(
        ("theirs", "ours", "free"),
        [
            ("exclusive", "exclusive", False),
            ("exclusive", "shared", False),
            ("shared", "exclusive", False),
            ("shared", "shared", True),
        ],
    )
    def test_between_processes(self, tmp_path: Path, theirs: str, ours: str, free: bool) -> None:
        path = str(tmp_path / "lock")
        with running(HOLDER, theirs, path), getattr(lock, ours)(path, wait=False) as held:
            assert held is free
        with getattr(lock, ours)(path, wait=False) as held:
            assert held, "a killed process holds nothing"

    def test_within_a_process(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lock")
        with exclusive(path) as held, exclusive(path, wait=False) as again:
            assert (held, again) == (True, False)
        with shared(path), shared(path, wait=False) as both:
            assert both

    def test_a_failing_block_gives_it_back(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lock")
        with pytest.raises(ZeroDivisionError), exclusive(path):
            assert 1 // 0
        with exclusive(path, wait=False) as held:
            assert held

    def test_programs_that_the_owner_starts_do_not_keep_it(self, tmp_path: Path) -> None:
        path = str(tmp_path / "lock")
        with exclusive(path):
            child = subprocess.Popen(["sleep", "100"], close_fds=False)
        try:
            with exclusive(path, wait=False) as held:
                assert held
        finally:
            child.kill()
            child.wait()

    def test_one_at_a_time(self, tmp_path: Path) -> None:
        counter = tmp_path / "counter"
        counter.write_text("0")
        command = [sys.executable, "-c", COUNTER, str(tmp_path / "lock"), str(counter)]
        workers = [subprocess.Popen(command) for _ in range(4)]
        assert [worker.wait() for worker in workers] == [0] * 4
        assert counter.read_text() == "400"


class TestLeases:
    def test_what_is_claimed(self, tmp_path: Path) -> None:
        with Lease(str(tmp_path)) as lease:
            lease.add("layer", "a-b")
            lease.add("layer", "a-b")
            lease.add("snapshot", "c")
            assert lease.claims() == {("layer", "a-b"), ("snapshot", "c")} == claims(str(tmp_path))
            assert claims(str(tmp_path), [lease.path]) == set()
            lease.drop("layer", "a-b")
            lease.drop("layer", "a-b")
            assert lease.claims() == {("snapshot", "c")}
        assert os.listdir(tmp_path) == []
        assert lease.claims() == set()

    def test_release_twice(self, tmp_path: Path) -> None:
        lease = Lease(str(tmp_path))
        lease.release()
        with Lease(str(tmp_path)) as other:
            lease.release()
            assert os.path.isdir(other.path)

    def test_a_live_one_is_not_abandoned(self, tmp_path: Path) -> None:
        folder = str(tmp_path)
        with running(LEASER, folder, "layer-a"), Lease(folder) as ours:
            ours.add("layer", "b")
            with abandoned(folder) as dead:
                assert dead == {}
            assert live_claims(folder) == claims(folder) == {("layer", "a"), ("layer", "b")}

    def test_one_of_a_killed_process_is(self, tmp_path: Path) -> None:
        folder = str(tmp_path)
        killed(LEASER, folder, "layer-a", "snapshot-b")
        (path,) = map(str, tmp_path.iterdir())
        assert claims(folder) == {("layer", "a"), ("snapshot", "b")}
        assert live_claims(folder) == set()
        with abandoned(folder) as dead:
            assert dead == {path: {("layer", "a"), ("snapshot", "b")}}
            assert os.path.isdir(path), "it is there as long as there is something to clean up"
        assert os.listdir(folder) == []

    def test_a_collector_that_fails_leaves_them(self, tmp_path: Path) -> None:
        folder = str(tmp_path)
        killed(LEASER, folder, "layer-a")
        with pytest.raises(ZeroDivisionError), abandoned(folder):
            assert 1 // 0
        with abandoned(folder) as dead:
            assert list(dead.values()) == [{("layer", "a")}]

    def test_two_collectors_never_take_the_same_one(self, tmp_path: Path) -> None:
        folder = str(tmp_path)
        killed(LEASER, folder, "layer-a")
        with abandoned(folder) as first, abandoned(folder) as second:
            assert (len(first), second) == (1, {})

    def test_a_lease_that_goes_while_it_is_looked_at(self, tmp_path: Path) -> None:
        (tmp_path / "x").symlink_to("gone")
        assert claims(str(tmp_path)) == live_claims(str(tmp_path)) == set()
        with abandoned(str(tmp_path)) as dead:
            assert dead == {}
