"""Work shared by several processes: threads take turns at the interpreter, processes do not.

    share(4, lambda number: number * number, int, most=2) == {0: 0, 1: 1, 2: 4, 3: 9}

The others are forked, so that they have at hand all that this process has, and nothing is to be passed to them.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from .decoding import NOT_JSON
from .streams import CHUNK

Made = TypeVar("Made")

_PR_SET_PDEATHSIG = 1
_SIZE = 2  # bytes of a number
_MOST = select.PIPE_BUF // _SIZE


def share(count: int, work: Callable[[int], Made], kind: type[Made], most: int) -> dict[int, Made]:
    """Call `work` with each number below `count` once; return what it made of them.

    The numbers are given out in their order as processes become free for them. Those of a process that fails, or
    is killed, are missing from the result: the caller does them again, where an error has a name. An error in
    this process ends the others, and is raised. The others never live longer than this process.

    Nothing is forked where other threads run, as they may hold locks, nor where it cannot help: all is done here.

    Args:
        count: at most 2,048.
        work: what it makes must be a value that msgspec can encode.
        kind: of what it makes.
        most: processes, this one among them; never more than there are processors.
    """
    others = min(most, len(os.sched_getaffinity(0)), count) - 1
    if others < 1 or len(os.listdir("/proc/self/task")) > 1:
        return {number: work(number) for number in range(count)}
    with contextlib.ExitStack() as stack:
        numbers = stack.enter_context(_numbers(count))
        helpers = [stack.enter_context(_Helper(numbers, work)) for _ in range(others)]
        made = {number: work(number) for number in _taken(numbers)}
        for helper in helpers:
            made.update(helper.result(kind))
        return made


@contextlib.contextmanager
def _numbers(count: int) -> Iterator[int]:
    """Open a pipe with all numbers in it, each of two bytes: whoever reads one has it alone."""
    if count > _MOST:
        raise ValueError(f"{count} numbers; at most {_MOST} fit a pipe at once")
    numbers, end = os.pipe()
    try:
        os.write(end, b"".join(number.to_bytes(_SIZE, "big") for number in range(count)))
        os.close(end)
        yield numbers
    finally:
        os.close(numbers)


def _taken(numbers: int) -> Iterator[int]:
    while taken := os.read(numbers, _SIZE):
        yield int.from_bytes(taken, "big")


class _Helper:
    """A forked process that takes numbers; its results come over a pipe when there are no more."""

    def __init__(self, numbers: int, work: Callable[[int], object]) -> None:
        self._results, end = os.pipe()
        parent = os.getpid()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._pid = os.fork()
        if self._pid == 0:
            _be_helper(parent, numbers, work, end)
        os.close(end)

    def result(self, kind: type[Made]) -> dict[int, Made]:
        """Wait for what the process made; nothing, if it failed."""
        data = b"".join(iter(lambda: os.read(self._results, CHUNK), b""))
        try:
            return msgspec.msgpack.decode(data, type=dict[int, kind])  # type: ignore[valid-type]
        except NOT_JSON:
            return {}

    def __enter__(self) -> "_Helper":
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill the process if it runs yet."""
        os.close(self._results)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _be_helper(parent: int, numbers: int, work: Callable[[int], object], results: int) -> None:
    """Do the work of a helper, and end without a trace of having been a copy of another process."""
    from .files import libc  # noqa: PLC0415 - loads ctypes

    try:
        libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            data = memoryview(msgspec.msgpack.encode({number: work(number) for number in _taken(numbers)}))
            while data:
                data = data[os.write(results, data) :]
    finally:
        os._exit(0)
