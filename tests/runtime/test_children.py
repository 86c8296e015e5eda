"""Children: which descriptors they get, how they end; and a terminal for those whose caller has none."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamina.runtime import terminal
from lamina.runtime.children import Streams, _moves, end, spawn, wait

SH = "/bin/sh"
FOREVER = ("/bin/sleep", "1000")


@pytest.fixture
def null() -> Iterator[Streams]:
    fd = os.open(os.devnull, os.O_RDWR)
    yield Streams(fd, fd, fd)
    os.close(fd)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (5, 5, 5), (1, 1, 0), (7, 0, 3)])
def test_descriptors_are_moved_whichever_they_are(order: tuple[int, int, int]) -> None:
    table = {fd: f"file {fd}" for fd in {0, 1, 2, *order}}
    for action, *fds in _moves(*order):
        if action == os.POSIX_SPAWN_DUP2:
            table[fds[1]] = table[fds[0]]
        else:
            del table[fds[0]]
    assert [table[fd] for fd in (0, 1, 2)] == [f"file {fd}" for fd in order]
    assert set(table) == {0, 1, 2, *order}


def test_streams(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    with open(tmp_path / "in") as stdin, open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
        streams = Streams(stdin.fileno(), out.fileno(), err.fileno())
        assert wait(spawn([SH, "-c", "cat; echo wrong >&2; env; exit 3"], streams)) == 3
    text = (tmp_path / "out").read_text()
    assert text.startswith("hello")
    assert "PATH=/usr/local/sbin:" in text
    assert "HOME=" not in text, "nothing of our environment"
    assert (tmp_path / "err").read_text() == "wrong\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGPIPE])
def test_a_signal_is_128_and_its_number(null: Streams, number: int) -> None:
    assert wait(spawn([SH, "-c", f"kill -{int(number)} $$"], null)) == 128 + number


@pytest.mark.parametrize("apart", [True, False])
def test_a_process_group_of_its_own(null: Streams, apart: bool) -> None:
    pid = spawn([*FOREVER], null, apart=apart)
    assert os.getpgid(pid) == (pid if apart else os.getpgrp())
    end(pid)
    end(pid)  # is no error
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_such_program(null: Streams) -> None:
    with pytest.raises(FileNotFoundError):
        spawn(["/no/such"], null)


class Pipes:
    """Both ends of the streams of a child on a terminal; what comes out is read as it comes."""

    def __init__(self, data: bytes) -> None:
        self.stdin, self._in = os.pipe()
        self._out, self.stdout = os.pipe()
        self.text = b""
        self._threads = [threading.Thread(target=self._feed, args=(data,), daemon=True)]
        self._threads.append(threading.Thread(target=self._read, daemon=True))
        for thread in self._threads:
            thread.start()

    def _feed(self, data: bytes) -> None:
        with open(self._in, "wb") as file:
            file.write(data)

    def _read(self) -> None:
        with open(self._out, "rb") as file:
            self.text = file.read()

    def run(self, *command: str, started: Callable[[int], None] = lambda _: None) -> int:
        """Run a child on a terminal; return its exit status."""
        streams = Streams(self.stdin, self.stdout, self.stdout)
        try:
            return terminal.run(lambda inner: spawn([*command], inner), streams, started)
        finally:
            os.close(self.stdout)
            os.close(self.stdin)
            for thread in self._threads:
                thread.join()


def test_a_terminal_for_all_three_streams() -> None:
    pipes = Pipes(b"")
    assert pipes.run(SH, "-c", "test -t 0 && test -t 1 && test -t 2 && echo yes; exit 4") == 4
    assert pipes.text == b"yes\n"


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_a_terminal_whose_two_ways_do_not_wait_for_each_other(size: int) -> None:
    data = bytes(range(32, 127)) * (size // 95 + 1)
    pipes = Pipes(data[:size])
    statuses: list[int] = []
    command = ("/usr/bin/head", "-c", str(size))
    thread = threading.Thread(target=lambda: statuses.append(pipes.run(*command)), daemon=True)
    thread.start()
    thread.join(30)  # a deadlock lasts for ever
    assert statuses == [0]
    assert pipes.text == data[:size]


def test_the_end_of_input_is_typed() -> None:
    pipes = Pipes(b"ab")
    assert pipes.run("/usr/bin/head", "-c", "3") == 0
    assert pipes.text == b"ab\x04"


def test_a_child_whose_start_is_not_wanted_is_ended() -> None:
    pids: list[int] = []

    def refuse(pid: int) -> None:
        pids.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipes(b"").run(*FOREVER, started=refuse)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
