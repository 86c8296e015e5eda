"""Forking needs a process without threads, which a test runner is not: each case is a program of its own."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lamina.processes import share

pytestmark = pytest.mark.skipif(
    subprocess.run(["nproc"], capture_output=True, text=True).stdout.strip() == "1", reason="needs two processors"
)


def program(text: str) -> str:
    """Run a program in which `share` is known; return what it writes."""
    code = "import os, signal, sys, time\nfrom lamina.processes import share\n" + text
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.stdout.strip()


def test_every_number_is_done_once_and_by_several() -> None:
    text = """
def work(number):
    time.sleep(0.01)
    return os.getpid()
made = share(40, work, int, 2)
print(sorted(made) == list(range(40)), len(set(made.values())))
"""
    assert program(text) == "True 2"


def test_more_numbers_than_a_byte_counts() -> None:
    text = """
print(share(2048, lambda number: number, int, 2) == {number: number for number in range(2048)})
try:
    share(2049, lambda number: number, int, 2)
except ValueError as error:
    print(error)
"""
    assert program(text) == "True\n2049 numbers; at most 2048 fit a pipe at once"


def test_results_may_be_larger_than_a_pipe() -> None:
    text = """
made = share(4, lambda number: b"x" * (number << 20), bytes, 2)
print([len(made[number]) >> 20 for number in range(4)])
"""
    assert program(text) == "[0, 1, 2, 3]"


@pytest.mark.parametrize("failure", ["raise OSError", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)"])
def test_what_fails_elsewhere_is_left_out(failure: str) -> None:
    text = f"""
me = os.getpid()
def work(number):
    time.sleep(0.01)
    if os.getpid() != me:
        {failure}
    return number
made = share(20, work, int, 2)
print(len(made) in (18, 19), all(number == value for number, value in made.items()))
"""
    assert program(text) == "True True"


def test_an_error_here_ends_the_others(tmp_path: Path) -> None:
    text = f"""
me = os.getpid()
def work(number):
    if os.getpid() == me:
        time.sleep(0.2)
        raise KeyError("mine")
    open({str(tmp_path / "begun")!r}, "w").close()
    time.sleep(60)
try:
    share(2, work, int, 2)
except KeyError as error:
    print(error, os.path.exists({str(tmp_path / "begun")!r}))
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("none left")
"""
    assert program(text) == "'mine' True\nnone left"


def test_the_others_die_with_this_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"""
import os, signal, time
from lamina.processes import share
me = os.getpid()
def work(number):
    if os.getpid() == me:
        while not os.path.exists({str(pid)!r}):
            time.sleep(0.01)
        os.kill(me, signal.SIGKILL)
    with open({str(pid)!r} + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename({str(pid)!r} + ".new", {str(pid)!r})
    time.sleep(60)
share(2, work, int, 2)
"""
    subprocess.run([sys.executable, "-c", code], timeout=30)
    helper = Path("/proc", pid.read_text())
    for _ in range(100):
        if not helper.exists() or "\nState:\tZ" in (helper / "status").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the helper lives on")


def test_beside_other_threads_all_is_done_here() -> None:
    text = """
import threading
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
made = share(4, lambda number: os.getpid(), int, 2)
stop.set()
print(set(made.values()) == {os.getpid()})
"""
    assert program(text) == "True"


def test_nothing_is_forked_for_one() -> None:
    assert share(1, lambda number: number, int, 2) == {0: 0}
    assert share(0, lambda number: number, int, 2) == {}
    assert share(3, lambda number: number, int, 1) == {0: 0, 1: 1, 2: 2}
