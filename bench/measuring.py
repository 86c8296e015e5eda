"""How things are measured: rounds, in which all contestants take turns.

An operation is a generator for each contestant. It makes what it needs, and then yields for every round the work of
each of its parts, in their order; what stands after a `yield` undoes that.
"""

import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

import msgspec
from tests.peers import Failed

from . import images
from .contestants import LIKE_DOCKER, Contestant
from .report import OURS, Row, Target

Work = Callable[[], object]
"""What is measured. Where it returns a float, that is the figure; otherwise it is the time that it takes."""

Rounds = Generator[Work, None, None]
T = TypeVar("T")


class Stuff:
    """What operations work on: archives, made when they are first asked for, and a folder for what comes and goes."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @functools.cached_property
    def app(self) -> str:
        """The image `app:1`."""
        say("making the image app")
        return images.app(f"{self.folder}/app.tar", images.debian()).path

    @functools.cached_property
    def tiny(self) -> str:
        """The image `tiny:1`."""
        return images.tiny(f"{self.folder}/tiny.tar").path


class Part(msgspec.Struct, frozen=True):
    """What is measured of an operation, and what is demanded; see `report.Row` for the rest."""

    about: str
    targets: tuple[Target, ...] = ()
    unit: str = "s"
    more: bool = False
    growth: float | None = None


class Operation(msgspec.Struct, frozen=True):
    """What is compared.

    Attributes:
        name: how it is called on the command line.
        rounds: makes the generator for a contestant, whose name comes first.
        parts: what is measured in each round.
        who: who can take part.
        axis: what grows, if this is one of a series.
        limited: whether lamina may fail as a peer may: at what is beyond its limits.
    """

    name: str
    rounds: Callable[[str, Contestant, Stuff], Rounds]
    parts: tuple[Part, ...]
    who: tuple[str, ...] = LIKE_DOCKER
    axis: str = ""
    limited: bool = False


class Bench(msgspec.Struct, frozen=True):
    """Those who compete, what they work on, and how often."""

    tools: Mapping[str, Contestant]
    stuff: Stuff
    rounds: int


class Entry:
    """One contestant in one operation: its generator, and what it needed so far.

    A peer that fails has no part any more, and it is noted why; a failure of lamina's is raised unless it may fail.
    """

    def __init__(self, name: str, tool: Contestant, stuff: Stuff, operation: Operation) -> None:
        self.figures: list[list[float]] = [[] for _ in operation.parts]
        self.absent = ""
        self._may_fail = operation.limited or name not in OURS
        self._steps = operation.rounds(name, tool, stuff)
        self._work: Work | None = None
        self._guarded(self._next)

    def round(self, *, counts: bool) -> None:
        """Measure all parts once; what was done is undone at once, not when others had their turn."""
        for figures in self.figures:
            if (figure := self._guarded(self._measure)) is not None and counts:
                figures.append(figure)
            self._guarded(self._next)

    def close(self) -> None:
        """Undo what is left."""
        self._guarded(self._steps.close)

    def _measure(self) -> float | None:
        return measured(self._work) if self._work else None

    def _next(self) -> None:
        self._work = next(self._steps)

    def _guarded(self, step: Callable[[], T]) -> T | None:
        if self.absent:
            return None
        try:
            return step()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            if not self._may_fail:
                raise
            said = (error.stderr or error.stdout or "").strip() if isinstance(error, Failed) else ""
            self.absent = (said or str(error)).splitlines()[-1]
            self.figures = [[] for _ in self.figures]
            with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
                self._steps.close()
            return None


def compared(operation: Operation, bench: Bench) -> list[Row]:
    """Measure an operation, all contestants once in each round; a first round warms up and does not count."""
    return together(operation, {0: bench})


def together(operation: Operation, benches: Mapping[float, Bench]) -> list[Row]:
    """Measure an operation at several points of a series at a time, so that all happen under the same conditions."""
    with contextlib.ExitStack() as stack:
        entries: dict[float, dict[str, Entry]] = {at: {} for at in benches}
        for at, bench in benches.items():
            for name, tool in bench.tools.items():
                if name in operation.who:
                    entry = Entry(name, tool, bench.stuff, operation)
                    entries[at][name] = stack.enter_context(contextlib.closing(entry))
        for number in range(max(bench.rounds for bench in benches.values()) + 1):
            for those in entries.values():
                for entry in those.values():
                    entry.round(counts=number > 0)
    return [row for at, those in entries.items() for row in _rows(operation, at, those)]


def measured(work: Work) -> float:
    """Return the figure of some work, or the seconds that it takes with nothing left to be written to the disk."""
    os.sync()
    begun = time.perf_counter()
    found = work()
    took = time.perf_counter() - begun
    return found if isinstance(found, float) else took


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def _rows(operation: Operation, at: float, entries: Mapping[str, Entry]) -> list[Row]:
    absent = {name: entry.absent for name, entry in entries.items() if entry.absent}
    return [
        Row(
            operation.name,
            part.about,
            part.unit,
            part.targets,
            {name: entry.figures[number] for name, entry in entries.items() if entry.figures[number]},
            absent,
            part.more,
            operation.axis,
            at,
            part.growth,
        )
        for number, part in enumerate(operation.parts)
    ]
