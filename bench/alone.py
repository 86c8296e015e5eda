"""What is demanded of lamina alone: bounded memory, and costs that do not grow with the store."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import images
from .contestants import LAMINA, Contestant, command, environment, lamina
from .memory import peak
from .operations import NO_NETWORK, Stuff, context
from .report import Row, Target
from .transfer import IMAGE, filled

FEW, MANY = 20, 2000
_MEMORY = Target(120, "", "MB")
_SAME = Target(1.1, f"{FEW} images")
_STEPS = "FROM many-7:1\n" + "".join(f"LABEL step{number}={number}\n" for number in range(7))
_HUGE = "FROM tiny:1\nCOPY huge.dat /srv/\nRUN echo done > /done\n"


def memory(stuff: Stuff, rounds: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Measure peaks: of load and build, with `app` and with a layer of 1 GB, of pull and push with `app`."""
    root = f"{stuff.folder}/memory"
    tool = lamina(root)
    tool("load", "-q", "-i", stuff.tiny)

    def row(name: str, about: str, args: Callable[[int], list[str]], after: Callable[[], object]) -> Row:
        say(about)
        found = []
        for number in range(rounds):
            found.append(peak([*command(root), *args(number)], {**os.environ, **environment(root)}))
            after()
        return Row(name, about, "MB", _MEMORY, {LAMINA: found})

    load = ["load", "-q", "-i"]
    yield row("load-memory", "peak memory, load app", lambda _: [*load, stuff.app], lambda: tool("rmi", "app:1"))
    with filled("memory", stuff) as registry:
        image = f"{registry.host}/{IMAGE}"
        yield row("pull-memory", "peak memory, pull app", lambda _: ["pull", "-q", image], lambda: tool("rmi", image))
        tool("load", "-q", "-i", stuff.app)
        tool("tag", "app:1", image := f"{registry.host}/new/app:1")
        push = ["push", "-q", image]
        yield row("push-memory", "peak memory, push app", lambda _: push, lambda: shutil.rmtree(registry.storage))
        tool("rmi", image)
    places = [context(f"{stuff.folder}/memory-{number}", f"memory {number}") for number in range(rounds)]
    build = ["build", *NO_NETWORK, "-t", "built:1"]
    yield row("build-memory", "peak memory, build over app", lambda number: [*build, places[number]], lambda: None)
    tool("rmi", "-f", "built:1", "app:1")
    huge = images.huge(f"{stuff.folder}/huge.tar").path
    yield row("load-memory", "peak memory, load 1 GB", lambda _: [*load, huge], lambda: tool("rmi", "huge:1"))
    os.unlink(huge)
    place = _huge_context(f"{stuff.folder}/huge")
    build = ["build", "--no-cache", *NO_NETWORK, "-t", "built:1", place]
    yield row("build-memory", "peak memory, build 1 GB", lambda _: build, lambda: tool("rmi", "built:1"))


def scale(stuff: Stuff, rounds: int, say: Callable[[str], None]) -> Iterator[Row]:
    """Measure the same commands in a store of few and in one of many images."""
    say(f"stores of {FEW:,} and {MANY:,} images")
    few, large = (_filled(stuff, count) for count in (FEW, MANY))
    lists = _alternating(rounds, lambda tool: tool("images"), few, large)
    each = [(of_many - of_few) / (MANY - FEW) * 1e3 for of_few, of_many in zip(*lists, strict=True)]
    about = f"images, for each of {MANY:,}"
    yield Row("images", about, "ms", Target(0.2, "", "ms"), {LAMINA: each})
    folder = f"{stuff.folder}/steps"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/Dockerfile", "w") as file:
        file.write(_STEPS)
    for tool in (few, large):
        tool("build", folder)
    for name, args in (
        ("rebuild", ["build", *NO_NETWORK, folder]),
        ("run", ["run", "--rm", *NO_NETWORK, "many-7:1", "true"]),
        ("inspect", ["inspect", "many-7:1"]),
        ("ls", ["ls", "many-7:1"]),
    ):
        of_few, of_many = _alternating(rounds, lambda tool, args=args: tool(*args), few, large)  # type: ignore[misc]
        row = Row(name, "", "s", _SAME, {LAMINA: of_many, _SAME.of: of_few})
        row.about = f"{name}, {MANY:,} images (with {FEW}: {row.median(_SAME.of):.3f} s)"
        yield row


def _filled(stuff: Stuff, count: int) -> Contestant:
    tool = lamina(f"{stuff.folder}/store-{count}")
    path = f"{stuff.folder}/many.tar"
    images.many(path, count)
    tool("load", "-q", "-i", path, timeout=1200)
    os.unlink(path)
    return tool


def _alternating(rounds: int, work: Callable[[Contestant], Any], *tools: Contestant) -> tuple[list[float], list[float]]:
    """Time the same work with two tools in turns; the first round only warms up."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for tool, found in zip(tools, times, strict=True):
            os.sync()
            begun = time.perf_counter()
            work(tool)
            if number:
                found.append(time.perf_counter() - begun)
    return times


def _huge_context(folder: str) -> str:
    os.makedirs(folder)
    with open(f"{folder}/Dockerfile", "w") as file:
        file.write(_HUGE)
    with open(f"{folder}/huge.dat", "wb") as file:
        file.writelines(images.half_random(f"huge {number}", 1_000_000) for number in range(1000))
    return folder
