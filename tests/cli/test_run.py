"""Processes in containers: signals, terminals, standard input; and nothing left behind, whatever ends them."""

import hashlib
import os
import pathlib
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from tests import traces
from tests.cli.place import BIN, Lamina

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

RUN = ("run", "--rm", "--network", "none")
TRAP = 'trap "echo caught $1; exit 42" $1; echo ready; while :; do sleep 0.05; done'


def _wait_for(process: subprocess.Popen[bytes], text: bytes, patience: float = 20) -> bytes:
    """Read what a process prints until some text has come."""
    assert process.stdout is not None
    said = b""
    end = time.monotonic() + patience
    while text not in said:
        assert select.select([process.stdout], [], [], end - time.monotonic())[0], said
        data = os.read(process.stdout.fileno(), 4096)
        assert data, said
        said += data
    return said


def _end(process: subprocess.Popen[bytes], patience: float = 20) -> tuple[int, bytes, bytes]:
    out, error = process.communicate(timeout=patience)
    return process.returncode, out, error


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_reach_the_program(lamina: Lamina, name: str) -> None:
    process = lamina.start(*RUN, "tiny:1", "sh", "-c", TRAP, "sh", name)
    _wait_for(process, b"ready\n")
    process.send_signal(getattr(signal, f"SIG{name}"))
    assert _end(process) == (42, f"caught {name}\n".encode(), b"")
    assert lamina("ps", "-aq").stdout == ""


