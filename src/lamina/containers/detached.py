"""Containers that run by themselves: started and left to a conmon, stopped, waited for, and what is done at their end.

Who starts one holds its `life` lock until the process runs; who notes its end, too. The end is noted by `ended`, which
the conmon runs; where that was killed, by the next command. A container that is to be started again by itself waits in
the state RESTARTING, its old conmon still there, as it waits for `ended`.
"""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from signal import SIGKILL
from typing import TYPE_CHECKING, Any

import msgspec

from .. import pids
from ..errors import Conflict, InvalidArgument, LaminaError
from ..lock import Lease
from ..oci import times
from ..runtime import bundle, groups, monitor
from ..runtime.bundle import StartFailed
from . import settings, signals
from .life import KILLED, Containers
from .records import (
    CREATED,
    EXITED,
    FROZEN,
    LIVE,
    PAUSED,
    RENAMED,
    RESTARTING,
    RUNNING,
    RUNS,
    Record,
    State,
)
from .settings import InvalidSetting

if TYPE_CHECKING:
    from ..runtime.attach import Attachment

STOP_TIMEOUT = 10.0
"""Seconds that a process has after its stop signal before it is killed."""

_PAUSE = 0.01  # seconds between looks at whether an end has been noted
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 60.0  # seconds before a container is started again
_LONG_RUN = 10.0  # seconds after which a container's next end is as if it were its first


class NotRunning(Conflict):
    """A container's process does not run, or is paused."""


def start(containers: Containers, record: Record) -> None:
    """Start a container's process and leave it to a conmon; one that runs already stays as it is.

    Raises:
        NotRunning: it is paused.
        StartFailed: its program could not be started.
        NoMonitor: there is no conmon.
    """
    with _starting(containers, record) as lease:
        if lease:
            _start(containers, lease, record, State())


def start_attached(containers: Containers, record: Record) -> "Attachment":
    """Start a container likewise; return its streams, of which no word is missed. See `start` for what is raised."""
    connect = functools.partial(_attached, containers, record)
    with _starting(containers, record) as lease:
        if lease:
            return _start(containers, lease, record, State(), connect)  # type: ignore[no-any-return]
    return connect()


@contextlib.contextmanager
def _starting(containers: Containers, record: Record) -> Iterator[Lease | None]:
    """Exclude others who would start a container; yield a lease, or None if its process runs already."""
    monitor.find()
    records = containers.records
    with containers.store.writing() as lease, records.hold(record.id), records.starting(record.id):
        status = containers.state(record.id).status
        if status == PAUSED:
            raise NotRunning("cannot start a paused container, try unpause instead")
        yield None if status in LIVE else lease


def _start(
    containers: Containers, lease: Lease, record: Record, state: State, created: Callable[[], Any] = lambda: None
) -> Any:
    """Start a container's process; return what `created` makes before that says its first word."""
    lease.add(RUNS, record.id)
    mount = containers.store.mounts.mount(containers.store.mounts.get(record.id))
    log = containers.records.log(record.id)
    prepare = containers.preparation(record)
    ended = [sys.executable, "-I", "-m", "lamina.containers.ended", *containers.place(), record.id]
    runtime, run_root, stdin = containers.runtime, containers.run_root, record.config.open_stdin
    try:
        found = monitor.create(runtime, run_root, record.id, mount, prepare, log, ended, stdin=stdin)
        containers.records.set_monitor(record.id, found)
        made = created()
        running = msgspec.structs.replace(state, status=RUNNING, started=times.now(), finished="", error="")
        containers.records.set_state(record.id, running)
        monitor.begin(runtime, run_root, record.id)
        containers.note_start(record)
        _look_after(containers, record, found)
    except (LaminaError, OSError) as failure:
        containers.clear(record.id)
        status = failure.exit_status if isinstance(failure, LaminaError) else 1
        failed = State(EXITED if state.restarts else CREATED, exit_code=status, error=str(failure))
        with contextlib.suppress(OSError):  # the first error is the one to tell
            containers.records.set_state(record.id, failed)
        raise
    finally:
        lease.drop(RUNS, record.id)
    return made


def _look_after(containers: Containers, record: Record, conmon: pids.ProcessId) -> None:
    if record.config.healthcheck:
        from .probing import begin  # noqa: PLC0415 - what needs this module

        begin(containers, record, conmon)


