"""What has happened to a store, told to whoever wants to know: `docker events` without a daemon.

    events/<number>     JSON, a line an event; the file with the highest number is written to

Who changes something notes it himself, with one write at the end of the file. A file that has reached its bound is
followed by one with the next number, and the one before it is removed: two are kept. Writers share a lock on the file
that they write to, and who begins the next file holds it alone: nothing comes into a file any more once the next one is
there. So a reader that finds the next file, and then no more in its own, has read all of it, each event once.

Events are news, not state: nothing is decided by them, nothing is synced to the disk for them, and what hinders noting
one hinders nothing else. The crash of a machine may cost the last ones and leave half a line, which is passed over. A
reader that falls behind by more than a whole file misses what was in between, as it would miss what a daemon drops.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import msgspec

from ..decoding import NOT_JSON
from ..events import Problem, Report, ignore
from ..files import remove_tree, watched
from ..lock import lock_fd

LIMIT = 1 << 20
"""Bytes of a file after which the next one is begun."""

CONTAINER, IMAGE, VOLUME = "container", "image", "volume"
"""What something can happen to."""


class Event(msgspec.Struct, frozen=True):
    """Something that has happened.

    Attributes:
        time: nanoseconds since 1970.
        type: what it happened to: one of the above.
        action: in Docker's words, such as `die` or `exec_start: /bin/true`.
        id: of the container or image, or the name of the volume; empty for what happened to many.
        attributes: more of it, among them labels.
    """

    time: int
    type: str
    action: str
    id: str
    attributes: dict[str, str] = {}


class Journal:
    """The events of a store.

    Args:
        home: the folder of its files; it is made when there is something to note.
    """

    def __init__(self, home: str) -> None:
        self._home = home
        self.report: Report = ignore
        """Hears, once, that events cannot be noted."""

    def note(self, kind: str, action: str, name: str, attributes: Mapping[str, str] = {}) -> None:
        """Note an event; it never fails."""
        data = msgspec.json.encode(Event(time.time_ns(), kind, action, name, dict(attributes))) + b"\n"
        try:
            self._append(data)
        except OSError as error:
            report, self.report = self.report, ignore
            report(Problem(f"events are not noted: {error.strerror} ({error.filename or self._home})"))

    def _append(self, data: bytes) -> None:
        number = self._last()
        while True:
            fd = self._open(number)
            try:
                if self._is_ours(fd, number):
                    _write(fd, data)
                    return
            finally:
                os.close(fd)
            number = max(self._last(), number + 1)

    def _open(self, number: int) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        try:
            return os.open(self._path(number), flags, 0o600)
        except FileNotFoundError:
            os.mkdir(self._home, 0o700)
        except IsADirectoryError:
            remove_tree(self._path(number))
        return os.open(self._path(number), flags, 0o600)

    def _is_ours(self, fd: int, number: int) -> bool:
        """Lock a file to write to it, if that may be; one that has reached its bound is followed by the next."""
        if os.fstat(fd).st_size >= LIMIT and lock_fd(fd, fcntl.LOCK_EX, wait=False):
            if os.fstat(fd).st_nlink and not os.path.exists(self._path(number + 1)):
                os.close(self._open(number + 1))
                for old in self._numbers():
                    if old < number:
                        remove_tree(self._path(old))
            return False
        lock_fd(fd, fcntl.LOCK_SH, wait=True)
        return bool(os.fstat(fd).st_nlink) and not os.path.exists(self._path(number + 1))

    def _path(self, number: int) -> str:
        return os.path.join(self._home, str(number))

    def _numbers(self) -> list[int]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(int(name) for name in os.listdir(self._home) if name.isascii() and name.isdecimal())
        return []

    def _last(self) -> int:
        return max(self._numbers(), default=1)

    def read(self, since: int = 0) -> Iterator[Event]:
        """Yield the events that are kept, from an instant on (nanoseconds since 1970)."""
        for number in self._numbers():
            with contextlib.suppress(OSError), open(self._path(number), "rb") as file:
                yield from (event for event in _events(file) if event.time >= since)

    def follow(self, since: int | None = None, until: int = 0) -> Iterator[Event]:
        """Yield the events that are kept from an instant on, and those that come.

        Args:
            since: nanoseconds since 1970; None for only those that come.
            until: ends it at that instant; 0 for no end.
        """
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._home, 0o700)
        numbers = self._numbers()
        with watched(self._home) as changed:
            file, number = (None, 0) if since is not None else self._end(numbers)
            try:
                while True:
                    is_over = bool(until) and time.time_ns() >= until  # before the last look, so that none is missed
                    following = next((other for other in self._numbers() if other > number), None)
                    for event in _events(file) if file else ():
                        if event.time >= (since or 0) and not (until and event.time > until):
                            yield event
                    if following is not None:
                        file, number = self._opened(file, following), following
                    elif is_over:
                        return
                    else:
                        changed(max(0, until - time.time_ns()) / 1e9 if until else None)
            finally:
                if file:
                    file.close()

    def _end(self, numbers: list[int]) -> tuple[BinaryIO | None, int]:
        """Open the file that is written to at its end."""
        if not numbers:
            return None, 0
        file = self._opened(None, numbers[-1])
        if file:
            file.seek(0, os.SEEK_END)
        return file, numbers[-1]

    def _opened(self, before: BinaryIO | None, number: int) -> BinaryIO | None:
        """Open a file in place of another one; None if it is gone, or cannot be read."""
        if before:
            before.close()
        try:
            return open(self._path(number), "rb")
        except OSError:
            return None


def _write(fd: int, data: bytes) -> None:
    """Write a line at the end of a file, on a line of its own also where the last one is not whole."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        data = b"\n" + data
    os.write(fd, data)


def _events(file: BinaryIO) -> Iterator[Event]:
    """Yield the events up to the end of a file; a line that is not whole yet is left for the next time."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        with contextlib.suppress(*NOT_JSON):
            yield msgspec.json.decode(line, type=Event)
