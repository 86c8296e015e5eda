"""Where a repair puts what it could not restore: out of sight of all commands, and not lost."""

import os

from ..files import fsync
from ..oci import times
from .paths import Paths


class Quarantine:
    """The folder of one repair, made when the first thing comes; things keep their paths in the root."""

    def __init__(self, paths: Paths) -> None:
        self._root = paths.root
        self._home = paths.quarantine
        self.folder = ""

    def __call__(self, path: str) -> None:
        """Move a file or folder here, in one durable step.

        Raises:
            OSError: it is on another file system, or gone.
        """
        target = os.path.join(self.folder or self._make(), os.path.relpath(path, self._root))
        os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
        if os.path.lexists(target):
            target += f".{os.urandom(4).hex()}"
        os.rename(path, target)
        fsync(os.path.dirname(target))
        fsync(os.path.dirname(path))

    def _make(self) -> str:
        self.folder = os.path.join(self._home, times.now().replace(":", "-"))
        os.makedirs(self.folder, 0o700)
        return self.folder
