"""What a long verb says: bars on a terminal where it takes time, plain lines elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Any

from ..events import Event, Output, Problem, Progress, Report, Status, once

if TYPE_CHECKING:
    from .shell import Shell

_PATIENCE = 0.5  # seconds until bars appear


def reporter(shell: "Shell") -> Report:
    """Return what writes events to stderr, and the output of builds to stdout."""
    return once(_Terminal(shell).report if sys.stderr.isatty() else _Lines(shell).report)


class _Lines:
    def __init__(self, shell: "Shell") -> None:
        self._shell = shell

    def report(self, event: Event) -> None:
        if isinstance(event, Problem):
            self._shell.warn(f"WARNING: {event.text}")
        elif isinstance(event, Output):
            _write(event)
        elif isinstance(event, Status) and not self._shell.quiet:
            self._shell.warn(f"{event.subject}: {event.text}" if event.subject else event.text)


class _Terminal(_Lines):
    """Bars for what is under way, above them the lines of what is done."""

    def __init__(self, shell: "Shell") -> None:
        super().__init__(shell)
        self._begun = time.monotonic()
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def report(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self._stop()
            super().report(event)
            return
        if self._shell.quiet or time.monotonic() - self._begun < _PATIENCE:
            return
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if event.subject not in self._tasks:
            self._tasks[event.subject] = self._bars.add_task(
                f"{event.subject}: {event.action}", total=event.total or None
            )
        self._bars.update(self._tasks[event.subject], completed=event.current)
        if event.current == event.total:
            self._stop()

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _write(event: Output) -> None:
    stream = sys.stderr if event.stream == 2 else sys.stdout
    sys.stdout.flush()
    stream.buffer.write(event.data)
    stream.buffer.flush()
