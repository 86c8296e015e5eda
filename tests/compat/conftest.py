"""What every test against the real tools gets: the tools, running, and a check that nothing stays behind.

A test marked `docker`, `podman` or `skopeo` is skipped where that is not installed, and fails instead where
LAMINA_NO_SKIP=1 is set.
"""

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from bench import images
from tests import peers, traces
from tests.peers import Docker, Podman, Tool


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    """Skip a marked test where what it is marked for is missing."""
    reasons = {"docker": Docker.missing, "podman": Podman.missing, "skopeo": peers.skopeo.missing}
    peers.need(*(missing() for marker, missing in reasons.items() if request.node.get_closest_marker(marker)))


@pytest.fixture(autouse=True)
def tidy(installed: None, tmp_path: pathlib.Path) -> Iterator[None]:
    """Fail a test that leaves a mount, a process, a loop device or a private folder."""
    with traces.tidy(str(tmp_path)):
        yield


@pytest.fixture
def docker(tidy: None, tmp_path: pathlib.Path) -> Iterator[Docker]:
    """A dockerd over a new store, `docker.root`; `with Docker(root)` is for stores that are there already."""
    peers.need(Docker.missing())
    with Docker(str(tmp_path / "docker")) as docker:
        yield docker
    shutil.rmtree(docker.root)


@pytest.fixture
def podman(tidy: None, tmp_path: pathlib.Path) -> Iterator[Podman]:
    """A podman over a new store."""
    peers.need(Podman.missing())
    with Podman(str(tmp_path / "podman")) as podman:
        yield podman


@pytest.fixture
def skopeo() -> Tool:
    peers.need(peers.skopeo.missing())
    return peers.skopeo


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> images.Image:
    """The docker-archive `tiny:1`: busybox with all its links."""
    peers.need(Tool("busybox").missing())
    return images.tiny(os.path.join(tmp_path_factory.mktemp("images"), "tiny.tar"))
