"""What tests of the client get: registries, Debian's and ours, and clients whose patience is short."""

import pathlib
from collections.abc import Iterator

import pytest
from tests import traces
from tests.registry import either
from tests.registry.distribution import Running

from lamina.oci import reference
from lamina.remote.client import Client
from lamina.remote.registry import Registry
from lamina.remote.settings import Settings


@pytest.fixture(autouse=True)
def tidy(tmp_path: pathlib.Path) -> Iterator[None]:
    """Fail a test that leaves a process or a private folder."""
    with traces.tidy(str(tmp_path)):
        yield


@pytest.fixture(scope="module", params=either.NAMES)
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Debian's docker-registry, and ours, open to all."""
    with either.running(request.param, tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def client() -> Iterator[Client]:
    """Connections with small pieces and short waits."""
    with Client(Settings(piece=1000, patience=0.02, certificates="")) as client:
        yield client


def repository(client: Client, host: str, path: str = "a/b") -> Registry:
    return Registry(reference.parse(f"{host}/{path}"), client)
