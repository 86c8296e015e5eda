import os
import subprocess
import sys

import pytest
from bench import memory


def test_the_peak_counts_all_processes_at_a_time() -> None:
    big = "held = b'x' * 50_000_000; import time; time.sleep(0.5)"
    both = f"import subprocess, sys; held = b'x' * 30_000_000; subprocess.run([sys.executable, '-c', {big!r}])"
    assert 75 < memory.peak([sys.executable, "-c", both], dict(os.environ)) < 130


def test_a_failing_command_has_no_peak() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        memory.peak([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ))
