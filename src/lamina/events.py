"""What a long verb reports while it works: small values handed to a callable.

The callable may raise to cancel the verb, which then leaves no trace. It is called from any thread that the
verb uses, one call at a time per subject.
"""

import time
from collections.abc import Callable

import msgspec


class Status(msgspec.Struct, frozen=True):
    """`subject` (a short id, or empty) has reached the state `text`."""

    text: str
    subject: str = ""


class Progress(msgspec.Struct, frozen=True):
    """`current` of `total` bytes of `subject` are done; `total` is 0 where it is not known."""

    subject: str
    action: str
    current: int
    total: int


class Output(msgspec.Struct, frozen=True):
    """Bytes that a process of a build wrote; `stream` is 1 for stdout and 2 for stderr."""

    data: bytes
    stream: int = 1


class Problem(msgspec.Struct, frozen=True):
    """Something is not as it should be, and the verb goes on."""

    text: str


_INTERVAL = 0.1
"""Seconds between two words on how far something is."""

Event = Status | Progress | Output | Problem
Report = Callable[[Event], None]


def once(report: Report) -> Report:
    """Return what passes events on, but of problems with the same words only the first."""
    said: set[str] = set()

    def passed_on(event: Event) -> None:
        if isinstance(event, Problem):
            if event.text in said:
                return
            said.add(event.text)
        report(event)

    return passed_on


def sparing(report: Report) -> Report:
    """Return what passes events on, but of the progress of a subject no more than a person can see, and its end."""
    said: dict[str, float] = {}

    def passed_on(event: Event) -> None:
        if isinstance(event, Progress):
            now = time.monotonic()
            if now - said.get(event.subject, 0.0) < _INTERVAL and event.current != event.total:
                return
            said[event.subject] = now
        report(event)

    return passed_on


def ignore(event: Event) -> None:
    """Report nothing: the default of every verb."""
