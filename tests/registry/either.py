"""Debian's docker-registry or ours, for tests that hold for both."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from tests import peers
from tests.registry.distribution import Distribution, Running
from tests.registry.serving import serving

NAMES = ("docker-registry", "lamina")


@contextlib.contextmanager
def running(name: str, folder: pathlib.Path) -> Iterator[Running]:
    """Run a registry of one of the names while the block does, open to all; skip the test that lacks it."""
    if name == "lamina":
        with serving(folder, delete=True) as ours:
            yield ours
    else:
        peers.need(Distribution.missing())
        with Distribution(os.path.join(folder, "registry")) as theirs:
            yield theirs
