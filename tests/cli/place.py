"""The command `lamina` over a store of its own, called like a peer, and stores to begin with.

The program is the installed one, in a process of its own, with nothing of the user's environment:

    lamina = Lamina(str(tmp_path / "store"))
    assert lamina("run", "--rm", "tiny:1", "echo", "hello").stdout == "hello\\n"
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import IO

from bench import images
from tests import tars
from tests.peers import PATH, Tool

from lamina.engine import Engine

BIN = os.path.dirname(sys.executable)
"""Where the program is installed."""


class Lamina(Tool):
    """The program over the store in a folder; what runs is kept beside it. `env` is added to its environment."""

    def __init__(self, root: str, *always: str, env: Mapping[str, str] | None = None) -> None:
        self.root = root
        self.env = {
            "PATH": f"{BIN}:{PATH}",
            "LANG": "C.UTF-8",
            "HOME": "/nonexistent",
            "LAMINA_ROOT": root,
            "LAMINA_RUN_ROOT": f"{root}.run",
            **(env or {}),
        }
        super().__init__(os.path.join(BIN, "lamina"), *always, env=self.env)

    def start(self, *args: str, stdin: int | IO[bytes] = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start the program without waiting for it, in a session of its own."""
        return subprocess.Popen(
            [os.path.join(BIN, "lamina"), *args],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
            start_new_session=True,
        )

    @property
    def driver(self) -> str:
        """The storage driver that the store has."""
        (driver,) = os.listdir(f"{self.root}/image")
        return driver

    def engine(self) -> Engine:
        """Return the same store for Python."""
        return Engine(self.root, self.env.get("LAMINA_STORAGE_DRIVER", ""), run_root=f"{self.root}.run")


def furnish(lamina: Lamina, tiny: images.Image) -> None:
    """Give a store three images: `tiny:1`, which has a shell, and `site:1` with `site:2` over it, always the same."""
    lamina("load", "-q", "-i", tiny.path)
    with lamina.engine() as engine:
        with engine.edit(created=0) as edit:
            edit.append(_stream(tars.directory("www"), tars.file("www/index.html", b"hello\n" * 1000)), "the site")
            edit.set(cmd=["/serve"], env=["PORT=80"], labels={"team": "web"})
            edit.commit("site:1")
        with engine.edit("site:1", created=1_000_000_000) as edit:
            edit.append(_stream(tars.file("www/more.html", b"more\n" * 100)), "more of the site")
            edit.commit("site:2")


def _stream(*members: tars.Member) -> IO[bytes]:
    import io

    return io.BytesIO(tars.tar(*members))
