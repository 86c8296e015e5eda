"""Those who run: each a command with docker's arguments, over a store of its own on one disk."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Protocol, Unpack

from tests.peers import Docker, How, Podman, Result, Tool

LAMINA = "lamina"
PEERS = ("dockerd", "podman")


class Contestant(Protocol):
    """A command line: `contestant("load", "-i", path)`; see `tests.peers.Tool` for the keywords."""

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run one command to its end; a failure is raised."""
        ...


def command(root: str) -> list[str]:
    """Return the words that begin a command line of lamina: the script that a user runs, and the store's folder."""
    script = os.path.join(os.path.dirname(sys.executable), "lamina")
    return [script, "--root", root, "--storage-driver", "overlay2"]


def environment(root: str) -> dict[str, str]:
    """Return what lamina has around it: bytecode is kept as usual, nothing lies outside of the store's folder."""
    path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return {"LAMINA_RUN_ROOT": f"{root}.run", **path}


def lamina(root: str) -> Contestant:
    """Return lamina over a store."""
    return Tool(*command(root), env=environment(root))


@contextlib.contextmanager
def entered(disk: str, peers: tuple[str, ...]) -> Iterator[dict[str, Contestant]]:
    """Open lamina and some peers over new stores, lamina first; daemons run while the block does."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Contestant] = {LAMINA: lamina(f"{disk}/lamina")}
        if "dockerd" in peers:
            found["dockerd"] = stack.enter_context(Docker(f"{disk}/dockerd"))
        if "podman" in peers:
            found["podman"] = stack.enter_context(Podman(f"{disk}/podman"))
        yield found
