"""`crew_cases`, in a process of their own: nothing is forked where other threads run, as pytest-xdist's do."""

import pathlib
import subprocess
import sys

import pytest

CASES = pathlib.Path(__file__).with_name("crew_cases.py")


def test_the_cases(request: pytest.FixtureRequest) -> None:
    words = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", str(CASES)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=request.config.rootpath, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
