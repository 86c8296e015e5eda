import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from bench.images import Image
from tests import disks, peers, traces
from tests.peers import Docker, Failed, NotStarted, Podman, Tool


@pytest.mark.docker
def test_docker_loads_and_runs(docker: Docker, tiny: Image) -> None:
    assert "tiny:1" in docker("load", "-i", tiny.path).stdout
    assert docker.json("image", "inspect", "tiny:1")[0]["Id"] == tiny.id
    assert docker.run("tiny:1", "echo", "hello").stdout == "hello\n"
    docker.run("tiny:1", "true")


@pytest.mark.docker
@pytest.mark.parametrize(
    "client", [path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if os.path.exists(path)]
)
def test_docker_takes_any_client(client: str, tmp_path: pathlib.Path, tiny: Image) -> None:
    with Docker(str(tmp_path), client=client) as docker, open(tiny.path, "rb") as archive:
        docker("load", input=archive)
        docker("build", "--tag", "built", "-", input="FROM tiny:1\nCMD echo built\n", env={"DOCKER_BUILDKIT": "0"})
        assert docker.run("built").stdout == "built\n"


@pytest.mark.docker
def test_docker_keeps_its_store_between_runs(docker: Docker, tiny: Image) -> None:
    docker("load", "-i", tiny.path)
    docker("run", "-d", "--name", "sleeper", "--network", "none", "--stop-timeout", "1", "tiny:1", "sleep", "1000")
    docker.stop()
    assert not traces.leftovers(docker.root)
    with docker:
        state = docker.json("container", "inspect", "sleeper")[0]["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 128 + signal.SIGKILL)
        assert docker.run("tiny:1", "echo", "again").stdout == "again\n"


@pytest.mark.docker
def test_docker_killed_leaves_nothing_but_its_store(docker: Docker, tiny: Image) -> None:
    docker("load", "-i", tiny.path)
    container = docker("run", "-d", "--network", "none", "tiny:1", "sleep", "1000").stdout.strip()
    sockets = set(os.listdir("/run/containerd/s"))
    docker.kill()
    assert not traces.leftovers(docker.root)
    assert len(sockets - set(os.listdir("/run/containerd/s"))) == 1
    assert not [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if container in folder]
    with docker:
        assert docker.json("container", "inspect", container)[0]["State"]["Status"] == "exited"


@pytest.mark.docker
def test_docker_that_hangs_is_killed(docker: Docker) -> None:
    assert docker.process is not None
    docker.process.send_signal(signal.SIGSTOP)
    docker.stop(patience=0.1)
    assert not traces.leftovers(docker.root)


@pytest.mark.docker
def test_docker_that_does_not_start_tells_why(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotStarted, match="unknown flag: --nonsense"), Docker(str(tmp_path), "--nonsense"):
        pass
    with Docker(str(tmp_path)), pytest.raises(NotStarted, match=str(tmp_path)):
        Docker(str(tmp_path)).start(patience=3)  # one root has one daemon
    assert not traces.leftovers(str(tmp_path))


@pytest.mark.docker
def test_docker_over_a_mount_point_leaves_it_mounted(tmp_path: pathlib.Path, tiny: Image) -> None:
    peers.need(disks.missing())
    with disks.ext4(64 << 20) as root:
        with Docker(root) as docker:
            docker("load", "-i", tiny.path)
            docker("run", "-d", "--network", "none", "tiny:1", "sleep", "1000")
            docker.kill()
        assert [mount.point for mount in traces.mounts(root)] == [root]
        assert os.path.isdir(f"{root}/overlay2")


@pytest.mark.docker
def test_docker_over_a_very_long_path(tmp_path: pathlib.Path, tiny: Image) -> None:
    with Docker(str(tmp_path / ("long" * 50))) as docker:
        docker("load", "-i", tiny.path)
        docker.run("tiny:1", "true")


@pytest.mark.docker
def test_docker_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with Docker(str(tmp_path)) as docker:
        assert docker.process is not None
        with open(f"/proc/{docker.process.pid}/environ") as file:
            names = {entry.partition("=")[0] for entry in file.read().split("\0") if entry}
        assert names == {"PATH", "LANG", "HOME", "NOTIFY_SOCKET"}
        assert docker.json("info", "--format", "{{json .}}")["DockerRootDir"] == str(tmp_path)


@pytest.mark.docker
def test_docker_ends_with_whoever_started_it(tmp_path: pathlib.Path) -> None:
    script = f"from tests.peers import Docker; import os; Docker({str(tmp_path)!r}).start(); os.kill(os.getpid(), 9)"
    killed = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert killed.wait() == -signal.SIGKILL
    for pid in traces.processes(f"/lamina-{killed.pid}-"):
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            assert traces.readable(30, fd)
            os.close(fd)
    traces.unmount(str(tmp_path))  # where the machine is a chroot, dockerd leaves its data root mounted on itself
    for folder in pathlib.Path("/tmp").glob(f"lamina-{killed.pid}-*"):
        subprocess.run(["rm", "-r", folder], check=True)


@pytest.mark.podman
def test_podman_loads_and_runs(podman: Podman, tiny: Image) -> None:
    podman("load", "-i", tiny.path)
    assert "sha256:" + podman.json("image", "inspect", "tiny:1")[0]["Id"] == tiny.id
    assert podman.run("tiny:1", "echo", "hello").stdout == "hello\n"
    podman.run("tiny:1", "true")
    podman("build", "--tag", "built", "-", input="FROM tiny:1\nRUN echo built > /file\nCMD cat /file\n")
    assert podman.run("built").stdout == "built\n"


@pytest.mark.podman
def test_podman_leaves_nothing(tmp_path: pathlib.Path, tiny: Image) -> None:
    with Podman(str(tmp_path)) as podman:
        podman("load", "-i", tiny.path)
        podman("run", "-d", "tiny:1", "sleep", "1000")
        podman("image", "mount", "tiny:1")
        assert len(traces.mounts(str(tmp_path))) > 2
    assert os.listdir(tmp_path) == []


@pytest.mark.podman
def test_podman_that_was_never_called(tmp_path: pathlib.Path) -> None:
    with Podman(str(tmp_path)):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.docker
@pytest.mark.podman
def test_several_at_once(tmp_path: pathlib.Path, tiny: Image) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    with Docker(a) as docker, Docker(b) as other, Podman(a) as podman, Podman(b) as second:
        for peer in (docker, other, podman, second):
            peer("load", "-i", tiny.path)
            peer("run", "-d", "--network", "none", "--name", "same", "tiny:1", "sleep", "1000")
        other.kill()
        for peer in (docker, podman, second):
            assert peer("exec", "same", "echo", "alive").stdout == "alive\n"
        docker("kill", "same")


@pytest.mark.skopeo
def test_skopeo_inspects(skopeo: Tool, tiny: Image) -> None:
    seen = skopeo.json("inspect", f"docker-archive:{tiny.path}")
    assert seen["Layers"] == [layer.diff_id for layer in tiny.layers]
    assert seen["Os"] == "linux"
    assert any(entry.startswith("PATH=") for entry in seen["Env"])


def test_tool_input_and_output(tmp_path: pathlib.Path) -> None:
    cat = Tool("cat")
    assert cat(input="text é").stdout == "text é"
    assert cat(input=b"\xff").stdout.encode("utf-8", "surrogateescape") == b"\xff"
    assert cat().stdout == ""
    (tmp_path / "in").write_text("from a file")
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as target:
        assert cat(input=source, output=target).stdout == ""
    assert (tmp_path / "out").read_text() == "from a file"
    assert cat.json(input='{"a": 1}') == {"a": 1}
    assert Tool("sh", "-c", env={"X": "x"})("echo $X$Y", env={"Y": "y"}, cwd="/").stdout == "xy\n"


def test_tool_that_fails() -> None:
    sh = Tool("sh", "-c")
    with pytest.raises(Failed, match=r"sh -c echo no >&2; exit 3: exit status 3: no$") as raised:
        sh("echo no >&2; exit 3")
    assert raised.value.returncode == 3
    assert sh("exit 3", check=False).returncode == 3
    with pytest.raises(subprocess.TimeoutExpired):
        sh("exec sleep 1000", timeout=0.1)


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    assert Tool("sh").missing() == ""
    assert Tool("no-such-tool").missing() == "no-such-tool: no-such-tool not installed"
    monkeypatch.setattr(peers, "PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Docker.missing() == "dockerd: dockerd, docker, containerd, runc not installed"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Podman.missing() == "podman: needs root"


def test_what_is_missing_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAMINA_NO_SKIP", raising=False)
    peers.need("", "")
    with pytest.raises(pytest.skip.Exception, match="second"):
        peers.need("", "second", "third")
    monkeypatch.setenv("LAMINA_NO_SKIP", "1")
    peers.need("", "")
    with pytest.raises(pytest.fail.Exception, match="second"):
        peers.need("", "second", "third")
