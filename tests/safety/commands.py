"""The commands that are attacked, on the store that `arena` makes."""

import glob
import os
from collections.abc import Callable
from typing import NamedTuple


class Command(NamedTuple):
    """A command, and what it promises.

    `before` are commands that make what it needs. A command in `parts` does several things, each of them whole: an
    image of several, a step of a build, a container and then its run. One that `runs` a container leaves it to the
    process there whether what it writes outlives a loss of power. What begins with `between` may be
    seen half-way. `damage` spoils a store, for what mends it. One that is `remote` meets a registry: HERE in its words;
    `partial` says that of the largest blob there half has come already. DRIVER in its words is the store's storage
    driver, OTHER another one.
    """

    words: list[str]
    before: tuple[list[str], ...] = ()
    parts: bool = False
    runs: bool = False
    between: str = "nothing"
    damage: Callable[[str], None] | None = None
    remote: bool = False
    partial: bool = False


def _damage(store: str) -> None:
    """Take away what can be restored, and some that cannot."""
    (driver,) = os.listdir(f"{store}/image")
    layers = sorted(glob.glob(f"{store}/image/{driver}/layerdb/sha256/*"))
    os.unlink(os.path.join(layers[0], "size"))
    os.unlink(os.path.join(layers[1], "cache-id"))
    derived = {"overlay2": ("l/*",), "erofs": ("*/layer.erofs", "*/parent")}[driver]
    for pattern in derived:
        for path in sorted(glob.glob(f"{store}/{driver}/{pattern}"))[:2]:
            os.unlink(path)
    with open(f"{store}/image/{driver}/repositories.json", "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.truncate()
    os.makedirs(f"{store}/{driver}/stray/diff")


_LIVE = (
    ["run", "-d", "--name", "live", "tiny:1", "sh", "-c", "echo x > /x; sleep 100"],
    ["exec", "live", "sh", "-c", "until [ -s /x ]; do sleep 0.01; done"],  # else it may be seen without
)
_SHORT = ["sh", "-c", "echo x > /x"]

COMMANDS = {
    "build": Command(["build", "-t", "made:1", "context"], parts=True),
    "load": Command(["load", "-q", "-i", "tiny.tar"]),
    "load new": Command(["load", "-q", "-i", "other.tar"]),
    "load several": Command(["load", "-q", "-i", "several.tar"], parts=True),
    "import": Command(["import", "tree.tar", "imported:1"]),
    "commit": Command(["commit", "one", "committed:1"]),
    "commit running": Command(["commit", "live", "committed:1"], _LIVE, runs=True),
    "tag": Command(["tag", "tiny:1", "new:1"]),
    "rmi": Command(["rmi", "-f", "victim:1", "victim:2"], parts=True),
    "image prune": Command(["image", "prune", "-f", "-a"], parts=True),
    "container prune": Command(["container", "prune", "-f"], parts=True),
    "volume prune": Command(["volume", "prune", "-f", "-a"], parts=True),
    "system prune": Command(["system", "prune", "-f", "-a", "--volumes"], parts=True, between="volume * of nobody"),
    "run": Command(["run", "tiny:1", *_SHORT], parts=True, runs=True),
    "run --rm": Command(["run", "--rm", "tiny:1", *_SHORT]),
    "run -v": Command(["run", "--rm", "-v", "new:/bin", "-v", "/made", "-v", "old:/etc", "tiny:1", "true"], parts=True),
    "run -d": Command(["run", "-d", "--name", "new", "tiny:1", *_SHORT], parts=True, runs=True),
    "create": Command(["create", "tiny:1", "true"]),
    "create -v": Command(["create", "-v", "new:/bin", "-v", "/made", "tiny:1", "true"], parts=True),
    "start": Command(["start", "one"], parts=True, runs=True),
    "stop": Command(["stop", "-t", "0", "live"], _LIVE, parts=True, runs=True),
    "rename": Command(["rename", "one", "new"]),
    "rm": Command(["rm", "one"]),
    "rm -f": Command(["rm", "-f", "live"], _LIVE, parts=True),
    "rm -v": Command(["rm", "-v", "two"]),
    "volume create": Command(["volume", "create", "--label", "a=b", "new"]),
    "volume rm": Command(["volume", "rm", "old"]),
    "cp": Command(["cp", "context", "one:/again"], parts=True),
    "pull": Command(["pull", "HERE/web/site:1"], remote=True),
    "pull partial": Command(["pull", "HERE/web/site:1"], remote=True, partial=True),
    "push": Command(["push", "HERE/new/site:1"], (["tag", "victim:1", "HERE/new/site:1"],), remote=True),
    "save": Command(["save", "-o", "saved.tar", "victim:1"]),
    "export": Command(["export", "-o", "exported.tar", "one"]),
    "migrate": Command(["system", "migrate", "--to", "OTHER"], (["rm", "one", "two"],)),
    "migrate back": Command(
        ["system", "migrate", "--to", "DRIVER"], (["rm", "one", "two"], ["system", "migrate", "--to", "OTHER"])
    ),
    "check --repair": Command(["system", "check", "--repair"], damage=_damage),
}

KEPT = (
    *("load", "load new", "load several", "import", "build", "commit", "rmi", "system prune", "run"),
    *("pull", "check --repair", "migrate", "migrate back"),
)
"""Those that bring layers in or take them out, or mount them: tests attack them where the driver keeps tars, too."""
