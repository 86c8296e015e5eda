"""Group commit: what several requests want durable at the same time shares the waits for the disk."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from . import threads
from .durable import Folders, Move

File = tuple[str, bytes]


class _Wish(NamedTuple):
    """What one request wants at its place, and who waits for it."""

    files: Sequence[File]
    moves: Sequence[Move]
    done: "asyncio.Future[None]"


class Grouping:
    """Puts files at their places, as `Folders.place` does, for all who ask while the disk is busy at once."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._waiting: list[_Wish] = []
        self._working: asyncio.Task[None] | None = None

    async def place(self, files: Sequence[File], moves: Sequence[Move] = ()) -> None:
        """Move files, then put files at their paths, in this order; see `Folders.place`.

        What is moved should be nearly on disk: others wait for it.
        """
        wish = _Wish(files, moves, asyncio.get_running_loop().create_future())
        self._waiting.append(wish)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        await threads.settle(wish.done)

    async def _work(self) -> None:
        """Fulfil wishes until there are none."""
        try:
            while self._waiting:
                wishes, self._waiting = self._waiting, []
                for wish, failure in await threads.run(self._fulfil, wishes):
                    if failure is None:
                        wish.done.set_result(None)
                    else:
                        wish.done.set_exception(failure)
        finally:
            self._working = None

    def _fulfil(self, wishes: list[_Wish]) -> list[tuple[_Wish, BaseException | None]]:
        """Place all at once; if that fails, each by itself, so that a failure is only told to whom it concerns."""
        try:
            self._folders.place([file for wish in wishes for file in wish.files], [m for w in wishes for m in w.moves])
        except OSError:
            return [(wish, self._alone(wish)) for wish in wishes]
        return [(wish, None) for wish in wishes]

    def _alone(self, wish: _Wish) -> OSError | None:
        try:
            self._folders.place(wish.files, wish.moves)
        except OSError as error:
            return error
        return None
