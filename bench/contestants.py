"""Those who run: each a command with docker's arguments, over a store of its own on one disk."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Protocol, Unpack

from tests import traces
from tests.peers import Docker, How, Podman, Result, Tool, skopeo
from tests.registry.distribution import Distribution

from lamina.snapshot import probe

from .report import LAMINA, OURS

LIKE_DOCKER = (*OURS, "dockerd", "podman")
"""Who has all of docker's commands."""

PLAIN_HTTP = {"podman": ("--tls-verify=false",), "buildah": ("--tls-verify=false",)}
"""What a pull or a push from a registry without TLS needs."""


class Contestant(Protocol):
    """A command line: `contestant("load", "-i", path)`; see `tests.peers.Tool` for the keywords."""

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run one command to its end; a failure is raised."""
        ...


class Lamina:
    """lamina over a store: with its default storage driver, or another one.

    All that a store needs lies below its folder and beside it; bytecode is kept, as it usually is.
    """

    def __init__(self, root: str, driver: str = "") -> None:
        script = os.path.join(os.path.dirname(sys.executable), "lamina")
        path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        self.command = [script, "--root", root, *(["--storage-driver", driver] if driver else [])]
        self.environment = {"LAMINA_RUN_ROOT": f"{root}.run", **path}
        self._tool = Tool(*self.command, env=self.environment)

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run one command to its end; see `Tool`."""
        return self._tool(*args, **how)

    @property
    def driver(self) -> str:
        """The store's storage driver."""
        return self("info", "--format", "{{.Driver}}").stdout.strip()


class Buildah:
    """buildah over a store of its own, as docker where it can do the same."""

    def __init__(self, podman: Podman) -> None:
        self._tool = Tool("buildah", env={**podman.environment, "BUILDAH_LAYERS": "true"})

    def __call__(self, *args: str, **how: Unpack[How]) -> Result:
        """Run one command to its end; see `Tool`."""
        match args:
            case ("load", "-q", "-i", path):
                return self._tool("pull", "-q", f"docker-archive:{path}", **how)
            case ("images", "-q", name):
                return self._tool("images", "-q", "--filter", f"reference={name}", **how)
        return self._tool(*args, **how)


def missing() -> dict[str, str]:
    """Return which peers cannot be used here, and why."""
    reasons = {
        "dockerd": Docker.missing(),
        "podman": Podman.missing(),
        "buildah": Podman.missing() or Tool("buildah").missing(),
        "skopeo": skopeo.missing(),
        "docker-registry": Distribution.missing(),
    }
    return {peer: reason for peer, reason in reasons.items() if reason}


@contextlib.contextmanager
def entered(folder: str, peers: tuple[str, ...]) -> Iterator[dict[str, Contestant]]:
    """Open lamina and some peers over new stores in a folder, lamina first; daemons run while the block does.

    Lamina takes part twice where the other one of its two fast storage drivers works.
    """
    os.makedirs(folder, exist_ok=True)
    with contextlib.ExitStack() as stack:
        found: dict[str, Contestant] = {}
        for name, make in _makers(folder, peers):
            found[name] = stack.enter_context(make)
        yield found


def _makers(folder: str, peers: tuple[str, ...]) -> Iterator[tuple[str, contextlib.AbstractContextManager[Contestant]]]:
    ours = Lamina(f"{folder}/default")
    yield LAMINA, _lamina(ours, f"{folder}/default")
    for driver in probe.DRIVERS[:2]:
        if driver != ours.driver and not probe.refusal(driver, folder, privileged=True):
            root = f"{folder}/{driver}"
            yield f"{LAMINA}-{driver}", _lamina(Lamina(root, driver), root)
    if "dockerd" in peers:
        yield "dockerd", Docker(f"{folder}/dockerd")
    if "podman" in peers:
        yield "podman", Podman(f"{folder}/podman")
    if "buildah" in peers:
        yield "buildah", _buildah(f"{folder}/buildah")
    if "skopeo" in peers:
        yield "skopeo", contextlib.nullcontext(skopeo)


@contextlib.contextmanager
def _lamina(tool: Lamina, root: str) -> Iterator[Contestant]:
    """Yield lamina; at the end, no container of its store runs any more, and nothing is mounted."""
    try:
        yield tool
    finally:
        if containers := tool("ps", "-aq", check=False).stdout.split():
            tool("rm", "-f", *containers, check=False)
        traces.kill(root)
        traces.unmount(root, f"{root}.run")


@contextlib.contextmanager
def _buildah(root: str) -> Iterator[Contestant]:
    with Podman(root) as podman:
        yield Buildah(podman)
