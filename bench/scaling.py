"""What things cost as they grow: layers, files, bytes, pulls at a time, and images in the store."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
from tests.registry.distribution import Distribution

from . import images
from .contestants import LIKE_DOCKER, PLAIN_HTTP, Contestant, Lamina, entered
from .measuring import Bench, Operation, Part, Rounds, Stuff, say, together
from .operations import NO_NETWORK
from .peaks import peaks
from .report import OURS, Row
from .transfer import forget, served

LAYERS = (1, 10, 50, 100, 200)
FILES = (1_000, 10_000, 200_000)
MEGABYTES = (10, 100, 1_000, 4_000)
PULLS = (1, 2, 4, 8)
IMAGES = (1, 100, 1_000)

LINEAR, FLAT = 1.1, 0.05
"""The powers that costs may grow with: linearly, and not at all; the rest is what figures vary."""

_DEPTH = 125  # layers that an image may have in dockerd, and in lamina's stores of its layout
_SAVED_BY_ALL = 1_000  # MB: dockerd has four copies of what it saves
_PULLED = 20  # MB in the big file of each image that is pulled beside others
_STEPS = "FROM many-0:1\n" + "".join(f"LABEL step{number}={number}\n" for number in range(7))
_PATIENCE = 3600

Step = Callable[[str, Contestant, str, Stuff], Rounds]
"""Measures one thing with an image, and undoes it: see `_run`."""


def layers(bench: Bench, points: tuple[int, ...] = LAYERS) -> Iterator[Row]:
    """Measure load, run and save of images with more and more layers."""
    for count in points:
        say(f"{count} layers")
        path = images.layered(f"{bench.stuff.folder}/layered.tar", count).path
        rounds = _cycle("layered:1", path, _run, _save)
        parts = (_linear("load"), _linear("run --rm"), _linear("save"))
        operation = Operation("scale-layers", rounds, parts, axis="layers", limited=count > _DEPTH)
        yield from _at(count, operation, bench)
        os.unlink(path)


def files(bench: Bench, points: tuple[int, ...] = FILES) -> Iterator[Row]:
    """Measure load, a look into a folder, and save of images with more and more files in a layer."""
    for count in points:
        say(f"{count:,} files")
        path = images.crowded(f"{bench.stuff.folder}/crowded.tar", count).path
        rounds = _cycle("crowded:1", path, _ls, _save)
        parts = (_linear("load"), _linear("ls of a folder"), _linear("save"))
        operation = Operation("scale-files", rounds, parts, axis="files in a layer")
        yield from _at(count, operation, bench)
        yield from _at(count, peaks(operation, operation.name), bench)
        os.unlink(path)


def size(bench: Bench, points: tuple[int, ...] = MEGABYTES) -> Iterator[Row]:
    """Measure load and save of images with a larger and larger layer, and lamina's memory."""
    for megabytes in points:
        say(f"a layer of {megabytes:,} MB")
        path = images.huge(f"{bench.stuff.folder}/huge.tar", megabytes / 1000).path
        load = Operation("scale-size", _cycle("huge:1", path), (_linear("load"),), axis="MB in a layer")
        save = Operation(
            "scale-size", _cycle("huge:1", path, _save), (_linear("load"), _linear("save")), axis=load.axis
        )
        if megabytes <= _SAVED_BY_ALL:
            yield from _at(megabytes, save, bench)
        else:
            yield from _at(megabytes, load, bench)
            yield from _at(megabytes, msgspec.structs.replace(save, who=OURS), bench, skip="load")
        yield from _at(megabytes, peaks(save, save.name), bench)
        os.unlink(path)


def pulls(bench: Bench, points: tuple[int, ...] = PULLS) -> Iterator[Row]:
    """Measure pulls of images that share nothing, several at a time."""
    for count in points:
        say(f"{count} pulls at a time")
        operation = Operation("scale-pulls", _pulling(count, max(points)), (_linear("pull"),), axis="pulls at a time")
        yield from _at(count, operation, bench)


