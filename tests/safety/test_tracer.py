"""The tracer itself."""

import os
import pathlib
import sys

from tests.safety import tracer
from tests.safety.tracer import Call, Kill

FORKS = """
import os
def child():
    for _ in range(50):
        try:
            os.rmdir("/nonexistent")
        except OSError:
            pass
    os._exit(0)
children = []
for _ in range(6):
    if not (forked := os.fork()):
        child()
    children.append(forked)
for forked in children:
    os.waitpid(forked, 0)
"""


def test_who_is_just_forked_is_killed_with_the_others(tmp_path: pathlib.Path) -> None:
    """A process that has not been seen yet would stay as it is for ever, with all its locks."""
    (tmp_path / "forks.py").write_text(FORKS)
    for at in range(30, 130):
        left = at

        def judge(_: Call) -> Kill | None:
            nonlocal left
            left -= 1
            return None if left else Kill()

        with open(os.devnull, "r+b") as null:
            words = [sys.executable, str(tmp_path / "forks.py")]
            tracer.run(words, judge, cwd="/", env={}, stdin=null, output=null, errors=null)
        assert not list(tracer.traced_by(os.getpid())), f"after a kill at {at}"
