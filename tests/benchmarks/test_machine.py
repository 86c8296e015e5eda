import pathlib

import pytest
from bench import machine


@pytest.mark.parametrize(
    ("order", "gives"), [("9\n", True), ("0\n", True), ("10\n", True), ("11\n", False), ("4294967295\n", False)]
)
def test_a_machine_whose_free_memory_goes_back(
    order: str, gives: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "order").write_text(order)
    monkeypatch.setattr(machine, "REPORTING", str(tmp_path / "order"))
    assert machine.gives_memory_back() == gives


def test_a_machine_that_says_nothing_keeps_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "REPORTING", str(tmp_path / "none"))
    assert not machine.gives_memory_back()
    assert machine.facts(1 << 30)["gives_memory_back"] is False