def store(bench: Bench, points: tuple[int, ...] = IMAGES) -> Iterator[Row]:
    """Measure what stores of more and more images cost, all of them side by side."""
    folder = f"{bench.stuff.folder}/stores"
    peers = tuple(bench.tools)
    with contextlib.ExitStack() as stack:
        benches: dict[float, Bench] = {}
        for count in points:
            say(f"filling stores with {count:,} images")
            tools = stack.enter_context(entered(f"{folder}/{count}", peers))
            benches[count] = Bench(tools, Stuff(f"{folder}/{count}"), bench.rounds)
            _fill_store(benches[count], count)
        names = ("rebuild", "run --rm", "inspect", "ls")
        parts = (*(Part(name, growth=FLAT) for name in names), _linear("images"))
        yield from together(Operation("scale-images", _in_store, parts, axis="images in the store"), benches)
    shutil.rmtree(folder)


def _at(count: int, operation: Operation, bench: Bench, skip: str = "") -> Iterator[Row]:
    """Yield the rows of one point of a series, but the one about `skip`."""
    for row in together(operation, {count: bench}):
        if row.about != skip:
            yield row


def _linear(about: str) -> Part:
    return Part(about, growth=LINEAR)


def _cycle(image: str, archive: str, *steps: Step) -> Callable[[str, Contestant, Stuff], Rounds]:
    """Load an image, do some steps with it, and remove it."""

    def rounds(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
        try:
            while True:
                yield lambda: tool("load", "-q", "-i", archive, timeout=_PATIENCE)
                for step in steps:
                    yield from step(name, tool, image, stuff)
                tool("rmi", image)
        finally:
            tool("rmi", "-f", image, check=False)

    return rounds


def _run(_: str, tool: Contestant, image: str, __: Stuff) -> Rounds:
    yield lambda: tool("run", "--rm", *NO_NETWORK, image, "true")


def _ls(name: str, tool: Contestant, image: str, _: Stuff) -> Rounds:
    path = "/srv"
    command = ["ls", f"{image}:{path}"] if name in OURS else ["run", "--rm", *NO_NETWORK, image, "ls", path]
    yield lambda: tool(*command)


def _save(_: str, tool: Contestant, image: str, stuff: Stuff) -> Rounds:
    output = f"{stuff.folder}/saved.tar"
    yield lambda: tool("save", "-o", output, image, timeout=_PATIENCE)
    os.unlink(output)


def _pulling(count: int, most: int) -> Callable[[str, Contestant, Stuff], Rounds]:
    def rounds(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
        with served(name, f"{stuff.folder}/apart", lambda folder: _fill_apart(folder, most)) as registry:
            names = [f"{registry.host}/x/apart-{number}:1" for number in range(count)]
            forget(name, tool)
            with ThreadPoolExecutor(count) as pool:
                while True:
                    yield lambda: list(pool.map(lambda image: _pull(name, tool, image), names))
                    tool("rmi", "-f", *names)

    return rounds


def _pull(name: str, tool: Contestant, image: str) -> None:
    tool("pull", "-q", *PLAIN_HTTP.get(name, ()), image)


def _fill_apart(folder: str, count: int) -> None:
    """Push images that share nothing."""
    tool, path = Lamina(f"{folder}.store"), f"{folder}.tar"
    with Distribution(folder) as registry:
        for number in range(count):
            reference = images.apart(path, number, _PULLED).reference
            tool("load", "-q", "-i", path)
            tool("tag", reference, image := f"{registry.host}/x/{reference}")
            tool("push", "-q", image)
            tool("rmi", "-f", reference, image)
    os.unlink(path)
    shutil.rmtree(f"{folder}.store")


def _fill_store(bench: Bench, count: int) -> None:
    """Load very many images into the stores of all, and build an image on one of them."""
    path = f"{bench.stuff.folder}/many.tar"
    images.many(path, count)
    os.makedirs(f"{bench.stuff.folder}/steps")
    with open(f"{bench.stuff.folder}/steps/Dockerfile", "w") as file:
        file.write(_STEPS)
    for name, tool in bench.tools.items():
        if name in LIKE_DOCKER:
            tool("load", "-q", "-i", path, timeout=_PATIENCE)
            tool("build", *NO_NETWORK, f"{bench.stuff.folder}/steps")
    os.unlink(path)


def _in_store(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    image = "many-0:1"
    ls = ["ls", image] if name in OURS else ["run", "--rm", *NO_NETWORK, image, "ls"]
    while True:
        yield lambda: tool("build", *NO_NETWORK, f"{stuff.folder}/steps")
        yield lambda: tool("run", "--rm", *NO_NETWORK, image, "true")
        yield lambda: tool("inspect", image)
        yield lambda: tool(*ls)
        yield lambda: tool("images")
