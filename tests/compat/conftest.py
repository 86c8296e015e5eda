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
from tests.compat import doors
from tests.compat.clients import ByDocker, ByLamina, ByPodman, BySkopeo, Client
from tests.compat.doors import Door
from tests.peers import Docker, Podman, Tool
from tests.registry import certificates
from tests.registry.distribution import Distribution


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


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> doors.Pair:
    """The certificate, its own authority, that registries show and clients trust; and its key."""
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pair: doors.Pair) -> Iterator[Door]:
    """A registry of a kind, with a way in: indirect, of `doors.REGISTRIES` and `doors.WAYS`."""
    kind, way = request.param
    if kind == "docker-registry":
        peers.need(Distribution.missing())
    with doors.REGISTRIES[kind](tmp_path_factory.mktemp(kind), way, pair) as door:
        yield door


@pytest.fixture(scope="module")
def by_docker(tmp_path_factory: pytest.TempPathFactory, pair: doors.Pair) -> Iterator[ByDocker]:
    peers.need(Docker.missing())
    root = str(tmp_path_factory.mktemp("dockerd") / "root")
    with Docker(root, driver="vfs", env={"SSL_CERT_FILE": pair[0]}) as docker:
        yield ByDocker(docker)


@pytest.fixture(scope="module")
def by_podman(tmp_path_factory: pytest.TempPathFactory, pair: doors.Pair) -> Iterator[ByPodman]:
    peers.need(Podman.missing())
    with Podman(str(tmp_path_factory.mktemp("podman")), driver="vfs") as podman:
        yield ByPodman(podman, pair[0])


@pytest.fixture(scope="module")
def by_skopeo(tmp_path_factory: pytest.TempPathFactory, pair: doors.Pair) -> BySkopeo:
    peers.need(peers.skopeo.missing())
    return BySkopeo(tmp_path_factory.mktemp("skopeo"), pair[0])


@pytest.fixture(scope="module")
def by_lamina(tmp_path_factory: pytest.TempPathFactory, pair: doors.Pair) -> ByLamina:
    return ByLamina(tmp_path_factory.mktemp("client"), pair[0])


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest) -> Client:
    """A client of registries: indirect, the name of its fixture."""
    found: Client = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def clients(by_docker: ByDocker, by_podman: ByPodman, by_skopeo: BySkopeo, by_lamina: ByLamina) -> dict[str, Client]:
    """All of them."""
    return {"docker": by_docker, "podman": by_podman, "skopeo": by_skopeo, "lamina": by_lamina}
