"""A prober is started for a container that has a health check: a process that belongs to nobody (see `prober`)."""

import os
import sys

from ..dockerfile import duration
from ..errors import LaminaError
from ..events import Problem
from ..oci import config
from ..pids import ProcessId, of
from ..runtime import bundle, health, spec
from ..runtime.children import Streams, spawn, wait
from ..tar.root import Root
from . import inside
from .health import check_of
from .inside import Inside
from .life import Containers
from .prober import Plan
from .records import Record

_SECOND = 10**9
_INTERVAL = _TIMEOUT = 30 * _SECOND
_SHELL = ("/bin/sh", "-c")
_PROGRAM = "from lamina.containers.prober import main; main()"  # fewer modules than with -m


def begin(containers: Containers, record: Record, watcher: ProcessId) -> None:
    """Start a prober for a container that has just been started, if it has a check; what fails is a problem told.

    Args:
        containers: of the store.
        record: which; its process runs.
        watcher: the prober ends with it, as with the container.
    """
    health.remove(containers.run_root, record.id)
    check = check_of(record)
    pid = containers.process(record.id)
    if not check or not pid:
        return
    try:
        _begin(containers, record, check, [of(pid), watcher])
    except (OSError, LaminaError) as error:
        if containers.process(record.id):
            containers.store.journal.report(Problem(f"nobody looks after the health of {record.name}: {error}"))


def _begin(containers: Containers, record: Record, check: config.Health, watched: list[ProcessId]) -> None:
    folder = health.folder(containers.run_root, record.id)
    os.makedirs(folder, 0o700)
    with Root(f"/proc/{watched[0].pid}/root") as root:
        process = inside.process(record, Inside(_command(check, record.config)), root)
    health.write(os.path.join(folder, "process.json"), spec.program(process))
    health.write(os.path.join(folder, "plan.json"), _plan(containers, record, check, watched))
    health.write(os.path.join(folder, "health.json"), health.Health())
    bundled = bundle.folder(containers.run_root, record.id)  # by which those who clear up find it
    null = os.open(os.devnull, os.O_RDWR)
    try:
        wait(spawn([sys.executable, "-I", "-c", _PROGRAM, folder, bundled], Streams(null, null, null)))
    finally:
        os.close(null)


def _command(check: config.Health, run: config.RunConfig) -> list[str]:
    kind, *words = check.test or []
    return [*(run.shell or _SHELL), *words] if kind == "CMD-SHELL" else words


def _plan(containers: Containers, record: Record, check: config.Health, watched: list[ProcessId]) -> Plan:
    folder = health.folder(containers.run_root, record.id)
    options = bundle.options(containers.run_root, os.path.join(folder, "log"))
    timeout = check.timeout or _TIMEOUT
    return Plan(
        container=record.id,
        runtime=[containers.runtime, *options],
        words=inside.words(_command(check, record.config)),
        watched=watched,
        state=os.path.join(containers.records.folder(record.id), "state.json"),
        events=containers.store.paths.events,
        attributes={**(record.config.labels or {}), "image": record.image, "name": record.name},
        interval=check.interval or _INTERVAL,
        timeout=timeout,
        too_late=f"Health check exceeded timeout ({duration.spelled(timeout)})",
        start_period=check.start_period,
        start_interval=check.start_interval,
        retries=check.retries or health.RETRIES,
    )
