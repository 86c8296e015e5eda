"""Child processes: started from any thread with given streams, waited for, ended."""

import contextlib
import os
import signal
from collections.abc import Mapping

import msgspec

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Streams(msgspec.Struct, frozen=True):
    """The descriptors that a process gets as its standard streams."""

    stdin: int
    stdout: int
    stderr: int


def spawn(command: list[str], streams: Streams, *more: int, apart: bool = False, env: Mapping[str, str] = {}) -> int:
    """Start a program; return its process id.

    Args:
        command: the absolute path of the program, and its arguments.
        streams: what it gets.
        more: descriptors that it gets as 3, 4, ...
        apart: put it into a process group of its own, which a terminal's ^C does not reach.
        env: variables that it gets beside its PATH.
    """
    actions = _moves(streams.stdin, streams.stdout, streams.stderr, *more)
    variables = {**_ENVIRONMENT, **env}
    if apart:
        return os.posix_spawn(command[0], command, variables, file_actions=actions, setpgroup=0, setsigdef=_HANDLED)
    return os.posix_spawn(command[0], command, variables, file_actions=actions, setsigdef=_HANDLED)


def _moves(*sources: int) -> list[tuple[int, int, int] | tuple[int, int]]:
    """Return the actions that make some descriptors 0, 1, 2, ..., whichever they are now."""
    spare = max(*sources, len(sources)) + 1
    moves: list[tuple[int, int, int] | tuple[int, int]] = []
    moves += [(os.POSIX_SPAWN_DUP2, source, spare + at) for at, source in enumerate(sources)]
    moves += [(os.POSIX_SPAWN_DUP2, spare + at, at) for at in range(len(sources))]
    moves += [(os.POSIX_SPAWN_CLOSE, spare + at) for at in range(len(sources))]
    return moves


def wait(pid: int) -> int:
    """Wait for a child; return its exit status as shells say it, 128 and the signal if one ended it."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 128 - status


def end(pid: int) -> None:
    """Kill a child and wait for it; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
