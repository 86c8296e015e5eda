"""A crew of threads, where a process has threads already and nothing may be forked.

Hashing, inflating, reading and writing let other threads run meanwhile; making a layer's files does so less.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ..errors import Cancelled
from ..events import Event, Report, sparing

Made = TypeVar("Made")


def threads(
    count: int, work: Callable[[int, Report], Made], most: int, report: Report, stop: Callable[[], None]
) -> Iterator[tuple[int, Made]]:
    """Call `work` with each number below `count`; yield the number and what was made, as it comes; see `crew`."""
    crew = _Threads(count, work)
    try:
        crew.start(min(most, count))
        yield from crew.heard(report)
    finally:
        crew.end(stop)


class _Threads(Generic[Made]):
    """The threads, and what they say: events, numbers with what was made, errors, and None from each at its end."""

    def __init__(self, count: int, work: Callable[[int, Report], Made]) -> None:
        self._numbers = iter(range(count))
        self._work = work
        self._taking = threading.Lock()
        self._over = threading.Event()
        self._said: queue.SimpleQueue[Event | tuple[int, Made] | BaseException | None] = queue.SimpleQueue()
        self._members: list[threading.Thread] = []
        self._left = 0

    def start(self, members: int) -> None:
        for _ in range(members):
            member = threading.Thread(target=self._be_member)
            member.start()
            self._members.append(member)
            self._left += 1

    def heard(self, report: Report) -> Iterator[tuple[int, Made]]:
        """Pass on what the threads say until none says more; raise the first error."""
        while self._left:
            said = self._said.get()
            if said is None:
                self._left -= 1
            elif isinstance(said, BaseException):
                raise said
            elif isinstance(said, tuple):
                yield said
            else:
                report(said)

    def end(self, stop: Callable[[], None]) -> None:
        """Wait until all have ended, and have those that are at work leave off."""
        self._over.set()
        if self._left:
            stop()
        for member in self._members:
            member.join()

    def _be_member(self) -> None:
        report = sparing(self._say)
        try:
            while (number := self._taken()) is not None:
                self._said.put((number, self._work(number, report)))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that listens
            self._said.put(error)
        self._said.put(None)

    def _taken(self) -> int | None:
        with self._taking:
            return None if self._over.is_set() else next(self._numbers, None)

    def _say(self, event: Event) -> None:
        if self._over.is_set():
            raise Cancelled("another part of the transfer failed")
        self._said.put(event)
