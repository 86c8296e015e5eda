"""Containers that run by themselves: what ends them, what is left of them, and who may leave them alone."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable

import msgspec
import pytest
from tests import peers, traces
from tests.cli.place import Lamina
from tests.cli.test_run import Terminal, patience
from tests.peers import Tool

from lamina import sealed
from lamina.pids import ProcessId

__all__ = ["patience"]

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

QUIET = ("--network", "none")


@pytest.fixture(autouse=True)
def conmon() -> None:
    peers.need(Tool("conmon").missing())


def until(holds: Callable[[], object], patience: float = 20) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


def state(lamina: Lamina, name: str) -> str:
    form = "{{.State.Status}} {{.State.ExitCode}}"
    return lamina("inspect", "-f", form, name, check=False).stdout.strip()


def monitor(lamina: Lamina, name: str) -> int:
    """Return the process id of a container's conmon."""
    container = lamina("inspect", "-f", "{{.Id}}", name).stdout.strip()
    return sealed.read(f"{lamina.root}/lamina/containers/monitored/{container}", ProcessId).pid


def remains(lamina: Lamina) -> dict[int, str]:
    return traces.processes(f"{lamina.root}.run")


def test_it_outlives_who_started_it(lamina: Lamina) -> None:
    script = "until [ -e /go ]; do sleep 0.05; done; echo x > /made; exit 3"
    lamina("run", "-d", "--name", "one", *QUIET, "tiny:1", "sh", "-c", script)
    assert state(lamina, "one") == "running 0"
    lamina("exec", "one", "touch", "/go")
    assert lamina("wait", "one").stdout == "3\n"
    assert state(lamina, "one") == "exited 3"
    assert "A /made" in lamina("diff", "one").stdout.splitlines()
    until(lambda: not remains(lamina))
    lamina("rm", "one")


def test_nobody_waits_for_the_end(lamina: Lamina) -> None:
    """The conmon's own command notes it, and takes away what was to go."""
    lamina("run", "-d", "--rm", "--name", "gone", *QUIET, "tiny:1", "true")
    lamina("run", "-d", "--name", "kept", *QUIET, "tiny:1", "true")
    containers = pathlib.Path(lamina.root, "lamina/containers")
    until(lambda: not list((containers / "monitored").iterdir()))
    until(lambda: not remains(lamina))
    assert lamina("ps", "-a", "--format", "{{.Names}}").stdout == "kept\n"
    lamina("rm", "kept")


@pytest.mark.parametrize("options", [(), ("--rm",)])
def test_everything_killed(lamina: Lamina, options: tuple[str, ...]) -> None:
    lamina("run", "-d", "--name", "one", *options, *QUIET, "tiny:1", "sleep", "100")
    for pid in [monitor(lamina, "one"), *remains(lamina)]:
        with contextlib.suppress(ProcessLookupError):  # what a conmon leaves does not stay long
            os.kill(pid, signal.SIGKILL)
    until(lambda: not remains(lamina))
    assert state(lamina, "one") == "exited 137"
    lamina("tag", "tiny:1", "other")  # whoever writes next takes away what is left
    assert lamina("ps", "-aq").stdout.count("\n") == (0 if options else 1)
    if not options:
        assert lamina("start", "one").stdout == "one\n"
        assert state(lamina, "one") == "running 0"
        lamina("rm", "-f", "one")


def test_a_killed_conmon_leaves_no_process(lamina: Lamina) -> None:
    lamina("run", "-d", "--name", "one", *QUIET, "tiny:1", "sleep", "100")
    os.kill(monitor(lamina, "one"), signal.SIGKILL)
    until(lambda: state(lamina, "one") == "exited 137")
    lamina("tag", "tiny:1", "other")
    assert not remains(lamina)
    lamina("rm", "one")


