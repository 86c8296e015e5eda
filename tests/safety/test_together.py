"""Eight processes on one store at once: nobody fails for another's sake, and the store is sound at the end."""

import pathlib
import shutil
import subprocess
import sys

import pytest
from bench import images
from tests import peers, traces
from tests.peers import Tool

from lamina.engine import Engine

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

PROCESSES, SECONDS = 8, 10


def test_eight_at_once(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> None:
    peers.need(Tool("busybox").missing(), Tool("runc").missing())
    root, run_root = tmp_path / "store", tmp_path / "run"
    tiny = images.tiny(str(tmp_path / "tiny.tar"))
    with traces.tidy(str(tmp_path)):
        with Engine(str(root), run_root=str(run_root)) as engine, open(tiny.path, "rb") as file:
            engine.load(file)
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.safety.worker", str(root), str(run_root), str(seed), str(SECONDS)],
                cwd=request.config.rootpath,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for seed in range(PROCESSES)
        ]
        ends = [(*worker.communicate(timeout=120), worker.returncode) for worker in workers]
        failures = [error for _, error, status in ends if status or error]
        assert not failures, "\n\n".join(failures)
        with Engine(str(root), run_root=str(run_root)) as engine:
            assert list(engine.check()) == []
            for one in engine.containers():
                engine.remove_container(one.record.id)
            for image in engine.images():
                if not image.has_children and "tiny:1" not in image.tags:
                    engine.remove_image(image.id, force=True)
            assert list(engine.check()) == []
            assert len(list(engine._store.layers)) == 1, "only the base is left"
    shutil.rmtree(root)
