"""Eight processes on one store at once; `python -m tests.safety together` has 64 of them there for ten minutes."""

import pathlib
import shutil

import pytest
from tests import peers
from tests.peers import Tool
from tests.safety import together
from tests.safety.worker import VERBS

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

PROCESSES, SECONDS = 8, 10


def test_eight_at_once(tmp_path: pathlib.Path) -> None:
    peers.need(Tool("busybox").missing(), Tool("runc").missing(), Tool("conmon").missing())
    done = together.run(str(tmp_path), PROCESSES, SECONDS)
    assert set(done) - {"refused"} <= set(VERBS)
    assert sum(calls.number for calls in done.values()) > PROCESSES
    shutil.rmtree(tmp_path / "store")
