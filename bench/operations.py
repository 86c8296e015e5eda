"""What is compared with one image: the same arguments to every contestant; see `measuring` for what operations are."""

import contextlib
import itertools
import os
import random
from collections.abc import Callable, Iterator

from .contestants import LIKE_DOCKER, Contestant
from .measuring import Operation, Part, Rounds, Stuff
from .report import OURS, Target

NO_NETWORK = ("--network", "none")
DOCKERFILE = """\
FROM app:1
COPY files /opt/files
RUN echo one > /one
RUN mkdir -p /two/three && cp /opt/files/000 /two/three
RUN rm -rf /opt/release-1
ENV RELEASE=2
WORKDIR /srv
LABEL maker=bench
"""
CHANGES = "rm -r /opt/release-2 && cp -r /opt/release-3 /opt/new && echo more >> /etc/passwd && rm /etc/issue"


def load(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
    absent(tool, "app:1")
    while True:
        yield lambda: tool("load", "-q", "-i", stuff.app)
        tool("rmi", "app:1")


def save(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
    present(tool, "app:1", stuff.app)
    output = f"{stuff.folder}/saved.tar"
    while True:
        yield lambda: tool("save", "-o", output, "app:1")
        os.unlink(output)


def build(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    """Build with files that nobody has seen: the first step misses the cache, and so do all after it."""
    present(tool, "app:1", stuff.app)
    for number in itertools.count():
        folder = context(f"{stuff.folder}/context", f"{name} {os.getpid()} {number}")
        yield lambda folder=folder: tool("build", *NO_NETWORK, "-t", "built:1", folder)  # type: ignore[misc]


def rebuild(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    present(tool, "app:1", stuff.app)
    folder = context(f"{stuff.folder}/context-{name}", name)
    while True:
        yield lambda: tool("build", *NO_NETWORK, "-t", "rebuilt:1", folder)


def run(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
    present(tool, "tiny:1", stuff.tiny)
    while True:
        yield lambda: tool("run", "--rm", *NO_NETWORK, "tiny:1", "true")


def commit(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
    present(tool, "tiny:1", stuff.tiny)
    filling = "dd if=/dev/urandom of=/filled bs=1M count=50"
    with container(tool, "filled", "tiny:1", filling):
        while True:
            yield lambda: tool("commit", "filled", "filled:1")
            tool("rmi", "filled:1")


def diff(_: str, tool: Contestant, stuff: Stuff) -> Rounds:
    present(tool, "app:1", stuff.app)
    with container(tool, "changed", "app:1", CHANGES):
        while True:
            yield lambda: tool("diff", "changed")


def looking(*words: str) -> Callable[[str, Contestant, Stuff], Rounds]:
    """Look at files of an image: lamina reads its index, the others run a program in a container."""
    verb, path, *rest = words

    def rounds(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
        present(tool, "app:1", stuff.app)
        command = [verb, f"app:1:{path}"] if name in OURS else ["run", "--rm", *NO_NETWORK, "app:1", verb, path]
        while True:
            yield lambda: tool(*command, *rest)

    return rounds


def version(name: str, tool: Contestant, _: Stuff) -> Rounds:
    while True:
        yield lambda: tool("version" if name in OURS else "--version")


BUILDERS = (*LIKE_DOCKER, "buildah")


def _operation(
    name: str,
    about: str,
    rounds: Callable[[str, Contestant, Stuff], Rounds],
    target: Target,
    who: tuple[str, ...] = LIKE_DOCKER,
) -> Operation:
    return Operation(name, rounds, (Part(about, (target,)),), who)


OPERATIONS = (
    _operation("load", "load app", load, Target(1 / 5), BUILDERS),
    _operation("save", "save app", save, Target(1 / 8)),
    _operation("build", "build, 7 steps over app", build, Target(0.6), BUILDERS),
    _operation("rebuild", "the same, all cached", rebuild, Target(1, "dockerd"), BUILDERS),
    _operation("run", "run --rm tiny true", run, Target(0.8)),
    _operation("commit", "commit 50 MB", commit, Target(1)),
    _operation("diff", "diff of an app container", diff, Target(1, "podman")),
    _operation("ls", "ls /usr/share of app", looking("ls", "/usr/share"), Target(0.8)),
    _operation("cat", "cat a file of app", looking("cat", "/etc/debian_version"), Target(0.8)),
    _operation("find", "find a name among 20,000 files", looking("find", "/srv", "-name", "007"), Target(1.5)),
    _operation("version", "version", version, Target(0.045, "", "s"), BUILDERS),
)


def context(folder: str, seed: str) -> str:
    """Make a folder to build in, with 600 files that `seed` determines; return it."""
    os.makedirs(f"{folder}/files", exist_ok=True)
    generator = random.Random(seed)
    for number in range(600):
        with open(f"{folder}/files/{number:03}", "wb") as file:
            file.write(generator.randbytes(generator.randrange(1000, 20000)))
    with open(f"{folder}/Dockerfile", "w") as file:
        file.write(DOCKERFILE)
    return folder


def present(tool: Contestant, name: str, archive: str) -> None:
    """See that a store has an image."""
    if not tool("images", "-q", name).stdout:
        tool("load", "-q", "-i", archive)


def absent(tool: Contestant, name: str) -> None:
    """See that a store has no image of a name."""
    if tool("images", "-q", name).stdout:
        tool("rmi", name)


@contextlib.contextmanager
def container(tool: Contestant, name: str, image: str, script: str) -> Iterator[None]:
    """Make a container in which a script has run; it goes with the block."""
    tool("run", "--name", name, *NO_NETWORK, image, "sh", "-c", script)
    try:
        yield
    finally:
        tool("rm", name)