def test_another_start_of_the_machine(lamina: Lamina) -> None:
    """What was noted before it means nothing, even where a process has the number that a conmon had."""
    lamina("run", "-d", "--name", "one", *QUIET, "tiny:1", "sleep", "100")
    lamina("run", "-d", "--name", "two", "--rm", *QUIET, "tiny:1", "sleep", "100")
    for pid in remains(lamina):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not remains(lamina))
    for path in pathlib.Path(lamina.root, "lamina/containers/monitored").iterdir():
        noted = sealed.read(str(path), ProcessId)
        sealed.write(str(path), msgspec.structs.replace(noted, pid=os.getpid(), boot="another"))
    subprocess.run(["sh", "-c", f"rm -r {lamina.root}.run/bundles/*"], check=True)
    assert state(lamina, "one") == "exited 137"
    lamina("tag", "tiny:1", "other")
    assert lamina("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout == "one exited\n"
    lamina("rm", "one")


def test_restart_policies(lamina: Lamina) -> None:
    run = ("run", "-d", *QUIET)
    lamina(*run, "--name", "thrice", "--restart", "on-failure:2", "tiny:1", "sh", "-c", "echo again; exit 3")
    lamina(*run, "--name", "well", "--restart", "on-failure", "tiny:1", "true")
    lamina(*run, "--name", "always", "--restart", "always", "tiny:1", "sh", "-c", "echo again; sleep 0.1")
    until(lambda: state(lamina, "thrice") == "exited 3")
    assert lamina("logs", "thrice").stdout == "again\n" * 3
    assert lamina("inspect", "-f", "{{.RestartCount}}", "thrice").stdout == "2\n"
    until(lambda: state(lamina, "well") == "exited 0")
    until(lambda: lamina("logs", "always").stdout.count("again") >= 3)
    lamina("stop", "-t", "0", "always")
    assert state(lamina, "always").startswith("exited ")
    until(lambda: not remains(lamina))
    assert state(lamina, "always").startswith("exited ")
    lamina("rm", "thrice", "well", "always")


def test_one_that_waits_to_be_started_again_is_stopped(lamina: Lamina) -> None:
    lamina("run", "-d", "--name", "one", "--restart", "always", *QUIET, "tiny:1", "false")
    until(lambda: int(lamina("inspect", "-f", "{{.RestartCount}}", "one").stdout) >= 3)
    until(lambda: state(lamina, "one").startswith("restarting"))
    lamina("rm", "-f", "one")
    until(lambda: not remains(lamina))
    assert lamina("ps", "-aq").stdout == ""


@pytest.mark.usefixtures("patience")
def test_a_terminal_is_left_and_found_again(lamina: Lamina) -> None:
    lamina("run", "-dit", "--name", "one", *QUIET, "tiny:1", "sh")
    terminal = Terminal(lamina, "attach", "one")
    terminal.type(b"echo $((6 * 7))\n")
    terminal.wait_for(b"42\r\n")
    terminal.type(b"\x10\x11")
    assert terminal.end() == 0
    assert b"read escape sequence" in terminal.said
    assert state(lamina, "one") == "running 0"
    terminal = Terminal(lamina, "attach", "--detach-keys", "ctrl-a,z", "one")
    terminal.type(b"exit 5\n")
    assert terminal.end() == 5
    lamina("rm", "one")


@pytest.mark.usefixtures("patience")
def test_a_terminal_for_one_more_process(lamina: Lamina) -> None:
    lamina("run", "-d", "--name", "one", *QUIET, "tiny:1", "sleep", "100")
    terminal = Terminal(lamina, "exec", "-it", "one", "sh")
    terminal.wait_for(b"# ")
    terminal.type(b"tty; exit 6\n")
    assert terminal.end() == 6
    assert b"/dev/pts/" in terminal.said
    lamina("rm", "-f", "one")


def test_signals_reach_what_is_attached_to(lamina: Lamina) -> None:
    script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done"
    lamina("create", "--name", "one", *QUIET, "tiny:1", "sh", "-c", script)
    process = lamina.start("start", "-a", "one")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=20)[1] == b""
    assert process.returncode == 42
    lamina("rm", "one")


def test_many_start_one(lamina: Lamina) -> None:
    """It runs once, whoever was first."""
    lamina("create", "--name", "one", *QUIET, "tiny:1", "sh", "-c", "echo started; sleep 100")
    starts = [lamina.start("start", "one") for _ in range(6)]
    assert {(*start.communicate(timeout=60), start.returncode) for start in starts} == {(b"one\n", b"", 0)}
    until(lambda: lamina("logs", "one").stdout)
    assert lamina("logs", "one").stdout == "started\n"
    lamina("rm", "-f", "one")


def test_input_of_any_size(lamina: Lamina) -> None:
    data = os.urandom(1 << 20)
    lamina("create", "-i", "--name", "one", *QUIET, "tiny:1", "wc", "-c")
    assert lamina("start", "-ai", "one", input=data).stdout == f"{len(data)}\n"
    lamina("rm", "one")


def test_a_running_container_holds_its_image(lamina: Lamina) -> None:
    lamina("run", "-d", "--name", "one", *QUIET, "tiny:1", "sleep", "100")
    refused = lamina("rm", "one", check=False)
    assert refused.returncode == 1
    assert "container is running: stop the container before removing" in refused.stderr
    assert lamina("rmi", "-f", "tiny:1", check=False).returncode == 0  # its name alone goes
    assert lamina("exec", "one", "echo", "still").stdout == "still\n"
    lamina("rm", "-f", "one")


@pytest.mark.parametrize("pause", [False, True])
def test_it_runs_though_its_state_is_damaged(lamina: Lamina, pause: bool) -> None:
    container = lamina("run", "-d", "--name", "one", *QUIET, "tiny:1", "sleep", "100").stdout.strip()
    if pause:
        lamina("pause", "one")
    with open(f"{lamina.root}/lamina/containers/{container}/state.json", "wb") as file:
        file.write(b"{}\n")
    assert state(lamina, "one") == "running 0"
    assert lamina("rm", "one", check=False).returncode == 1
    lamina("rm", "-f", "one")
    until(lambda: not remains(lamina))
    assert lamina("ps", "-aq").stdout == ""
