"""A terminal for a process whose caller has none: `run -t` with its streams redirected."""

import os
import select
import tty
from collections.abc import Callable

from ..streams import CHUNK
from .children import Streams, end, wait


def run(spawn: Callable[[Streams], int], streams: Streams, started: Callable[[int], None]) -> int:
    """Start a child on a new terminal, copy between that and some streams, and wait; return the exit status."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        pid = spawn(Streams(theirs, theirs, theirs))
        os.close(theirs)
        theirs = -1
        try:
            started(pid)
            _copy(ours, streams)
        except BaseException:
            end(pid)
            raise
        return wait(pid)
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)


def _copy(ours: int, streams: Streams) -> None:
    """Copy both ways until the other side of the terminal is closed; neither way waits for the other."""
    os.set_blocking(ours, False)
    source, typed = [streams.stdin], b""
    while True:
        ready, takes, _ = select.select([ours] if typed else [ours, *source], [ours] if typed else [], [])
        if streams.stdin in ready:
            typed = os.read(streams.stdin, CHUNK)
            if not typed:
                source, typed = [], b"\x04"
        if takes:
            typed = typed[_send(ours, typed) :]
        if ours in ready:
            try:
                data = os.read(ours, CHUNK)
            except OSError:  # the last process on the other side is gone
                return
            _write(streams.stdout, data)


def _send(ours: int, data: bytes) -> int:
    """Write what fits; to nobody, everything does."""
    try:
        return os.write(ours, data)
    except BlockingIOError:
        return 0
    except OSError:  # the reader tells the same
        return len(data)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
