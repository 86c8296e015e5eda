"""Several processes on one store: no error but what another's work explains, nothing lost, and the store is sound."""

import json
import os
import statistics
import subprocess
import sys
from typing import NamedTuple

from bench import images
from tests import traces

from lamina.engine import Engine

PATIENCE = 120
"""Seconds that a worker may take to end after its time."""


class Calls(NamedTuple):
    """How often a verb was called, and its seconds: the median, and what one in a hundred passes."""

    number: int
    median: float
    slow: float


def run(folder: str, processes: int, seconds: float) -> dict[str, Calls]:
    """Let several workers use one store, and assert what must hold then; return what they did, by verb.

    Args:
        folder: an empty one, for the store.
        processes: how many.
        seconds: for how long.
    """
    root, run_root = os.path.join(folder, "store"), os.path.join(folder, "run")
    tiny = images.tiny(os.path.join(folder, "tiny.tar"))
    with traces.tidy(folder):
        with Engine(root, run_root=run_root) as engine, open(tiny.path, "rb") as file:
            engine.load(file)
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.safety.worker", root, run_root, str(seed), str(seconds)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for seed in range(processes)
        ]
        ends = [worker.communicate(timeout=seconds + PATIENCE) for worker in workers]
        failures = [error for worker, (_, error) in zip(workers, ends, strict=True) if worker.returncode or error]
        assert not failures, "\n\n".join(failures)
        _judge(root, run_root)
    took: dict[str, list[float]] = {}
    for said, _ in ends:
        for verb, times in json.loads(said).items():
            took.setdefault(verb, []).extend(times)
    return {verb: _calls(took[verb]) for verb in sorted(took)}


def _judge(root: str, run_root: str) -> None:
    """Assert that the store is sound, and that nothing is left in it once all is removed."""
    with Engine(root, run_root=run_root) as engine:
        assert list(engine.check()) == []
        for one in engine.containers():
            engine.remove_container(one.record.id, volumes=True)
        for volume in engine.volumes():
            engine.remove_volume(volume.volume.name)
        for image in engine.images():
            if not image.has_children and "tiny:1" not in image.tags:
                engine.remove_image(image.id, force=True)
        assert list(engine.check()) == []
        assert len(list(engine._store.layers)) == 1, "only the base is left"


def _calls(times: list[float]) -> Calls:
    times.sort()
    return Calls(len(times), statistics.median(times), times[int(len(times) * 0.99)])
