"""The long run, by hand: `python -m tests.hostile [DRIVER...] [WORD...]`: time and memory of each large tar.

Storage drivers are chosen by their names, tars by words in theirs. It needs 10 GiB of disk at TMPDIR.
"""

import os
import subprocess
import sys
import tempfile
import time

from bench import memory
from tests.cli.place import BIN
from tests.hostile.bombs import FULL, write

from lamina.files import remove_tree
from lamina.snapshot import probe


def main() -> None:
    chosen = [word for word in sys.argv[1:] if word in probe.DRIVERS]
    words = [word for word in sys.argv[1:] if word not in chosen]
    for name, (make, size, compress) in FULL.items():
        if not all(word in name for word in words):
            continue
        for driver in chosen or probe.DRIVERS:
            with tempfile.TemporaryDirectory() as folder:
                tar = os.path.join(folder, "bomb.tar")
                with open(tar, "wb") as file:
                    write(make(size), file, compress)
                _measure(name, driver, folder, tar)
                remove_tree(f"{folder}/store")  # what was refused half-way may be too deep for the standard library


def _measure(name: str, driver: str, folder: str, tar: str) -> None:
    env = {**os.environ, "LAMINA_ROOT": f"{folder}/store", "LAMINA_STORAGE_DRIVER": driver}
    program = f"{BIN}/lamina"
    steps = {
        "import": ["import", tar, "bomb:1"],
        "save": ["save", "-o", f"{folder}/out.tar", "bomb:1"],
        "check": ["system", "check"],
        "rmi": ["rmi", "bomb:1"],
    }
    for step, words in steps.items():
        start, before = time.monotonic(), os.times()
        try:
            most = f"{memory.peak([program, *words], env):.0f} MB"
        except subprocess.CalledProcessError as error:
            most = error.stderr.decode().strip()
        after = os.times()
        work = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"{name}, {driver}, {step}: {time.monotonic() - start:.1f} s, {work:.1f} s of work, {most}", flush=True)
        if "Error" in most:
            return


if __name__ == "__main__":
    main()
