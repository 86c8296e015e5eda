"""The memory that lamina's commands have at their peak, in every operation that is timed."""

import contextlib
import os
from collections.abc import Iterator
from typing import Unpack

import msgspec
from tests.peers import How, Result

from .contestants import Contestant, Lamina
from .measuring import Bench, Operation, Part, Rounds, Stuff, Work, compared, say
from .memory import peak
from .operations import NO_NETWORK, OPERATIONS
from .report import OURS, Row, Target
from .transfer import TRANSFERS

MOST = Target(150, "", "MB")


def memory(bench: Bench) -> Iterator[Row]:
    """Measure the peak of each operation of the table, and of a build with a file of 1 GB."""
    for operation in (*OPERATIONS, *TRANSFERS, Operation("build", _build, (Part("build with a file of 1 GB"),))):
        say(f"peak memory, {operation.parts[0].about}")
        yield from compared(peaks(operation, "memory"), bench)


def peaks(operation: Operation, name: str) -> Operation:
    """Return an operation that measures peaks where another measures times."""

    def rounds(who: str, tool: Contestant, stuff: Stuff) -> Rounds:
        assert isinstance(tool, Lamina)
        watched = _Watched(tool)
        with contextlib.closing(operation.rounds(who, watched, stuff)) as steps:
            for work in steps:
                yield lambda work=work: watched.during(work)  # type: ignore[misc]

    parts = tuple(Part(f"peak memory, {part.about}", (MOST,), "MB") for part in operation.parts)
    return msgspec.structs.replace(operation, name=name, rounds=rounds, parts=parts, who=OURS)


class _Watched:
    """A lamina whose commands are looked at while some work is done."""

    def __init__(self, tool: Lamina) -> None:
        self._tool = tool
        self._peaks: list[float] | None = None

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        if self._peaks is None:
            return self._tool(*args, **how)
        command = [*self._tool.command, *args]
        self._peaks.append(peak(command, {**os.environ, **self._tool.environment}))
        return Result(command, 0, "", "")

    def during(self, work: Work) -> float:
        """Do some work; return the largest peak in it."""
        self._peaks = []
        try:
            work()
            return max(self._peaks)
        finally:
            self._peaks = None


def _build(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
    folder = f"{stuff.folder}/huge"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/Dockerfile", "w") as file:
        file.write("FROM tiny:1\nCOPY huge.dat /srv/\nRUN echo done > /done\n")
    with open(f"{folder}/huge.dat", "wb") as file:
        file.writelines(os.urandom(1_000_000) for _number in range(1000))
    tool("load", "-q", "-i", stuff.tiny)
    while True:
        yield lambda: tool("build", "--no-cache", *NO_NETWORK, "-t", "huge:1", folder)
        tool("rmi", "huge:1")
