"""The long runs, by hand: `python -m tests.safety kills|faults|crashes [COMMAND...]` does all that can be done.

kills   SIGKILL before every call that changes something
crashes the power goes after every barrier, and at the end
faults  every such call, and every one that opens something, fails with EIO, ENOSPC, EMFILE, ENOMEM

`python -m tests.safety together [PROCESSES [SECONDS]]` has 64 processes on one store at once, for ten minutes.
"""

import contextlib
import functools
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator

from tests.safety import faults, together
from tests.safety.arena import Arena
from tests.safety.commands import COMMANDS
from tests.safety.crashes import Crashes

from lamina.errors import LaminaError


def main() -> None:
    what, *names = sys.argv[1:]
    if what == "together":
        _together(*map(int, names))
        return
    total = failed = 0
    with contextlib.ExitStack() as stack:
        attacks = _attacks(what, stack)
        for name in names or COMMANDS:
            begun = time.monotonic()
            found = list(attacks(name))
            for problem in filter(None, found):
                print(f"{name}: {problem}"[:2000], flush=True)
            total += len(found)
            failed += len([*filter(None, found)])
            print(f"{name:16} {len(found):5} {what} {time.monotonic() - begun:5.0f} s", flush=True)
    print(f"{'all':16} {total:5} {what}, {failed} failed")
    sys.exit(bool(failed))


def _together(processes: int = 64, seconds: int = 600) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        done = together.run(folder, processes, seconds)
    for verb, calls in done.items():
        print(f"{verb:16} {calls.number:6} calls  median {calls.median:6.2f} s  1 in 100 above {calls.slow:6.2f} s")
    total = sum(calls.number for calls in done.values())
    print(f"{'all':16} {total:6} calls by {processes} processes, {total / seconds:.1f} a second")


def _attacks(what: str, stack: contextlib.ExitStack) -> Callable[[str], Iterable[str]]:
    """Return what attacks a command at all of its points, and yields for each what is wrong, or nothing."""
    if what == "crashes":
        crashes = stack.enter_context(contextlib.closing(Crashes()))
        return lambda name: crashes.attack(name, COMMANDS[name])
    arena = stack.enter_context(contextlib.closing(Arena()))
    return functools.partial(_every, arena, {"kills": _kill, "faults": _fault}[what])


def _every(arena: Arena, attack: Callable[[Arena, str, int], bool], name: str) -> Iterator[str]:
    arena.learn(name, COMMANDS[name])
    for at in itertools.count(1):
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
