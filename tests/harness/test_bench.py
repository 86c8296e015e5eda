import json
import os
import pathlib
import subprocess
import sys

import pytest
from bench import images, memory, report
from bench.report import Row, Target


def row(target: Target, **rounds: list[float]) -> Row:
    return Row("load", "load app", "s", target, rounds)


def test_lamina_is_measured_by_the_better_peer() -> None:
    found = row(Target(0.5), lamina=[9, 2, 1], dockerd=[8], podman=[4, 5, 3])
    assert (found.ratio, found.met) == (0.5, True)
    assert row(Target(0.4), lamina=[2], dockerd=[8], podman=[4]).met is False


def test_or_by_the_one_that_the_target_names() -> None:
    found = row(Target(2, "podman"), lamina=[6], dockerd=[1], podman=[4])
    assert (found.ratio, found.met) == (1.5, True)


def test_or_by_an_amount() -> None:
    found = row(Target(0.06, "", "s"), lamina=[0.07], dockerd=[0.1])
    assert found.ratio == pytest.approx(0.7)
    assert found.met is False


def test_without_peers_nothing_is_told() -> None:
    found = row(Target(0.5), lamina=[1])
    assert (found.ratio, found.met) == (None, None)


def test_the_table_shows_each_contestant() -> None:
    text = report.table([row(Target(0.5), lamina=[1.5], dockerd=[8], podman=[0.25]), row(Target(120, "", "MB"))])
    assert text == (
        "operation  lamina  dockerd   podman  ratio  target  met\n"
        "load app   1.50 s   8.00 s  0.250 s   6.00   0.5 x   NO\n"
        "load app        -        -        -      -  120 MB    -\n"
    )


def test_the_document_is_json_with_every_round() -> None:
    [found] = json.loads(json.dumps(report.document([row(Target(1), lamina=[1, 2, 3], podman=[4])])))
    assert found["rounds"]["lamina"] == [1, 2, 3]
    assert (found["median"]["lamina"], found["ratio"], found["met"]) == (2, 0.5, True)


def test_the_peak_counts_all_processes_at_a_time() -> None:
    big = "held = b'x' * 50_000_000; import time; time.sleep(0.5)"
    both = f"import subprocess, sys; held = b'x' * 30_000_000; subprocess.run([sys.executable, '-c', {big!r}])"
    assert 75 < memory.peak([sys.executable, "-c", both], dict(os.environ)) < 130


def test_a_failing_command_has_no_peak() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        memory.peak([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ))


def test_very_many_images_can_be_loaded(tmp_path: pathlib.Path) -> None:
    images.many(str(tmp_path / "many.tar"), 3)
    command = [sys.executable, "-m", "lamina.cli", "--root", str(tmp_path / "s")]
    subprocess.run([*command, "load", "-q", "-i", str(tmp_path / "many.tar")], check=True, capture_output=True)
    listed = subprocess.run([*command, "images", "-q"], check=True, capture_output=True).stdout
    assert len(set(listed.split())) == 4
    subprocess.run([*command, "system", "check"], check=True, capture_output=True)
