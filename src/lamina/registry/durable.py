"""Files and folders that are on disk when a call returns: bytes, names, and every folder on the way to them.

A journal is committed as rarely as can be: all folders are made and all bytes are on their way before the first wait,
all names are there before the second one.
"""

import contextlib
import os
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..files import write_out

_TRIES = 8
_MOST = 100_000


class Move(NamedTuple):
    """A file that is written already, open as `fd`, on its way to its place."""

    fd: int
    source: str
    target: str


class Wish(NamedTuple):
    """What is to be on disk: files that are moved, then files that are written at their paths, each whole.

    `there` are paths of files that are in place already, by another's doing: their names may not be on disk yet.
    """

    files: Sequence[tuple[str, bytes]]
    moves: Sequence[Move] = ()
    there: Sequence[str] = ()


class Folders:
    """The folders below `top`, and what this process knows to be on disk of them.

    Args:
        top: a folder that is there.
        passing: is in the paths of folders that come and go, of which nothing is remembered.
    """

    def __init__(self, top: str, passing: str) -> None:
        self._top = top
        self._passing = passing
        self._known: set[str] = set()

    def make(self, folder: str) -> list[str]:
        """Make a folder and those above it; return the folders to sync so that all of them are on disk."""
        unsure: list[str] = []
        while folder not in self._known and len(folder) > len(self._top):
            unsure.append(folder)
            folder = os.path.dirname(folder)
        for path in reversed(unsure):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o777)
        return [os.path.dirname(path) for path in unsure]

    def sync(self, folders: Collection[str]) -> None:
        """Make the names in folders durable; each of them has its own name among these, or is known."""
        for folder in folders:
            sync(folder)
        self._known.update(folder for folder in folders if self._passing not in folder)
        if len(self._known) > _MOST:
            self._known.clear()

    def place(self, wish: Wish) -> None:
        """Fulfil a wish, in its order.

        All bytes are on disk before the first name is seen, and all names when the call returns. A failure leaves no
        temporary file.
        """
        for attempt in range(_TRIES):
            try:
                self._place(wish)
                return
            except FileNotFoundError:  # another one removed a folder meanwhile
                self._known.clear()
                wish = wish._replace(moves=[move for move in wish.moves if os.path.exists(move.source)])
                if attempt == _TRIES - 1:
                    raise

    def _place(self, wish: Wish) -> None:
        files, moves = wish.files, wish.moves
        paths = [*(move.target for move in moves), *(path for path, _ in files), *wish.there]
        folders = [os.path.dirname(path) for path in paths]
        unsure = [each for folder in folders for each in self.make(folder)]
        temporaries: list[tuple[int, str]] = []
        try:
            for move in moves:
                write_out(move.fd)
            for path, data in files:
                temporaries.append(_temporary(path))
                write(temporaries[-1][0], data, 0)
                write_out(temporaries[-1][0])
            for fd in (*(move.fd for move in moves), *(fd for fd, _ in temporaries)):
                os.fsync(fd)
            for move in moves:
                os.rename(move.source, move.target)
            for (_, temporary), (path, _) in zip(temporaries, files, strict=True):
                os.rename(temporary, path)
        except BaseException:
            for _, temporary in temporaries:
                unlink(temporary)
            raise
        finally:
            for fd, _ in temporaries:
                os.close(fd)
        self.sync(dict.fromkeys([*folders, *unsure]))


def _temporary(path: str) -> tuple[int, str]:
    """Open a new file beside a path."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.{os.urandom(8).hex()}.tmp"
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), temporary


def sync(folder: str) -> None:
    """Make the names in a folder durable; a folder that is gone has none."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def unlink(path: str) -> None:
    """Remove a file that may be gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def rmdir(path: str) -> None:
    """Remove a folder that may be gone, or in use again."""
    with contextlib.suppress(OSError):
        os.rmdir(path)