def settle(containers: Containers, container: str, conmon: int) -> float | None:
    """Note the end of a container that was left to a conmon, which waits for us.

    Args:
        containers: of the store.
        container: its id.
        conmon: the conmon's process id; one that could not start a process has none that was left to it.

    Returns:
        The seconds after which it is to be started again, None if it is not.
    """
    with containers.store.writing() as lease:
        with containers.records.starting(container):
            found = containers.records.monitor(container)
            if found is None or found.pid != conmon:
                return None
            record = containers.records.get(container)
            state = _ended(containers, record)
            delay = _delay(record, state)
            if delay is not None:
                state = msgspec.structs.replace(state, status=RESTARTING, restarts=state.restarts + 1)
            containers.records.set_state(container, state)
            if delay is None:
                containers.records.set_monitor(container, None)
            containers.note_end(record, state)
        if delay is None and record.host.auto_remove:
            containers.discard(lease, container)
        return delay


def _ended(containers: Containers, record: Record) -> State:
    """Take away what ran, and return the state of a container at its end."""
    state = containers.records.state(record.id)
    status = monitor.exit_status(containers.run_root, record.id)
    oom_killed = groups.out_of_memory(bundle.GROUP + record.id)
    bundle.remove(containers.runtime, containers.run_root, record.id)
    return msgspec.structs.replace(
        state,
        status=EXITED,
        finished=times.now(),
        exit_code=KILLED if status is None else status,
        oom_killed=oom_killed,
    )


def _delay(record: Record, state: State) -> float | None:
    """Return after how many seconds a container is started again, None if it is not."""
    policy = record.host.restart
    if state.stopped or policy.name == "no" or (policy.name == "on-failure" and not state.exit_code):
        return None
    if policy.name == "on-failure" and policy.retries and state.restarts >= policy.retries:
        return None
    ran = (times.parse_rfc3339(state.finished) - times.parse_rfc3339(state.started)) / 1e9
    return _FIRST_DELAY if ran >= _LONG_RUN else min(_FIRST_DELAY * 2.0**state.restarts, _LONGEST_DELAY)


def restart_after(containers: Containers, container: str, delay: float) -> None:
    """Start a container again after some seconds, unless it is stopped meanwhile."""
    end = time.monotonic() + delay
    while not containers.records.state(container).stopped and (left := end - time.monotonic()) > 0:
        time.sleep(min(_PAUSE, left))
    records = containers.records
    with containers.store.writing() as lease, records.hold(container), records.starting(container):
        record, state = records.get(container), records.state(container)
        if state.stopped:
            records.set_state(container, msgspec.structs.replace(state, status=EXITED))
            records.set_monitor(container, None)
        else:
            with contextlib.suppress(StartFailed):
                _start(containers, lease, record, state)


def stop(containers: Containers, record: Record, timeout: float | None = None, signal: str = "") -> None:
    """End a container's process: by its stop signal, and by SIGKILL where it does not end in time.

    Args:
        containers: of the store.
        record: which; one that does not run is left as it is.
        timeout: seconds; None for what the container says, or ten; less than zero for no end of them.
        signal: by name or number; empty for what the container says, or SIGTERM.
    """
    if containers.state(record.id).status not in LIVE:
        return
    number = signals.number(signal or record.config.stop_signal or "TERM")
    if timeout is None:
        timeout = float(record.config.stop_timeout or 0) or STOP_TIMEOUT
    with containers.records.hold(record.id):
        pid = containers.process(record.id)
        containers.kill(record.id, number, stop=True)
        if containers.state(record.id).status == PAUSED:
            unpause(containers, record)
        if pid and not pids.wait(pid, None if timeout < 0 else timeout):
            containers.kill(record.id, SIGKILL)
            pids.wait(pid)
        _end_noted(containers, record.id)
        containers.note(record, "stop")


def restart(containers: Containers, record: Record, timeout: float | None = None, signal: str = "") -> None:
    """End a container's process, if it runs, and start it anew; see `stop` and `start`."""
    stop(containers, record, timeout, signal)
    start(containers, record)
    containers.note(record, "restart")


def kill(containers: Containers, record: Record, signal: str) -> None:
    """Send a signal to a container's process; its stop signal and SIGKILL are meant for good, as in Docker.

    Raises:
        NotRunning: there is none.
        InvalidSignal: there is no such signal.
    """
    number = signals.number(signal)
    for_good = (SIGKILL, signals.number(record.config.stop_signal or "TERM"))
    require(containers, record, "cannot kill container: {name}: container {id} is not running", paused=True)
    containers.kill(record.id, number, stop=number in for_good)


@contextlib.contextmanager
def waiting(containers: Containers, record: Record) -> Iterator[Callable[[], int]]:
    """Keep a container from being removed for the length of a block; yield what waits for its process's end.

    That returns the exit status, at once if no process runs.
    """
    with containers.records.hold(record.id):
        yield functools.partial(_wait, containers, record.id)


