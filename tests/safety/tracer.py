"""A command stopped at its system calls: killed before one, or made to believe that one failed (ptrace(2)).

All processes and threads that the command forks are followed, and calls are seen in the order they are made. A process
that becomes another program than Python (the runtime, conmon) is let go: it lives on as it would without us.
"""

import contextlib
import ctypes
import functools
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, NamedTuple

from tests.safety.syscalls import BARRIERS, NUMBERS

_SYSCALL, _DETACH, _POKEUSER, _SEIZE, _SYSCALL_INFO = 24, 17, 6, 0x4206, 0x420E
_OPTIONS = 1 | 2 | 4 | 8 | 16 | 1 << 20  # system calls are marked; fork, vfork, clone, exec; all die with us
_EXEC, _STOP = 4, 128  # events
_RAX, _ORIG_RAX = 10 * 8, 15 * 8  # in struct user
_WALL = 0x40000000

_NAMES = {number: name for name, number in NUMBERS.items()}


class Call(NamedTuple):
    """A system call that a process is about to make, or has made."""

    pid: int
    name: str
    args: tuple[int, ...]

    def file(self, at: int) -> str:
        """Return the path of an argument that is a descriptor, nothing where it is none."""
        fd = ctypes.c_int(self.args[at]).value
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{self.pid}/{'cwd' if fd == -100 else f'fd/{fd}'}")
        return ""

    def path(self, at: int, folder: int | None = None) -> str:
        """Return an argument that is a path, relative to the descriptor of another, or to the working directory."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            address = self.args[at]
            text = os.pread(memory.fileno(), 4096 - address % 4096, address)
            if b"\0" not in text:
                text += os.pread(memory.fileno(), 4096, address + len(text))
        name = os.fsdecode(text.partition(b"\0")[0])
        if name.startswith("/"):
            return name
        base = self.file(folder) if folder is not None else os.readlink(f"/proc/{self.pid}/cwd")
        return os.path.join(base, name)


class Kill(NamedTuple):
    """The verdict on a call: the command is killed before it is made."""


class Fail(NamedTuple):
    """The verdict on a call: it is not made, and ends with an error."""

    errno: int


Judge = Callable[[Call], Kill | Fail | None]
"""Sees each call before it is made, and says what becomes of it."""


def run(
    command: Sequence[str],
    judge: Judge,
    *,
    cwd: str,
    env: Mapping[str, str],
    stdin: IO[bytes],
    output: IO[bytes],
    errors: IO[bytes],
    after: Callable[[Call], None] = lambda _: None,
    patience: float = 120,
) -> int:
    """Run a command of Python's to its end; return its exit status, negative for the signal that ended it.

    Args:
        command: the program's path, and arguments.
        judge: see there.
        cwd: the working directory.
        env: the environment.
        stdin: standard input.
        output: standard output; a file, as it is read by nobody meanwhile.
        errors: standard error, likewise.
        after: called when a barrier has been passed, before the process goes on.
        patience: seconds after which all is killed.

    Raises:
        TimeoutError: it took too long.
        NotImplementedError: this is no x86-64.
    """
    if platform.machine() != "x86_64":
        raise NotImplementedError(f"tracing knows the system calls of x86-64 alone, not of {platform.machine()}")
    stopped = ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command]
    process = subprocess.Popen(stopped, cwd=cwd, env=env, stdin=stdin, stdout=output, stderr=errors)
    os.waitpid(process.pid, os.WUNTRACED)
    trace = _Trace(process.pid, judge, after)
    timer = threading.Timer(patience, trace.time_out)
    timer.start()
    try:
        _ptrace(_SEIZE, process.pid, 0, _OPTIONS)
        os.kill(process.pid, signal.SIGCONT)
        process.returncode = trace.follow()
    finally:
        timer.cancel()
        if process.returncode is None:
            trace.kill()
            trace.follow()
    return process.returncode


class _Trace:
    """The processes of one command."""

    def __init__(self, pid: int, judge: Judge, after: Callable[[Call], None]) -> None:
        self._first = pid
        self._judge = judge
        self._after = after
        self._tracees = {pid}
        self._made: dict[int, Call] = {}
        self._failing: dict[int, int] = {}
        self._python = os.path.realpath(sys.executable)
        self._is_started = False
        self._is_killed = False
        self._is_late = False
        self._info = (ctypes.c_uint64 * 11)()

    def follow(self) -> int:
        """Handle all stops until no process is left; return the exit status of the first."""
        result = 0
        while self._tracees or (self._is_killed and self._end_unseen()):
            pid, status = os.waitpid(-1, _WALL)
            if os.WIFSTOPPED(status):
                self._tracees.add(pid)
                if self._is_killed:
                    self._end(pid)
                else:
                    self._stopped(pid, status)
                continue
            self._tracees.discard(pid)
            if pid == self._first:
                result = os.waitstatus_to_exitcode(status)
        if self._is_late:
            raise TimeoutError("the command did not end in time, and was killed")
        return result

    def kill(self) -> None:
        """Kill all processes of the command, also those that are yet to be seen."""
        self._is_killed = True
        for pid in list(self._tracees):
            self._end(pid)

    def _end_unseen(self) -> bool:
        """Kill those that were forked as all others were killed: they have not stopped yet, and would never go on."""
        self._tracees = set(traced_by(os.getpid()))
        self.kill()
        return bool(self._tracees)

    def time_out(self) -> None:
        self._is_late = True
        self.kill()

    def _end(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _stopped(self, pid: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        if number == signal.SIGTRAP | 0x80:
            self._system_call(pid)
        elif event == _EXEC and self._is_other_program(pid):
            self._tracees.discard(pid)
            _ptrace(_DETACH, pid, 0, 0)
            return
        if not self._is_killed:
            passed_on = 0 if event or number == signal.SIGTRAP | 0x80 else number
            _ptrace(_SYSCALL, pid, 0, passed_on)

    def _is_other_program(self, pid: int) -> bool:
        self._made.pop(pid, None)
        self._is_started = True
        try:
            return os.readlink(f"/proc/{pid}/exe") != self._python
        except FileNotFoundError:
            return False

    def _system_call(self, pid: int) -> None:
        if not self._is_started or _ptrace(_SYSCALL_INFO, pid, 88, ctypes.addressof(self._info)) <= 0:
            return
        kind = self._info[0] & 0xFF
        if kind == 1 and (name := _NAMES.get(self._info[3])):
            self._entered(Call(pid, name, tuple(self._info[4:10])))
        elif kind == 2 and (call := self._made.pop(pid, None)):
            if (error := self._failing.pop(pid, 0)) != 0:
                _ptrace(_POKEUSER, pid, _RAX, -error)
            elif call.name in BARRIERS:
                self._after(call)

    def _entered(self, call: Call) -> None:
        self._made[call.pid] = call
        match self._judge(call):
            case Kill():
                self.kill()
            case Fail(error):
                self._failing[call.pid] = error
                _ptrace(_POKEUSER, call.pid, _ORIG_RAX, -1)


def traced_by(tracer: int) -> Iterator[int]:
    """Yield the processes that a process traces."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/status") as file:
            if f"\nTracerPid:\t{tracer}\n" in file.read():
                yield int(name)


@functools.cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    libc.ptrace.restype = ctypes.c_long
    return libc


def _ptrace(request: int, pid: int, address: int, data: int) -> int:
    """Call ptrace; a process that has just been killed is no error."""
    result: int = _libc().ptrace(request, pid, address, data)
    if result < 0 and (error := ctypes.get_errno()) != 3:
        raise OSError(error, os.strerror(error), f"ptrace {request} of {pid}")
    return result
