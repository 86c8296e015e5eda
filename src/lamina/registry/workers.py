"""Several processes that serve one address: each has its own socket there, and one that dies is replaced."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from ..files import libc

_PR_SET_PDEATHSIG = 1
_WAITED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

Work = Callable[[int, socket.socket], None]


def run(sockets: Sequence[socket.socket], work: Work, started: Callable[[], None]) -> None:
    """Run `work` in a process for each socket until SIGTERM or SIGINT, and wait for all to end.

    Nothing may have started threads before. What work raises ends its process, which is replaced unless all end.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)  # before the first starts: it may end at once
    running = {_start(number, sockets, work): number for number in range(len(sockets))}
    started()
    stopping = False
    while running:
        if signal.sigwait(_WAITED) != signal.SIGCHLD:
            stopping = True
            for each in set(sockets):
                each.close()  # or who comes now would wait for nobody
            for pid in running:
                os.kill(pid, signal.SIGTERM)
        for pid in [pid for pid in running if os.waitpid(pid, os.WNOHANG)[0]]:
            number = running.pop(pid)
            if not stopping:
                running[_start(number, sockets, work)] = number


def _start(number: int, sockets: Sequence[socket.socket], work: Work) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        libc().prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # none outlives a parent that was killed
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            for each in {*sockets} - {sockets[number]}:
                each.close()
            work(number, sockets[number])
            status = 0
    except BaseException:  # noqa: BLE001 - a process of its own ends here, whatever happens
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
