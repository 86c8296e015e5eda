"""Fuzzing by hand: `python -m tests.fuzz TARGET [SECONDS]`, or `all [SECONDS]` for every target in turn.

It needs the extra `fuzz`. An input that ends in anything but an error of ours is written to the current folder;
what was mended stays in tests/data/fuzz/TARGET as a case.
"""

import errno
import os
import resource
import subprocess
import sys
import tempfile

from tests.fuzz.targets import DATA, TARGETS, attempt

_MOST = 256 << 20
"""Bytes of the largest file that a target may write: a bomb that is found fills no memory."""


def main() -> None:
    name, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "60"
    if name == "all":
        for each in TARGETS:
            subprocess.run([sys.executable, "-m", "tests.fuzz", each, seconds], check=True)
    else:
        _fuzz(name, seconds)


def _fuzz(name: str, seconds: str) -> None:
    import atheris

    with tempfile.TemporaryDirectory() as corpus:
        found = sorted((DATA / "fuzz" / name).glob("*"))
        for at, data in enumerate([*TARGETS[name].seeds(), *(path.read_bytes() for path in found)]):
            with open(os.path.join(corpus, str(at)), "wb") as file:
                file.write(data)
        print(f"== {name}, {seconds} s", flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST, _MOST))
        atheris.instrument_all()
        options = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, "-handle_xfsz=0", corpus], lambda data: _attempt(name, data))
        atheris.Fuzz()


def _attempt(name: str, data: bytes) -> None:
    try:
        attempt(name, data)
    except OSError as error:
        if error.errno != errno.EFBIG:  # a bomb, which found its bound
            raise


if __name__ == "__main__":
    main()
