"""What tests of the client get: a registry of Debian's, and clients whose patience is short."""

import os
import pathlib
from collections.abc import Iterator

import pytest
from tests import peers, traces
from tests.remote.distribution import Distribution

from lamina.oci import reference
from lamina.remote.client import Client
from lamina.remote.registry import Registry
from lamina.remote.settings import Settings


@pytest.fixture(autouse=True)
def tidy(tmp_path: pathlib.Path) -> Iterator[None]:
    """Fail a test that leaves a process or a private folder."""
    with traces.tidy(str(tmp_path)):
        yield


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    """Debian's docker-registry, open to all."""
    peers.need(Distribution.missing())
    with Distribution(os.path.join(tmp_path_factory.mktemp("distribution"), "registry")) as registry:
        yield registry


@pytest.fixture
def client() -> Iterator[Client]:
    """Connections with small pieces and short waits."""
    with Client(Settings(piece=1000, patience=0.02, certificates="")) as client:
        yield client


def repository(client: Client, host: str, path: str = "a/b") -> Registry:
    return Registry(reference.parse(f"{host}/{path}"), client)
