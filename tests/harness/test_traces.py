import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests import disks, peers, traces


@pytest.fixture
def child(tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        ["sh", "-c", "echo; read x"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process
        process.kill()


def test_a_process_is_found_by_where_it_is(child: subprocess.Popen[bytes], tmp_path: pathlib.Path) -> None:
    (found,) = traces.leftovers(str(tmp_path))
    assert found.startswith(f"process {child.pid}: sh -c echo; read x cwd={tmp_path}")
    assert not traces.leftovers(str(tmp_path / "other"))


def test_a_process_is_found_by_what_its_root_is(tmp_path: pathlib.Path) -> None:
    """As a container's: in a mount namespace of its own, with a root that no link names."""
    peers.need("needs root" if os.geteuid() else "", peers.Tool("busybox").missing())
    (tmp_path / "bin").mkdir()
    peers.Tool("cp")("/bin/busybox", str(tmp_path / "bin/sh"))
    (tmp_path / "old").mkdir()
    script = (
        f"mount --bind {tmp_path} {tmp_path} && cd {tmp_path} && pivot_root . old && exec sh -c 'cd /; echo; read x'"
    )
    command = ["unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        assert list(traces.processes(str(tmp_path))) == [process.pid]
        process.kill()


def test_tidy_tells_what_is_left(tmp_path: pathlib.Path) -> None:
    with traces.tidy(str(tmp_path)):
        pass
    with pytest.raises(AssertionError, match="sleep 1000"), traces.tidy(str(tmp_path), patience=0.1):
        process = subprocess.Popen(["sleep", "1000"], cwd=tmp_path)
    with traces.tidy(str(tmp_path)):  # was there before
        pass
    process.kill()
    process.wait()


def test_of_a_process_that_does_not_end_it_is_said_where_it_stands() -> None:
    code = "import sys, time; print(sys.stdin.read(), file=sys.stderr, flush=True); time.sleep(1000)"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", code], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        with pytest.raises(traces.Stuck, match=r"(?s)nanosleep.*asked\n.*line 1 in <module>"):
            traces.communicate(process, b"asked", 1)
        assert process.wait() == -signal.SIGABRT


def test_a_private_folder_is_a_trace_and_short() -> None:
    with traces.tidy():
        folder = traces.private()
        assert traces.leftovers() == {f"folder: {folder}"}
        assert len(folder) < 40
        os.rmdir(folder)


def test_mounts_and_loop_devices_are_traces(tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    place = tmp_path / "with space"
    with disks.ext4(4 << 20, str(place)):
        assert [mount.point for mount in traces.mounts(str(place))] == [str(place)]
        mount, loop = sorted(traces.leftovers(str(place)), key=lambda found: found.startswith("loop"))
        assert mount.startswith("mount: ")
        assert f" {place} " in mount
        assert loop.startswith("loop device: loop")
    assert traces.mounts(str(place)) == []


def test_unmount_keeps_what_it_is_told_to(tmp_path: pathlib.Path) -> None:
    peers.need("needs root" if os.geteuid() else "")
    outer = str(tmp_path)
    peers.Tool("mount")("--bind", outer, outer)
    keep = {mount.id for mount in traces.mounts(outer)}
    peers.Tool("mount")("-t", "tmpfs", "none", outer)
    os.mkdir(f"{outer}/in")
    peers.Tool("mount")("-t", "tmpfs", "none", f"{outer}/in")
    traces.unmount(outer, keep=keep)
    assert {mount.id for mount in traces.mounts(outer)} == keep
    traces.unmount(outer)
    assert traces.mounts(outer) == []


def test_unmount_of_what_is_busy(tmp_path: pathlib.Path) -> None:
    peers.need("needs root" if os.geteuid() else "")
    peers.Tool("mount")("-t", "tmpfs", "none", str(tmp_path))
    with open(tmp_path / "open", "w"):
        traces.unmount(str(tmp_path))
    assert traces.mounts(str(tmp_path)) == []


def test_kill_ends_descendants_that_do_not_bear_the_mark(tmp_path: pathlib.Path) -> None:
    read, write = os.pipe()
    script = f"setsid sh -c 'echo; exec sleep 1000' & wait; read line # {tmp_path}"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=write) as process:
        os.close(write)
        assert os.read(read, 1) == b"\n"
        traces.kill(str(tmp_path))
        assert process.wait() == -signal.SIGKILL
    assert os.read(read, 1) == b""  # nobody has the other end any more
    os.close(read)
    with pytest.raises(AssertionError):
        traces.kill("/")
