"""The small program that is the first process with `--init`: it hands signals on and buries orphans."""

import os

from ..errors import Unavailable
from .values import Bind

PLACE = "/sbin/docker-init"
"""Where it is in the tree."""

_NAMES = ("docker-init", "tini-static", "catatonit", "tini")
_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
_PLACES = ("/usr/libexec/docker/docker-init", "/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit")
_BEGINNING = 4096  # bytes: a program that needs a loader names it there


class NoReaper(Unavailable):
    """There is no such program on this machine."""

    exit_status = 125


def find() -> str:
    """Return the path of one on the host, rather one that needs no libraries: the tree may have none.

    Raises:
        NoReaper: none is installed.
    """
    paths = [*(f"{folder}/{name}" for name in _NAMES for folder in _FOLDERS), *_PLACES]
    found = [os.path.realpath(path) for path in paths if os.access(path, os.X_OK)]
    if not found:
        raise NoReaper("--init needs docker-init, tini or catatonit, and none is installed: see Debian's package tini")
    return next((path for path in found if _stands_alone(path)), found[0])


def bind() -> Bind:
    """Return how it is mounted.

    Raises:
        NoReaper: none is installed.
    """
    return Bind(find(), PLACE, readonly=True, recursive=False)


def _stands_alone(path: str) -> bool:
    with open(path, "rb") as file:
        beginning = file.read(_BEGINNING)
    return b"/ld-" not in beginning
