"""The most memory that a command has at a time, in MB of a million bytes."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator

_PAUSE = 0.01


def peak(command: list[str], environment: dict[str, str]) -> float:
    """Run a command; return its peak, the processes that it starts included.

    That is the larger of two, looked at a hundred times a second: the sum of what all its processes have, shared pages
    counted once (Pss), and the peak that the kernel keeps of each (VmHWM). Not what wait4 tells (ru_maxrss): it counts
    what the process was before its exec, a copy of whoever measures.
    """
    most = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        said = b""
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            family = list(_family(process.pid))
            most = max(most, sum(map(_pss, family)), *map(_peak, family))
            said += process.stderr.read() or b""
            time.sleep(_PAUSE)
        said += process.stderr.read() or b""
        process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return most / 1e6


def now(pid: int) -> float:
    """Return what a process and all below it have at present, in MB; shared pages count once."""
    return sum(map(_pss, _family(pid))) / 1e6


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    yield from _family(int(child))


def _pss(pid: int) -> int:
    return _field(pid, "smaps_rollup", "Pss:")


def _peak(pid: int) -> int:
    return _field(pid, "status", "VmHWM:")


def _field(pid: int, file: str, name: str) -> int:
    """Return an amount in bytes of what the kernel tells of a process, 0 when that has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}") as lines:
        for line in lines:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0
