"""The most memory that a command has at a time, in MB of a million bytes."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator

_PAUSE = 0.01


def peak(command: list[str], environment: dict[str, str]) -> float:
    """Run a command; return its peak, the processes that it starts included.

    That is the larger of two: the peak of its largest process, which the kernel keeps exactly, and the sum of all
    that it has at a time, shared pages counted once (Pss), looked at a hundred times a second.
    """
    most = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        said = b""
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            most = max(most, sum(map(_pss, _family(process.pid))))
            said += process.stderr.read() or b""
            time.sleep(_PAUSE)
        said += process.stderr.read() or b""
        process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return max(most, ended[2].ru_maxrss * 1024) / 1e6


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all below it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    yield from _family(int(child))


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
