"""What a pull or a push says, on standard output as docker does: bars on a terminal, plain lines elsewhere, or JSON."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..events import Event, Problem, Progress, Report, Status, ignore
from .parser import Parser

if TYPE_CHECKING:
    from .shell import Shell

_FORMS = ("auto", "plain", "json")
_SHORT = 12


def add_options(parser: Parser) -> None:
    """Add the options of a command that moves images."""
    parser.option("--progress", value="string", help="How to tell: auto, plain or json", default="auto", parse=_form)
    parser.flag("-q", "--quiet", help="Suppress verbose output")


def _form(text: str) -> str:
    if text not in _FORMS:
        raise ValueError(f"there are {', '.join(_FORMS)}")
    return text


@contextmanager
def told(options: argparse.Namespace, shell: "Shell") -> Iterator[Report]:
    """Yield what tells of events for the length of a block."""
    if options.quiet:
        yield ignore
    elif options.progress == "json":
        yield lambda event: _line(shell, event)
    elif options.progress == "auto" and sys.stdout.isatty():
        with _Bars(shell) as bars:
            yield bars.report
    else:
        yield lambda event: _plain(shell, event)


def _plain(shell: "Shell", event: Event) -> None:
    if isinstance(event, Status):
        shell.line(f"{event.subject}: {event.text}" if event.subject else event.text)
        sys.stdout.flush()
    elif isinstance(event, Problem):
        shell.warn(f"WARNING: {event.text}")


def _line(shell: "Shell", event: Event) -> None:
    from ..oci import codec

    shell.line(codec.encode(_document(event)).decode())
    sys.stdout.flush()


def _document(event: Event) -> dict[str, Any]:
    """Return an event in the form of Docker's API."""
    if isinstance(event, Progress):
        detail = {"current": event.current, "total": event.total}
        return {"status": event.action, "progressDetail": detail, "id": event.subject}
    if isinstance(event, Status):
        return {"status": event.text, **({"id": event.subject} if event.subject else {})}
    return {"warning": event.text} if isinstance(event, Problem) else {}


class _Bars:
    """A line for each layer, with a bar where bytes pass; other lines stand above them."""

    def __init__(self, shell: "Shell") -> None:
        self._shell = shell
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def report(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Progress):
            self._show(event.subject, event.action, event.current, event.total)
        elif isinstance(event, Status) and len(event.subject) == _SHORT:
            self._show(event.subject, event.text, 0, None)
        else:
            self._stop()
            _plain(self._shell, event)

    def _show(self, subject: str, text: str, current: int, total: int | None) -> None:
        if self._bars is None:
            self._bars, self._tasks = _bars(), {}
            self._bars.start()
        if subject not in self._tasks:
            self._tasks[subject] = self._bars.add_task("", total=None)
        more = {"total": total, "visible": True} if total else {}
        self._bars.update(self._tasks[subject], description=f"{subject}: {text}", completed=current, **more)

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the lines as they are."""
        self._stop()


def _bars() -> Any:
    from rich.progress import BarColumn, DownloadColumn, ProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    class Moving(ProgressColumn):
        """A column that is there while bytes pass."""

        def __init__(self, column: ProgressColumn) -> None:
            super().__init__()
            self._column = column

        def render(self, task: Any) -> Any:
            return self._column.render(task) if task.completed and task.total else ""

    return Bars(TextColumn("{task.description}"), Moving(BarColumn()), Moving(DownloadColumn()))