def test_a_signal_that_ends_the_program_is_its_exit_code(lamina: Lamina) -> None:
    """A shell that is no first process dies of it; the first process tells by its own exit code."""
    script = "sh -c 'kill -TERM $$'; exit $?"
    assert lamina(*RUN, "tiny:1", "sh", "-c", script, check=False).returncode == 128 + signal.SIGTERM
    process = lamina.start(
        "run", "--name", "killed", "--network", "none", "tiny:1", "sh", "-c", "echo ready; sleep 100"
    )
    _wait_for(process, b"ready\n")
    pid = int(lamina("inspect", "-f", "{{.State.Pid}}", "killed").stdout)
    os.kill(pid, signal.SIGKILL)
    assert _end(process)[0] == 137
    assert lamina("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "killed").stdout == "exited 137\n"


def test_a_running_container_is_seen_and_held(lamina: Lamina) -> None:
    process = lamina.start("run", "--name", "one", "--network", "none", "tiny:1", "sh", "-c", "echo ready; sleep 100")
    _wait_for(process, b"ready\n")
    (row,) = lamina("ps", "--format", "{{.Names}} {{.State}} {{.Status}}").stdout.splitlines()
    assert row.startswith("one running Up ")
    assert lamina("inspect", "-f", "{{.State.Running}} {{.State.FinishedAt}}", "one").stdout.startswith("true 0001-")
    refused = lamina("rm", "one", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert 'cannot remove container "/one": container is running' in refused.stderr
    container = lamina("ps", "-q").stdout.strip()
    image = lamina("images", "-q", "tiny:1").stdout.strip()
    refused = lamina("rmi", "-f", image, check=False)
    assert refused.stderr == (
        f"Error: conflict: unable to delete {image} (cannot be forced) - image is being used by running container "
        f"{container}\n"
    )
    lamina("cp", "-", "one:/tmp", input=subprocess.run(["tar", "c", "/etc/hostname"], capture_output=True).stdout)
    assert lamina("cp", "one:/tmp/etc/hostname", "-").stdout
    assert "A /tmp/etc" in lamina("diff", "one").stdout
    assert lamina("rm", "-f", "one").stdout == "one\n"
    assert _end(process)[0] == 137
    assert lamina("ps", "-aq").stdout == ""


def test_a_killed_runner_leaves_no_process(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    process = lamina.start("run", "--name", "kept", "--network", "none", "tiny:1", "sh", "-c", "echo ready; sleep 100")
    _wait_for(process, b"ready\n")
    gone = lamina.start(
        "run", "--rm", "--name", "gone", "--network", "none", "tiny:1", "sh", "-c", "echo ready; sleep 99"
    )
    _wait_for(gone, b"ready\n")
    for one in (process, gone):
        one.kill()
        one.wait()
        _close(one)
    assert lamina("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout.splitlines()[-1] == "kept exited"
    lamina("tag", "tiny:1", "other")  # whoever writes next takes away what is left
    assert lamina("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout == "kept exited\n"
    assert not [text for text in traces.processes(f"{lamina.root}.run").values() if "sleep" in text]
    assert lamina("run", "--rm", "--name", "gone", "--network", "none", "tiny:1", "echo", "again").stdout == "again\n"


def test_standard_input_of_any_size(lamina: Lamina) -> None:
    data = os.urandom(3 << 20)
    done = lamina(*RUN, "-i", "tiny:1", "sha256sum", input=data)
    assert done.stdout == f"{hashlib.sha256(data).hexdigest()}  -\n"
    assert lamina(*RUN, "tiny:1", "wc", "-c", input=b"not for you").stdout == "0\n"


class Terminal:
    """The program on a terminal, as a person has it."""

    def __init__(self, lamina: Lamina, *args: str) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execve(os.path.join(BIN, "lamina"), ["lamina", *args], lamina.env)
        self.said = b""

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    def wait_for(self, text: bytes, patience: float = 20) -> None:
        end = time.monotonic() + patience
        while text not in self.said:
            assert select.select([self.fd], [], [], max(end - time.monotonic(), 0))[0], self.said
            self.said += os.read(self.fd, 4096)

    def end(self) -> int:
        """Read to the end; return the exit status."""
        try:
            while data := os.read(self.fd, 4096):
                self.said += data
        except OSError:  # nobody has the other side any more
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def patience() -> Iterator[None]:
    """End a test that hangs."""
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("patience")
def test_a_terminal(lamina: Lamina) -> None:
    terminal = Terminal(lamina, *RUN, "-it", "tiny:1", "sh")
    terminal.wait_for(b"# ")
    terminal.type(b"tty; echo $TERM $((6 * 7)); exit 5\n")
    assert terminal.end() == 5
    assert b"/dev/pts/0\r\n" in terminal.said
    assert b"xterm 42\r\n" in terminal.said


@pytest.mark.usefixtures("patience")
def test_control_c_on_a_terminal(lamina: Lamina) -> None:
    for options, caught in (((), b"caught INT"), (("-it",), b"caught INT")):
        terminal = Terminal(lamina, *RUN, *options, "tiny:1", "sh", "-c", TRAP, "sh", "INT")
        terminal.wait_for(b"ready")
        terminal.type(b"\x03")
        assert terminal.end() == 42, terminal.said
        assert caught in terminal.said


def test_a_terminal_without_one(lamina: Lamina) -> None:
    assert lamina(*RUN, "-t", "tiny:1", "sh", "-c", "tty; echo x >&2").stdout == "/dev/pts/0\r\nx\r\n"


def test_a_reader_that_goes_away(lamina: Lamina) -> None:
    """`lamina run … | head -1` ends, and leaves nothing."""
    process = lamina.start(*RUN, "tiny:1", "yes")
    _wait_for(process, b"y\n")
    _close(process)
    assert process.wait(20) != 0


def test_a_volume_of_files(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("from outside\n")
    volume = f"{tmp_path}/data:/data"
    assert lamina(*RUN, "-v", volume, "tiny:1", "cat", "/data/file").stdout == "from outside\n"
    lamina(*RUN, "-v", volume, "-u", "5:6", "tiny:1", "sh", "-c", "echo x > /data/file", check=False)
    assert (tmp_path / "data" / "file").read_text() == "from outside\n"
    lamina(*RUN, "-v", volume, "tiny:1", "sh", "-c", "echo inside > /data/file")
    assert (tmp_path / "data" / "file").read_text() == "inside\n"
    refused = lamina(*RUN, "-v", volume + ":ro", "tiny:1", "touch", "/data/file", check=False)
    assert (refused.returncode, refused.stderr) == (1, "touch: /data/file: Read-only file system\n")


def test_the_network_of_the_host(lamina: Lamina) -> None:
    """It is told by its name: others come and go in it while we look."""
    name = ("readlink", "/proc/self/ns/net")
    ours = os.readlink(name[1]) + "\n"
    assert lamina("run", "--rm", "--network", "host", "tiny:1", *name).stdout == ours
    assert lamina("run", "--rm", "tiny:1", *name).stdout == ours
    assert lamina("run", "--rm", "--network", "none", "tiny:1", *name).stdout != ours
    assert "lo" in lamina("run", "--rm", "tiny:1", "ls", "/sys/class/net").stdout.split()


def test_a_volume_of_the_image_is_a_directory(lamina: Lamina) -> None:
    dockerfile = b"FROM tiny:1\nVOLUME /kept/here\nRUN echo x > /kept/here/file\n"
    lamina("build", "-q", "-t", "kept:1", "-", input=dockerfile)
    assert lamina(*RUN, "kept:1", "sh", "-c", "cd /kept/here && echo in").stdout == "in\n"


def test_a_path_that_climbs_above_the_root_stays_at_it(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    lamina("run", "--name", "one", "--network", "none", "tiny:1", "sh", "-c", "echo x > /file")
    lamina("cp", "one:../../file", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == "x\n"


def test_one_that_goes_by_itself_is_removed_by_force(lamina: Lamina) -> None:
    process = lamina.start(*RUN, "--name", "one", "tiny:1", "sh", "-c", "echo ready; sleep 100")
    _wait_for(process, b"ready\n")
    done = lamina("rm", "-f", "one")
    assert (done.stdout, done.stderr) == ("one\n", "")
    assert _end(process) == (137, b"", b"")
