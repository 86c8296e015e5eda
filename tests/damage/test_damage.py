"""Every file and folder of a store, each damaged in one way; the other ways by hand, `python -m tests.damage`."""

import os
from collections.abc import Iterator

import pytest
from tests import disks
from tests.damage.patient import Patient, damages, recover, suffer

from lamina.snapshot import probe

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@pytest.fixture(scope="module", params=probe.DRIVERS)
def patient(request: pytest.FixtureRequest) -> Iterator[Patient]:
    """A furnished store in memory."""
    with disks.memory(request.param) as folder:
        os.mkdir(f"{folder}/place")
        patient = Patient(f"{folder}/place", request.param)
        patient.furnish()
        yield patient


@pytest.fixture(autouse=True)
def _run_root(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINA_RUN_ROOT", str(tmp_path))


PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_damage(patient: Patient, part: int) -> None:
    others = patient.ids("other:1")
    failures: list[str] = []
    for number, place in enumerate(patient.places()):
        if number % PARTS == part:
            ways = damages(os.path.join(patient.root, place))
            damage = ways[number // PARTS % len(ways)]
            try:
                suffer(patient, place, damage, others)
                recover(patient, place, damage)
            except AssertionError as error:
                failures.append(f"{damage.__name__} {place}: {error}")
    assert not failures, "\n".join(failures)
