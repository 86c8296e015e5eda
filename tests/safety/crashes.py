"""Loss of power: what was not brought to the disk is gone.

The store lies on an ext4 that promises least: bytes of files come to the disk when somebody asks for them or much later
(`data=writeback`, `noauto_da_alloc`), and so do names (`commit=3000`). The disk is a file; a copy of it is the disk as
it is if the power goes now. Copies are made whenever a barrier (fsync, syncfs) has been passed, and at the end. They
are judged when the command is over: a copy's recovery must not meet processes that run yet.
"""

import contextlib
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator

from tests import disks, traces
from tests.peers import Tool
from tests.safety import view
from tests.safety.arena import Arena
from tests.safety.commands import Command
from tests.safety.tracer import Call

from lamina.engine import Engine
from lamina.errors import LaminaError

OPTIONS = "loop,noatime,noinit_itable,noauto_da_alloc,data=writeback,commit=3000"
SIZE = 256 << 20


class Crashes:
    """An arena on such a disk, of stores with a driver. The folder is made, and goes with `close`."""

    def __init__(self, driver: str = "overlay2") -> None:
        self.folder = tempfile.mkdtemp(prefix=f"lamina-{os.getpid()}-", dir=disks.MEMORY)
        self._disk = os.path.join(self.folder, "disk")
        self._copies: list[str] = []
        self._place = os.path.join(self.folder, "place")
        self._after = os.path.join(self.folder, "after")
        for folder in (self._place, self._after):
            os.mkdir(folder)
        with open(self._disk, "wb") as file:
            file.truncate(SIZE)
        Tool("mkfs.ext4")("-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", self._disk)
        Tool("mount")("-o", OPTIONS, self._disk, self._place)
        self.arena = Arena(self._place, driver=driver)

    def attack(self, name: str, command: Command, most: int = 1000) -> Iterator[str]:
        """Run a command; let the power go at each barrier and at the end; yield what is wrong, or nothing, each time.

        The store must be sound, and old or new; at the end new.

        Args:
            name: of the command.
            command: to run.
            most: barriers to judge, chosen by chance where there are more.
        """
        arena, chance = self.arena, random.Random(name)
        known = arena.learn(name, command)
        try:
            with arena.careful():
                arena.begin(command)
                subprocess.run(["sync", "-f", self._place], check=True)
                self._copy()
                done = arena.traced(command, lambda _: None, after=self._passed)
                self._copy()
                arena.rest()
                arena.clear()
            assert done.status == 0, done.said
            *copies, end = list(self._copies)
            chosen = sorted(chance.sample(copies, min(most, len(copies))), key=copies.index)
            for path in chosen:
                yield self._judge(command, path, known.old, known.new)
            yield self._judge(command, end, known.new, known.new)
        finally:
            self._forget()

    def _passed(self, call: Call) -> None:
        del call
        self._copy()

    def _copy(self) -> None:
        path = os.path.join(self.folder, f"copy-{len(self._copies)}")
        copy_sparse(self._disk, path)
        self._copies.append(path)

    def _judge(self, command: Command, path: str, old: set[str], new: set[str]) -> str:
        """Return what is wrong with a copy, nothing if it is as it must be."""
        old, new = (view.durable(lines, runs=command.runs) for lines in (old, new))
        with (
            self._mounted(path) as store,
            tempfile.TemporaryDirectory(dir=disks.MEMORY) as run_root,
            Engine(store, run_root=run_root) as engine,
        ):
            try:
                if command.damage:
                    list(engine.repair())
                problems = list(engine.check())
                found = view.durable(view.of(engine), runs=command.runs)
            except LaminaError as error:
                return f"{os.path.basename(path)}: {error}"
        if command.parts and old != new:
            problems += [f"lost: {line}" for line in old & new - found]
            problems += [
                f"neither old nor new: {line}" for line in found - old - new if not line.startswith(command.between)
            ]
        elif found not in (old, new) and not (command.damage and old != new):
            problems.append(view.difference(found, new))
        return f"{os.path.basename(path)}: {'; '.join(problems)}" if problems else ""

    @contextlib.contextmanager
    def _mounted(self, path: str) -> Iterator[str]:
        """Mount a copy, which plays its journal back; yield the store in it."""
        Tool("mount")("-o", "loop,noatime", path, self._after)
        try:
            yield os.path.join(self._after, os.path.relpath(self.arena.store, self._place))
        finally:
            traces.unmount(self._after)

    def _forget(self) -> None:
        for path in self._copies:
            os.unlink(path)
        self._copies.clear()

    def close(self) -> None:
        """Remove all."""
        self.arena.close()
        traces.unmount(self._after, self._place)
        self._forget()
        os.unlink(self._disk)
        for folder in (self._place, self._after, self.folder):
            os.rmdir(folder)


def copy_sparse(source: str, target: str) -> None:
    """Copy a file without what was never written."""
    with open(source, "rb") as old, open(target, "wb") as new:
        for begin, end in _data(old.fileno()):
            at = begin
            while at < end:
                at += os.copy_file_range(old.fileno(), new.fileno(), end - at, at, at)
        new.truncate(os.fstat(old.fileno()).st_size)


def _data(fd: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data: from, to."""
    at, size = 0, os.fstat(fd).st_size
    with contextlib.suppress(OSError):  # no data any more
        while at < size:
            at = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, at, os.SEEK_HOLE)
            yield at, end
            at = end
