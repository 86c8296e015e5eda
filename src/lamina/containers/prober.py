"""The process that looks after a container's health: `main` with the folder of its plan as the first argument.

It belongs to nobody and ends by itself. It is there for as long as its container, so it imports little, and all that
it needs to know is in its plan. The rules are Docker's (moby, daemon/health.go): a probe is run when an interval has
passed since the last one, not while the container is paused, and killed when its time is over.
"""

import contextlib
import os
import select
import signal
import sys
import time

import msgspec

from .. import sealed
from ..decoding import NOT_JSON
from ..oci import times
from ..pids import ProcessId
from ..runtime import health
from ..runtime.children import Streams, end, spawn, wait
from ..runtime.health import STARTING, Health, Result
from ..store.journal import CONTAINER, Journal

OUTPUT = 4096
"""Bytes of a probe's output that are kept."""

_PATIENCE = 5.0  # seconds that a killed probe has to be gone


class Plan(msgspec.Struct, frozen=True):
    """What a prober is to do; spans of time in nanoseconds.

    Attributes:
        container: its id.
        runtime: the runtime's command and the options of every call.
        words: the probe as events spell it.
        watched: the prober ends with any of these.
        state: the file with the container's state.
        events: the folder of the journal.
        attributes: of the container's events.
        interval: between two probes.
        timeout: of a probe.
        too_late: what is said of one that is killed.
        start_period: after the start, in which failures do not count.
        start_interval: between two probes in it; 0 for no other one.
        retries: failures in a row that make it unhealthy.
    """

    container: str
    runtime: list[str]
    words: str
    watched: list[ProcessId]
    state: str
    events: str
    attributes: dict[str, str]
    interval: int
    timeout: int
    too_late: str
    start_period: int
    start_interval: int
    retries: int


class _State(msgspec.Struct):
    status: str = ""


def main() -> None:
    """Read the plan, and go on as a process of one's own; whoever has started us waits until then."""
    folder = sys.argv[1]
    with open(os.path.join(folder, "plan.json"), "rb") as file:
        plan = msgspec.json.decode(file.read(), type=Plan)
    with contextlib.suppress(ProcessLookupError):
        ends = [os.pidfd_open(one.pid) for one in plan.watched]
        if all(one.is_alive for one in plan.watched) and not os.fork():
            os.setsid()
            os.chdir("/")
            with contextlib.suppress(FileNotFoundError):  # the container is gone, and its folder with it
                _Prober(folder, plan, ends).run()


class _Prober:
    def __init__(self, folder: str, plan: Plan, ends: list[int]) -> None:
        self._folder = folder
        self._plan = plan
        self._ends = ends
        self._journal = Journal(plan.events)
        self._begun = time.monotonic_ns()
        self._health = Health()

    def run(self) -> None:
        """Probe until the container has ended."""
        while not _readable(self._ends, self._interval() / 1e9):
            if self._is_paused():
                continue
            result = self._probe()
            if result is None:
                return
            if result.exit_code and self._is_paused():
                continue  # it was frozen in the middle
            was = self._health.status
            retries, excused = self._plan.retries, self._is_new()
            self._health = health.after(self._health, result, retries=retries, excused=excused)
            health.write(os.path.join(self._folder, "health.json"), self._health)
            if self._health.status != was:
                self._note(f"health_status: {self._health.status}")

    def _is_new(self) -> bool:
        return time.monotonic_ns() - self._begun < self._plan.start_period

    def _interval(self) -> int:
        is_first = self._plan.start_interval and self._health.status == STARTING and self._is_new()
        return self._plan.start_interval if is_first else self._plan.interval

    def _is_paused(self) -> bool:
        with contextlib.suppress(OSError, sealed.Damaged):
            return sealed.read(self._plan.state, _State).status == "paused"
        return False

    def _note(self, action: str, **more: str) -> None:
        self._journal.note(CONTAINER, action, self._plan.container, {**self._plan.attributes, **more})

    def _probe(self) -> Result | None:
        """Run a probe; return what came of it, None if the container has ended meanwhile."""
        number, start = os.urandom(32).hex(), times.now()
        for name in ("pid", "log"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._folder, name))
        self._note(f"exec_create: {self._plan.words}", execID=number)
        self._note(f"exec_start: {self._plan.words}", execID=number)
        status, output = self._run()
        if status is None:
            return None
        self._note("exec_die", execID=number, exitCode=str(status))
        return Result(start, times.now(), status, output)

    def _run(self) -> tuple[int | None, str]:
        """Run the command of a probe; return its status, -1 for one without, and its output."""
        command = [*self._plan.runtime, "exec", "--process", os.path.join(self._folder, "process.json")]
        command += ["--pid-file", os.path.join(self._folder, "pid"), self._plan.container]
        source, target = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        try:
            pid = spawn(command, Streams(null, target, target), apart=True)
        finally:
            os.close(target)
            os.close(null)
        output = _Output(source)
        ended = os.pidfd_open(pid)
        try:
            return self._watch(pid, ended, output)
        finally:
            os.close(ended)
            os.close(source)

    def _watch(self, pid: int, ended: int, output: "_Output") -> tuple[int | None, str]:
        late = time.monotonic_ns() + self._plan.timeout
        while (left := late - time.monotonic_ns()) > 0:
            ready = _readable([ended, *self._ends, *output.sources()], left / 1e9)
            output.read()
            if ended in ready:
                status = wait(pid)
                failure = failed(os.path.join(self._folder, "log")) if status else ""
                return (-1, f"OCI runtime exec failed: {failure}") if failure else (status, output.text())
            if any(one in ready for one in self._ends):
                end(pid)
                return None, ""
        self._kill()
        _readable([ended], _PATIENCE)
        end(pid)
        return -1, self._plan.too_late

    def _kill(self) -> None:
        """Kill a probe with what it has started."""
        with contextlib.suppress(OSError, ValueError), open(os.path.join(self._folder, "pid")) as file:
            os.killpg(int(file.read()), signal.SIGKILL)


def failed(log: str) -> str:
    """Return why the runtime could not start a probe, as its log says; nothing if it could."""
    with contextlib.suppress(OSError), open(log, "rb") as file:
        for line in file.read(1 << 16).splitlines():
            with contextlib.suppress(*NOT_JSON):
                found = msgspec.json.decode(line, type=dict[str, str])
                if found.get("level") in ("error", "fatal"):
                    return found.get("msg", "")
    return ""


class _Output:
    """The beginning of what comes out of a pipe; the rest is read and forgotten."""

    def __init__(self, source: int) -> None:
        os.set_blocking(source, False)
        self._source = source
        self._data = b""
        self._is_open = True

    def sources(self) -> list[int]:
        return [self._source] * self._is_open

    def read(self) -> None:
        """Read what has come."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._source, 1 << 16):
                self._data = (self._data + data)[: OUTPUT + 1]
            self._is_open = False

    def text(self) -> str:
        self.read()
        cut = self._data[:OUTPUT].decode("utf-8", "replace")
        return cut + "..." if len(self._data) > OUTPUT else cut


def _readable(fds: list[int], seconds: float) -> list[int]:
    """Wait until any of some descriptors is readable, or time has passed; return those that are."""
    return select.select(fds, [], [], seconds)[0]