def _wait(containers: Containers, container: str) -> int:
    if containers.state(container).status in (RUNNING, PAUSED):
        if pid := containers.process(container):
            pids.wait(pid)
        _end_noted(containers, container, RESTARTING)
    return containers.state(container).exit_code


def _end_noted(containers: Containers, container: str, *also: str) -> None:
    """Wait until a container whose process has ended is known to have; or is in one of some other states."""
    while (state := containers.state(container)).status in LIVE and state.status not in also:
        time.sleep(_PAUSE)


def pause(containers: Containers, record: Record) -> None:
    """Freeze a container's processes.

    Raises:
        NotRunning: there are none, or they are frozen already.
    """
    containers.store.recover()  # one who was killed may have left it frozen
    require(containers, record, "Container {id} is not running")
    with containers.records.starting(record.id):
        state = containers.records.state(record.id)
        if not bundle.tell(containers.runtime, containers.run_root, record.id, "pause", record.id):
            raise NotRunning(f"cannot pause container {record.name}: the runtime refuses")
        containers.records.set_state(record.id, msgspec.structs.replace(state, status=PAUSED))
    containers.note(record, "pause")


def unpause(containers: Containers, record: Record) -> None:
    """Let a container's frozen processes go on.

    Raises:
        NotRunning: they are not frozen.
    """
    with containers.records.starting(record.id):
        state = containers.state(record.id)
        if state.status != PAUSED:
            raise NotRunning(f"Container {record.id} is not paused")
        bundle.tell(containers.runtime, containers.run_root, record.id, "resume", record.id)
        containers.records.set_state(record.id, msgspec.structs.replace(state, status=RUNNING))
    containers.note(record, "unpause")


@contextlib.contextmanager
def at_rest(containers: Containers, lease: Lease, record: Record) -> Iterator[None]:
    """Keep a container's processes frozen for the length of a block; one that does not run, or is frozen, is.

    The lease says so: should its owner be killed, they go on with the next command.
    """
    if containers.state(record.id).status != RUNNING:
        yield
        return
    lease.add(FROZEN, record.id)
    try:
        pause(containers, record)
        yield
    finally:
        containers.thaw(record.id)
        lease.drop(FROZEN, record.id)


def rename(containers: Containers, record: Record, name: str) -> None:
    """Give a container another name.

    Raises:
        NameTaken: another has that name.
        InvalidSetting: it is none that a container may have, or the one it has.
    """
    settings.check_name(name)
    name = name.removeprefix("/")
    if name == record.name:
        raise InvalidSetting("Renaming a container with the same name as its current name")
    with containers.store.writing() as lease, containers.store.lock():
        lease.add(RENAMED, record.id)
        containers.records.rename(record.id, name)
        lease.drop(RENAMED, record.id)
    containers.note(record, "rename", name=name, oldName=f"/{record.name}")


def attach(containers: Containers, record: Record) -> "Attachment":
    """Connect to the streams of a container that runs.

    Raises:
        NotRunning: it does not.
        NotAttachable: it runs in the foreground of its starter.
    """
    require(containers, record, "You cannot attach to a stopped container, start it first")
    return _attached(containers, record)


def _attached(containers: Containers, record: Record) -> "Attachment":
    from ..runtime.attach import Attachment  # noqa: PLC0415 - sockets, only for who attaches

    attachment = Attachment(containers.run_root, record.id)
    containers.note(record, "attach")
    return attachment


def processes(containers: Containers, record: Record, words: list[str]) -> str:
    """Return the table of a container's processes, as ps(1) shows it with some options; without any, `-ef`.

    Raises:
        NotRunning: it does not run.
        InvalidArgument: ps does not understand the options.
    """
    import subprocess  # noqa: PLC0415

    require(containers, record, "Container {id} is not running", paused=True)
    log = os.path.join(bundle.folder(containers.run_root, record.id), f"top-{os.urandom(6).hex()}.log")
    command = [containers.runtime, *bundle.options(containers.run_root, log), "ps", record.id, *words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise InvalidArgument(f"ps: {bundle.failure(log) or done.stderr.decode(errors='replace').strip()}")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(log)
    containers.note(record, "top")
    return done.stdout.decode(errors="surrogateescape")


def require(containers: Containers, record: Record, otherwise: str, *, paused: bool = False) -> None:
    """Refuse what needs a process."""
    state = containers.state(record.id)
    if state.status == PAUSED and not paused:
        raise NotRunning(f"Container {record.id} is paused, unpause the container first")
    if state.status not in (RUNNING, PAUSED):
        raise NotRunning(otherwise.format(id=record.id, name=record.name))
