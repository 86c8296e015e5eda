"""Many containers from one image: how fast they start, and the memory of each one more.

Memory is what the machine has less of when so many containers have been added to one that runs already: so what all of
them share is not counted. Each has read the 43 MB of files below /opt, which are the image's. "Memory" is the
difference in MemAvailable, what the kernel cannot take back; "memory and cache" that in MemTotal - MemFree, which has
the pages of files as well: it is large where each container has copies of its own. Caches are dropped before.
"""

import time
from collections.abc import Callable, Iterator

from . import machine
from .contestants import Contestant
from .measuring import Bench, Operation, Part, Rounds, Stuff, say, together
from .operations import NO_NETWORK, present
from .report import Row
from .scaling import FLAT

CONTAINERS = (1, 10, 50)

_PARTS = (
    Part("start of a container", growth=FLAT),
    Part("memory of a container", unit="MB"),
    Part("memory and cache of a container", unit="MB"),
)
_READ = "cat /opt/*/* > /dev/null"


def containers(bench: Bench, points: tuple[int, ...] = CONTAINERS) -> Iterator[Row]:
    """Measure the start and the memory of containers that run by themselves, for each one of more and more."""
    for count in points:
        say(f"{count} containers")
        yield from together(Operation("scale-containers", _crowd(count), _PARTS, axis="containers"), {count: bench})


def _crowd(count: int) -> Callable[[str, Contestant, Stuff], Rounds]:
    def rounds(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
        present(tool, "app:1", stuff.app)
        names = [f"crowd-{number}" for number in range(count)]
        available = used = 0

        def started() -> float:
            nonlocal available, used
            machine.forget()
            _start(tool, ["first"])
            _read(tool, ["first"])
            available, used = machine.available(), machine.used()
            begun = time.perf_counter()
            _start(tool, names)
            return (time.perf_counter() - begun) / count

        def memory() -> float:
            _read(tool, names)
            return (available - machine.available()) / count / 1e6

        try:
            while True:
                yield started
                yield memory
                yield lambda: (machine.used() - used) / count / 1e6
                _end(tool, ["first", *names])
        finally:
            _end(tool, tool("ps", "-aq", check=False).stdout.split())

    return rounds


def _start(tool: Contestant, names: list[str]) -> None:
    for name in names:
        tool("run", "-d", "--name", name, *NO_NETWORK, "app:1", "sleep", "86400")


def _read(tool: Contestant, names: list[str]) -> None:
    for name in names:
        tool("exec", name, "sh", "-c", _READ)


def _end(tool: Contestant, names: list[str]) -> None:
    """End containers at once, and remove them: `rm -f` alone has podman wait for what heeds no SIGTERM."""
    if names:
        tool("kill", *names, check=False)
        tool("rm", "-f", *names)
