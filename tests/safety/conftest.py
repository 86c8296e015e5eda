"""What tests of safety share."""

from collections.abc import Iterator

import pytest
from tests import disks, peers, traces
from tests.peers import Tool
from tests.registry.distribution import Distribution

pytest.register_assert_rewrite("tests.safety.arena")

from tests.safety.arena import Arena  # noqa: E402 - its assertions are to be rewritten


@pytest.fixture(scope="module")
def kept() -> Iterator[Arena]:
    """An arena of stores whose driver keeps tars."""
    peers.need(Distribution.missing(), Tool("busybox").missing(), Tool("runc").missing(), Tool("conmon").missing())
    peers.need(disks.missing())
    with traces.tidy(), disks.memory("erofs") as place:
        arena = Arena(place, driver="erofs")
        try:
            yield arena
        finally:
            arena.close()
