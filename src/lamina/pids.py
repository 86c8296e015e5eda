"""Processes named so that no other one is ever taken for them: numbers are given out again, also after a new start."""

import contextlib
import functools
import os
import select

import msgspec


class ProcessId(msgspec.Struct, frozen=True):
    """A process.

    Attributes:
        pid: its number.
        since: when it was started, in clock ticks since the machine was.
        boot: which start of the machine that was.
    """

    pid: int
    since: int
    boot: str

    @property
    def is_alive(self) -> bool:
        """Whether it is still there."""
        return self.boot == _boot() and self.since == _since(self.pid)


def of(pid: int) -> ProcessId:
    """Return the full name of a process that has not been waited for."""
    return ProcessId(pid, _since(pid), _boot())


def wait(pid: int, patience: float | None = None) -> bool:
    """Wait for the end of any process; return whether it has ended within `patience` seconds."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(None if patience is None else max(0, int(patience * 1000))))
    finally:
        os.close(fd)


@functools.cache
def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _since(pid: int) -> int:
    """Return when a process was started, in clock ticks since the machine was; -1 if it has ended (proc(5), stat)."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", errors="replace") as file:
        state, *fields = file.read().rpartition(")")[2].split()
        return -1 if state in "ZX" else int(fields[18])
    return -1
