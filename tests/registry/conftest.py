"""A registry for each module of tests, and a client to it."""

from collections.abc import Iterator

import pytest
from tests.registry.client import Client
from tests.registry.serving import Serving, serving


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("registry"), delete=True) as found:
        yield found


@pytest.fixture
def client(registry: Serving) -> Iterator[Client]:
    found = Client(registry.address)
    yield found
    found.close()
