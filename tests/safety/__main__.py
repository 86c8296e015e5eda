"""The long runs, by hand: `python -m tests.safety kills|faults|crashes [--driver NAME] [--part K/N] [COMMAND...]`.

Without a part they do all that can be done; part K of N of kills and faults does each N-th point, from the K-th on.

kills   SIGKILL before every call that changes something
crashes the power goes after every barrier, and at the end
faults  every such call, and every one that opens something, fails with EIO, ENOSPC, EMFILE, ENOMEM

`python -m tests.safety together [PROCESSES [SECONDS]]` has 64 processes on one store at once, for ten minutes.
"""

import argparse
import contextlib
import functools
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tests import disks
from tests.safety import faults, together
from tests.safety.arena import Arena
from tests.safety.commands import COMMANDS
from tests.safety.crashes import Crashes

from lamina.errors import LaminaError


class Part(NamedTuple):
    """Each `of`-th point from the `first` on."""

    first: int = 1
    of: int = 1

    @staticmethod
    def parse(text: str) -> "Part":
        first, _, of = text.partition("/")
        return Part(int(first), int(of))


def main() -> None:
    what, *words = sys.argv[1:]
    if what == "together":
        _together(*map(int, words))
        return
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--driver", default="overlay2", choices=("overlay2", "erofs"))
    parser.add_argument("--part", type=Part.parse, default=Part())
    parser.add_argument("names", nargs="*", metavar="COMMAND", choices=[[], *COMMANDS])
    wish = parser.parse_args(words)
    total = failed = 0
    with contextlib.ExitStack() as stack:
        attacks = _attacks(what, wish.driver, wish.part, stack)
        for name in wish.names or COMMANDS:
            begun = time.monotonic()
            before = total
            for problem in attacks(name):
                total += 1
                if problem:
                    failed += 1
                    print(f"{name}: {problem}"[:2000], flush=True)
            print(f"{name:16} {total - before:5} {what} {time.monotonic() - begun:5.0f} s", flush=True)
    print(f"{'all':16} {total:5} {what}, {failed} failed")
    sys.exit(bool(failed))


def _together(processes: int = 64, seconds: int = 600) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        done = together.run(folder, processes, seconds)
    for verb, calls in done.items():
        print(f"{verb:16} {calls.number:6} calls  median {calls.median:6.2f} s  1 in 100 above {calls.slow:6.2f} s")
    total = sum(calls.number for calls in done.values())
    print(f"{'all':16} {total:6} calls by {processes} processes, {total / seconds:.1f} a second")


def _attacks(what: str, driver: str, part: Part, stack: contextlib.ExitStack) -> Callable[[str], Iterable[str]]:
    """Return what attacks a command at its points, and yields for each what is wrong, or nothing."""
    if what == "crashes":
        crashes = stack.enter_context(contextlib.closing(Crashes(driver)))
        return lambda name: crashes.attack(name, COMMANDS[name])
    place = stack.enter_context(disks.memory(driver))
    arena = stack.enter_context(contextlib.closing(Arena(place, driver=driver)))
    return functools.partial(_every, arena, {"kills": _kill, "faults": _fault}[what], part)


def _every(arena: Arena, attack: Callable[[Arena, str, int], bool], part: Part, name: str) -> Iterator[str]:
    arena.learn(name, COMMANDS[name])
    for at in itertools.count(*part):
        problem = ""
        try:
            with arena.careful():
                if not attack(arena, name, at):
                    return
        except (AssertionError, LaminaError, OSError) as error:
            problem = f"at {at}: {type(error).__name__} {error}"
        yield problem


def _kill(arena: Arena, name: str, at: int) -> bool:
    killed = arena.kill_at(COMMANDS[name], at)
    arena.judge(name, COMMANDS[name], done=not killed)
    return killed


def _fault(arena: Arena, name: str, at: int) -> bool:
    return bool(faults.attack(arena, name, COMMANDS[name], at))


if __name__ == "__main__":
    main()
