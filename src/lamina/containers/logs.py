"""What a monitored container has printed: lines of conmon's k8s-file format.

    <RFC 3339 time> <stdout|stderr> <F|P> <text>

A line of F ends as it did when it was printed, with a newline; one of P goes on in the next line of its stream.
"""

import collections
import os
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from ..errors import FailedPrecondition, LaminaError
from ..files import watched
from ..oci import times
from .life import Containers
from .records import LIVE, Record

_PATIENCE = 1.0  # seconds between looks at whether a conmon was killed, of which no file tells


class NoLog(FailedPrecondition):
    """Nothing was kept of what a container printed."""


class Wanted(msgspec.Struct, frozen=True):
    """Which entries are wanted.

    Attributes:
        tail: how many of the last, at most; None for all.
        since: nanoseconds since 1970; older ones are left out.
        until: likewise; newer ones are left out. Zero for no end.
    """

    tail: int | None = None
    since: int = 0
    until: int = 0


class Entry(msgspec.Struct, frozen=True):
    """A piece of output: when it was printed, to which stream, and its bytes."""

    when: int
    stream: str
    data: bytes


def read(containers: Containers, record: Record, wanted: Wanted, *, follow: bool) -> Iterator[Entry]:
    """Yield what a container has printed; with `follow`, also what it prints, until it has ended.

    Raises:
        NoLog: it ran in the foreground, and its output went to who started it.
    """
    path = containers.records.log(record.id)
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed by the generator
    except FileNotFoundError as error:
        if containers.records.state(record.id).started:
            raise NoLog(f"container {record.name} ran in the foreground: its output went to the terminal") from error
        return iter(())
    return _entries(containers, record, file, wanted, follow=follow)


def _entries(
    containers: Containers, record: Record, file: BinaryIO, wanted: Wanted, *, follow: bool
) -> Iterator[Entry]:
    with file:
        found = (entry for entry in _parsed(file) if _fits(entry, wanted))
        yield from found if wanted.tail is None else collections.deque(found, maxlen=wanted.tail)
        if not follow:
            return
        with watched(containers.records.folder(record.id)) as changed:
            while True:
                has_ended = _has_ended(containers, record)  # before the last look, so that no word is missed
                for entry in _parsed(file):
                    if wanted.until and entry.when > wanted.until:
                        return
                    if _fits(entry, wanted):
                        yield entry
                if has_ended:
                    return
                changed(_PATIENCE)


def _has_ended(containers: Containers, record: Record) -> bool:
    return not containers.records.exists(record.id) or containers.state(record.id).status not in LIVE


def _parsed(file: BinaryIO) -> Iterator[Entry]:
    """Yield the entries up to the end of a file; a line that is not whole yet is left for the next time."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        when, _, rest = line.partition(b" ")
        stream, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        try:
            moment = times.parse_rfc3339(when.decode())
        except (LaminaError, UnicodeDecodeError):
            continue  # a line that a full disk cut
        yield Entry(moment, stream.decode(errors="replace"), text[:-1] if tag[:1] == b"P" else text)


def _fits(entry: Entry, wanted: Wanted) -> bool:
    return entry.when >= wanted.since and (not wanted.until or entry.when <= wanted.until)
