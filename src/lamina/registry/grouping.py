"""Group commit: what several requests want durable at the same time shares the waits for the disk."""

import asyncio
from itertools import chain
from typing import NamedTuple

from . import threads
from .durable import Folders, Wish


class _Waiting(NamedTuple):
    """A wish, and who waits for it."""

    wish: Wish
    done: "asyncio.Future[None]"


class Grouping:
    """Fulfils, as `Folders.place` does, the wishes of all who have one while the disk is busy, at once."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._waiting: list[_Waiting] = []
        self._working: asyncio.Task[None] | None = None

    async def place(self, wish: Wish) -> None:
        """Fulfil a wish. What it moves should be nearly on disk: others wait for it."""
        waiting = _Waiting(wish, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        await threads.settle(waiting.done)

    async def _work(self) -> None:
        """Fulfil wishes until there are none."""
        group: list[_Waiting] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                for waiting, failure in await threads.settle(threads.start(self._fulfil, group)):
                    if failure is None:
                        waiting.done.set_result(None)
                    else:
                        waiting.done.set_exception(failure)
        finally:
            self._working = None
            for waiting in (*group, *self._waiting):
                waiting.done.cancel()  # none but where this was cancelled

    def _fulfil(self, group: list[_Waiting]) -> list[tuple[_Waiting, Exception | None]]:
        """Fulfil all wishes at once; if that fails, each by itself, so that only those hear of it whom it concerns."""
        parts = zip(*(each.wish for each in group), strict=True)
        if self._failure(Wish(*map(list, map(chain.from_iterable, parts)))):
            return [(each, self._failure(each.wish)) for each in group]
        return [(each, None) for each in group]

    def _failure(self, wish: Wish) -> Exception | None:
        """Fulfil a wish; return why that fails, if it does."""
        try:
            self._folders.place(wish)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            return error
        return None
