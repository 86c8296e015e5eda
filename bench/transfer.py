"""Pull and push, compared: from and to a docker-registry of Debian's on the same disk, each contestant with its own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

from tests.registry.distribution import Distribution

from .contestants import Contestant, lamina
from .operations import Operation, Rounds, Stuff
from .report import Target

IMAGE, _NEWER = "x/app:1", "x/app:2"
_FLAGS = {"podman": ("--tls-verify=false",)}


def pull(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    with filled(name, stuff) as registry:
        image = f"{registry.host}/{IMAGE}"
        _forget(tool)
        while True:
            yield lambda: tool("pull", "-q", *_FLAGS.get(name, ()), image)
            tool("rmi", "-f", image)


def pull_newer(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    """Pull an image of which all but one small layer is there."""
    with filled(name, stuff) as registry:
        flags = _FLAGS.get(name, ())
        tool("pull", "-q", *flags, f"{registry.host}/{IMAGE}")
        image = f"{registry.host}/{_NEWER}"
        try:
            while True:
                yield lambda: tool("pull", "-q", *flags, image)
                tool("rmi", "-f", image)
        finally:
            tool("rmi", "-f", image, f"{registry.host}/{IMAGE}", check=False)


def push(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    with _pushing(name, tool, stuff) as (registry, image):
        while True:
            shutil.rmtree(os.path.join(registry.folder, "root"))
            yield lambda: tool("push", "-q", *_FLAGS.get(name, ()), image)


def push_again(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    with _pushing(name, tool, stuff) as (_, image):
        flags = _FLAGS.get(name, ())
        tool("push", "-q", *flags, image)
        while True:
            yield lambda: tool("push", "-q", *flags, image)


TRANSFERS = (
    Operation("pull", "pull app", pull, Target(0.5)),
    Operation("newer", "pull, one small layer is new", pull_newer, Target(0.3, "", "s")),
    Operation("push", "push app to an empty registry", push, Target(0.5)),
    Operation("again", "push what is there", push_again, Target(0.2, "", "s")),
)


@contextlib.contextmanager
def _pushing(name: str, tool: Contestant, stuff: Stuff) -> Iterator[tuple[Distribution, str]]:
    """Yield a registry, and the name there of an image that the contestant has."""
    with filled(name, stuff) as registry:
        image = f"{registry.host}/pushed/app:1"
        tool("load", "-q", "-i", stuff.app)
        tool("tag", "app:1", image)
        try:
            yield registry, image
        finally:
            tool("rmi", "-f", image, "app:1", check=False)


@contextlib.contextmanager
def filled(name: str, stuff: Stuff) -> Iterator[Distribution]:
    """Run a registry that has two images over the same content as all others."""
    template, folder = f"{stuff.folder}/registry", f"{stuff.folder}/registry-{name}"
    if not os.path.isdir(template):
        _fill(template, stuff)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-al", template, folder], check=True)
    try:
        with Distribution(folder) as registry:
            yield registry
    finally:
        shutil.rmtree(folder)


def _fill(folder: str, stuff: Stuff) -> None:
    """Push app, and app with one more small layer."""
    root = f"{stuff.folder}/pusher"
    tool = lamina(root)
    tool("load", "-q", "-i", stuff.app)
    context = f"{stuff.folder}/newer"
    os.makedirs(context)
    with open(f"{context}/Dockerfile", "w") as file:
        file.write("FROM app:1\nCOPY Dockerfile /newer\n")
    tool("build", "-q", "-t", "app:2", context)
    with Distribution(folder) as registry:
        for local, image in (("app:1", IMAGE), ("app:2", _NEWER)):
            tool("tag", local, f"{registry.host}/{image}")
            tool("push", "-q", f"{registry.host}/{image}")
    shutil.rmtree(root)


def _forget(tool: Contestant) -> None:
    """Have no image, and no container that would keep one."""
    if containers := tool("ps", "-aq").stdout.split():
        tool("rm", "-f", *containers)
    tool("image", "prune", "-a", "-f")
