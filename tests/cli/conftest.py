"""What tests of the command line get: stores that cost little, peers, and a check that nothing stays behind."""

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from bench.images import Image
from tests import peers, traces
from tests.cli.place import Lamina, furnish
from tests.compat.conftest import installed, tiny
from tests.peers import Docker, Tool

__all__ = ["installed", "tiny"]


@pytest.fixture(autouse=True)
def tidy(tmp_path: pathlib.Path) -> Iterator[None]:
    """Fail a test that leaves a mount, a process, a loop device or a private folder."""
    with traces.tidy(str(tmp_path)):
        yield


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, tiny: Image) -> Lamina:
    """A store with images (see `place.furnish`) that nobody changes."""
    peers.need("needs root" if os.geteuid() else "", Tool("runc").missing())
    lamina = Lamina(os.path.join(tmp_path_factory.mktemp("furnished"), "store"))
    furnish(lamina, tiny)
    lamina("run", "--rm", "--network", "none", "tiny:1", "true")  # finds out which runtime works
    return lamina


@pytest.fixture
def lamina(furnished: Lamina, tmp_path: pathlib.Path) -> Iterator[Lamina]:
    """The program over a copy of the furnished store, which must be sound in the end, and at rest."""
    lamina = Lamina(str(tmp_path / "store"))
    subprocess.run(["cp", "-a", furnished.root, f"{furnished.root}.run", str(tmp_path)], check=True)
    yield lamina
    assert lamina("system", "check", "--fast").stdout == f"no problem found in {lamina.root}\n"
    assert not os.listdir(f"{lamina.root}/lamina/leases")
    for place in ("bundles", "state"):
        assert not os.listdir(f"{lamina.root}.run/{place}"), place
    probed = f"{lamina.root}.run/health"
    assert not os.path.exists(probed) or set(os.listdir(probed)) <= set(os.listdir(f"{lamina.root}/lamina/containers"))


@pytest.fixture
def empty(tmp_path: pathlib.Path) -> Lamina:
    """The program over a store that is not there yet."""
    return Lamina(str(tmp_path / "store"))


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory, tiny: Image) -> Iterator[Docker]:
    """A dockerd that has `tiny:1`."""
    peers.need(Docker.missing())
    with Docker(os.path.join(tmp_path_factory.mktemp("docker"), "store")) as docker:
        docker("load", "-q", "-i", tiny.path)
        yield docker
