"""Pull and push, compared: from and to a docker-registry of Debian's on the same disk, each contestant with its own."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

from tests.registry.distribution import Distribution

from .contestants import PLAIN_HTTP, Contestant, Lamina
from .measuring import Operation, Part, Rounds, Stuff
from .operations import BUILDERS
from .report import Target

IMAGE, _NEWER = "x/app:1", "x/app:2"


def pull(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    with filled(name, stuff) as registry:
        image = f"{registry.host}/{IMAGE}"
        if name == "skopeo":
            yield from _copies(tool, image, f"{stuff.folder}/copied")
        forget(name, tool)
        while True:
            yield lambda: tool("pull", "-q", *PLAIN_HTTP.get(name, ()), image)
            tool("rmi", "-f", image)


def _copies(skopeo: Contestant, image: str, folder: str) -> Rounds:
    """Copy what a pull brings to a folder, and unpack nothing."""
    while True:
        yield lambda: skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{image}", f"dir:{folder}")
        shutil.rmtree(folder)


def pull_newer(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    """Pull an image of which all but one small layer is there."""
    with filled(name, stuff) as registry:
        flags = PLAIN_HTTP.get(name, ())
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
            yield lambda: tool("push", "-q", *PLAIN_HTTP.get(name, ()), image)


def push_again(name: str, tool: Contestant, stuff: Stuff) -> Rounds:
    with _pushing(name, tool, stuff) as (_, image):
        flags = PLAIN_HTTP.get(name, ())
        tool("push", "-q", *flags, image)
        while True:
            yield lambda: tool("push", "-q", *flags, image)


_PULL = Part("pull app", (Target(1 / 4), Target(3, "skopeo")))
_NEW = Part("pull, one small layer is new", (Target(0.3, "", "s"),))
_PUSH = Part("push app to an empty registry", (Target(1 / 3),))
_AGAIN = Part("push what is there", (Target(0.2, "", "s"),))
TRANSFERS = (
    Operation("pull", pull, (_PULL,), (*BUILDERS, "skopeo")),
    Operation("newer", pull_newer, (_NEW,), BUILDERS),
    Operation("push", push, (_PUSH,), BUILDERS),
    Operation("again", push_again, (_AGAIN,), BUILDERS),
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
    """Run a registry for a contestant that has two images over the same content as all others."""
    with served(name, f"{stuff.folder}/registry", lambda folder: _fill(folder, stuff)) as registry:
        yield registry


@contextlib.contextmanager
def served(name: str, template: str, fill: Callable[[str], None]) -> Iterator[Distribution]:
    """Run a registry for a contestant, over a copy of a folder that `fill` makes when it is not there."""
    folder = f"{template}-{name}"
    if not os.path.isdir(template):
        fill(f"{template}.new")
        os.rename(f"{template}.new", template)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-al", template, folder], check=True)
    try:
        with Distribution(folder) as registry:
            yield registry
    finally:
        shutil.rmtree(folder)


def _fill(folder: str, stuff: Stuff) -> None:
    """Push app, and app with one more small layer."""
    tool = Lamina(f"{folder}.store")
    tool("load", "-q", "-i", stuff.app)
    context = f"{folder}.context"
    os.makedirs(context, exist_ok=True)
    with open(f"{context}/Dockerfile", "w") as file:
        file.write("FROM app:1\nCOPY Dockerfile /newer\n")
    tool("build", "-q", "-t", "app:2", context)
    with Distribution(folder) as registry:
        for local, image in (("app:1", IMAGE), ("app:2", _NEWER)):
            tool("tag", local, f"{registry.host}/{image}")
            tool("push", "-q", f"{registry.host}/{image}")
    for place in (f"{folder}.store", context):
        shutil.rmtree(place)


def forget(name: str, tool: Contestant) -> None:
    """Have no image, and no container that would keep one."""
    if name == "buildah":
        tool("rmi", "-a", "-f")
        return
    if containers := tool("ps", "-aq").stdout.split():
        tool("rm", "-f", *containers)
    tool("image", "prune", "-a", "-f")
