"""Volumes shared with a dockerd by turns, filled like docker's, and mounts that the host makes later."""

import os
import pathlib
import subprocess
import time
from collections.abc import Iterator

import pytest
from bench.images import Image
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Docker

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]


@pytest.mark.docker
def test_a_dockerd_has_the_same_volumes_by_turns(empty: Lamina, tiny: Image) -> None:
    peers.need(Docker.missing())
    empty("--storage-driver", "overlay2", "load", "-q", "-i", tiny.path)
    empty("volume", "create", "--label", "a=b", "ours")
    empty("run", "--rm", "--network", "none", "-v", "ours:/data", "tiny:1", "sh", "-c", "echo lamina > /data/file")
    empty("volume", "create", "gone")
    with Docker(empty.root) as docker:
        assert docker("volume", "ls", "-q").stdout.split() == ["gone", "ours"]
        found = docker("run", "--rm", "--network", "none", "-v", "ours:/data", "tiny:1", "cat", "/data/file")
        assert found.stdout == "lamina\n"
        docker("create", "--network", "none", "--name", "theirs", "-v", "theirs:/bin", "tiny:1", "true")
    refused = empty("volume", "rm", "theirs", check=False)
    assert refused.returncode == 1
    assert "volume is in use - [" in refused.stderr
    listed = empty("run", "--rm", "--network", "none", "-v", "theirs:/here", "tiny:1", "ls", "/here").stdout
    assert "busybox" in listed
    empty("volume", "rm", "gone")
    assert empty.json("volume", "inspect", "ours")[0]["Labels"] == {"a": "b"}
    with Docker(empty.root) as docker:
        assert docker("volume", "ls", "-q").stdout.split() == ["ours", "theirs"]
        docker("rm", "theirs")


@pytest.mark.docker
def test_a_volume_is_filled_as_docker_fills_it(lamina: Lamina, tiny: Image, tmp_path: pathlib.Path) -> None:
    peers.need(Docker.missing())
    lines = (
        "FROM tiny:1",
        (
            "RUN mkdir -p /data/sub && echo a > /data/a && ln /data/a /data/b && ln -s a /data/c && mkfifo /data/fifo"
            " && chown 5:6 /data/a /data/sub && chown -h 7:8 /data/c && chmod 4711 /data/a && chmod 1770 /data"
        ),
        "VOLUME /data /missing",
    )
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("\n".join(lines))
    show = 'cd /data && stat -c "%n %A %u %g %h %F" . * && cat b && stat -c "%A %u" /missing'
    with Docker(str(tmp_path / "docker")) as docker:
        docker("load", "-q", "-i", tiny.path)
        outputs = []
        for tool in (lamina, docker):
            tool("build", "-q", "--network", "none", "-t", "data:1", str(tmp_path / "context"))
            outputs.append(tool("run", "--rm", "--network", "none", "data:1", "sh", "-c", show).stdout)
            named = tool("run", "--rm", "--network", "none", "-v", "named:/data", "data:1", "sh", "-c", show)
            outputs.append(named.stdout)
    assert outputs == [outputs[0]] * 4
    assert lamina("volume", "ls", "-q").stdout == "named\n"


@pytest.fixture
def shared(tmp_path: pathlib.Path) -> Iterator[str]:
    """A file system whose later mounts are seen by others."""
    path = str(tmp_path / "shared")
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
    subprocess.run(["mount", "--make-shared", path], check=True)
    os.mkdir(f"{path}/below")
    yield path
    subprocess.run(["umount", "-R", path], check=True)


@pytest.mark.parametrize("propagation", ["rslave", "rprivate"])
def test_mounts_that_the_host_makes_later(lamina: Lamina, shared: str, propagation: str) -> None:
    wait = "echo ready > /there/ready; while [ ! -e /there/go ]; do sleep 0.05; done; ls /there/below"
    process = lamina.start("run", "--rm", "-v", f"{shared}:/there:{propagation}", "tiny:1", "sh", "-c", wait)
    deadline = time.monotonic() + 30
    while not os.path.exists(f"{shared}/ready"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{shared}/below"], check=True)
    pathlib.Path(shared, "below", "new").touch()
    pathlib.Path(shared, "go").touch()
    output, errors = process.communicate(timeout=30)
    assert (output, errors) == (b"new\n" if propagation == "rslave" else b"", b"")
