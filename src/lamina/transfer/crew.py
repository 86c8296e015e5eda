"""Work shared by forked processes that say how far they are; see `processes` for the like without a word.

Where there are threads already, threads do it: see `threads`.

A process of the crew takes numbers as it becomes free, in each of its threads if it has several, and writes to a pipe
what happens: what it made, what it reports, or why it failed. This process reads, and does nothing else meanwhile.

    <length, 4 bytes> <msgpack of one of the messages below>

`Permits` bound how many of a crew do something at a time.
"""

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import Generic, Self, TypeVar

import msgspec

from ..errors import LaminaError, Unavailable
from ..events import Event, Problem, Progress, Report, Status, sparing
from ..files import libc

Made = TypeVar("Made")

_PR_SET_PDEATHSIG = 1
_PIECE = 1 << 16


class _Made(msgspec.Struct, tag=True, array_like=True):
    number: int
    value: msgspec.Raw


class _Status(msgspec.Struct, tag=True, array_like=True):
    text: str
    subject: str


class _Progress(msgspec.Struct, tag=True, array_like=True):
    subject: str
    action: str
    current: int
    total: int


class _Problem(msgspec.Struct, tag=True, array_like=True):
    text: str


class _Failed(msgspec.Struct, tag=True, array_like=True):
    module: str
    name: str
    text: str
    number: int = 0
    path: str = ""


_Message = _Made | _Status | _Progress | _Problem | _Failed


def crew(
    count: int,
    work: Callable[[int, Report], Made],
    kind: type[Made],
    most: int,
    report: Report,
    stop: Callable[[], None] = lambda: None,
    threads: int = 1,
) -> Generator[tuple[int, Made], None, None]:
    """Call `work` with each number below `count`; yield the number and what was made, as it comes.

    The first error ends the crew, and is raised here; so does leaving off before the end. No process of the crew
    outlives this one. Nothing is forked where other threads run, as they may hold locks: then threads do the work, and
    a word of theirs raises `Cancelled` once the crew has ended. For one number there is neither.

    Args:
        count: at most 65536 bytes of a pipe hold: 32768.
        work: what it makes must be a value that msgspec can encode.
        kind: of what it makes.
        most: processes, or threads, at a time.
        report: hears what all of them say, called in this thread alone.
        stop: ends what threads wait for, where the crew ends early.
        threads: of each process. One with several can be ended like any other, whatever its threads wait for.
    """
    if count < 2 or most * threads < 2:
        for number in range(count):
            yield number, work(number, report)
        return
    if len(os.listdir("/proc/self/task")) > 1:
        from . import threads as beside  # noqa: PLC0415 - the command line has none

        yield from beside.threads(count, work, most * threads, report, stop)
        return
    with contextlib.ExitStack() as stack:
        numbers = stack.enter_context(_numbers(count))
        members = [stack.enter_context(_Member(numbers, work, kind, threads)) for _ in range(min(most, count))]
        yield from _heard(members, report)


class Permits:
    """Leave to do something, for so many at a time of a crew's members: a context manager, around the crew.

    A pipe has a byte for each, which whoever takes one gives back.
    """

    def __init__(self, count: int) -> None:
        self._left, self._back = os.pipe()
        os.set_blocking(self._left, False)
        os.write(self._back, bytes(count))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._left)
        os.close(self._back)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Have one for the length of a block; wait until there is one."""
        while (give_back := self.spare()) is None:
            select.select([self._left], [], [])
        try:
            yield
        finally:
            give_back()

    def spare(self) -> Callable[[], None] | None:
        """Have one if nobody has it; return what gives it back."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._left, 1)
            return self._give_back
        return None

    def _give_back(self) -> None:
        os.write(self._back, b"\0")


@contextlib.contextmanager
def _numbers(count: int) -> Iterator[int]:
    """Open a pipe with all numbers in it, two bytes each: whoever reads one has it alone."""
    numbers, end = os.pipe()
    try:
        os.write(end, b"".join(number.to_bytes(2) for number in range(count)))
        os.close(end)
        yield numbers
    finally:
        os.close(numbers)


def _heard(members: "list[_Member[Made]]", report: Report) -> Iterator[tuple[int, Made]]:
    """Pass on what the members say until none says more."""
    left = {member.words: member for member in members}
    while left:
        for fd in select.select(list(left), [], [])[0]:
            member = left[fd]
            messages = member.read()
            if messages is None:
                del left[fd]
                continue
            for message in messages:
                if isinstance(message, _Made):
                    yield message.number, member.value(message)
                elif isinstance(message, _Failed):
                    raise _revived(message)
                else:
                    report(_event(message))


class _Member(Generic[Made]):
    """A forked process, and the pipe that its words come over."""

    def __init__(self, numbers: int, work: Callable[[int, Report], Made], kind: type[Made], threads: int) -> None:
        self.words, end = os.pipe()
        self._kind = kind
        self._rest = b""
        self._done = False
        parent = os.getpid()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._pid = os.fork()
        if self._pid == 0:
            _be_member(parent, numbers, work, end, threads)
        os.close(end)

    def read(self) -> list[_Message] | None:
        """Return the messages that have come, None when there will be no more.

        Raises:
            Unavailable: the process was killed.
        """
        data = os.read(self.words, _PIECE)
        if not data:
            _, status = os.waitpid(self._pid, 0)
            self._done = True
            if status:
                raise Unavailable("a process of the transfer was killed: is the machine short of memory?")
            return None
        data = self._rest + data
        found: list[_Message] = []
        at = 0
        while len(data) - at >= 4 and len(data) - at - 4 >= (size := int.from_bytes(data[at : at + 4])):
            found.append(msgspec.msgpack.decode(data[at + 4 : at + 4 + size], type=_Message))
            at += 4 + size
        self._rest = data[at:]
        return found

    def value(self, message: _Made) -> Made:
        """Return what was made."""
        return msgspec.msgpack.decode(message.value, type=self._kind)

    def __enter__(self) -> "_Member[Made]":
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill the process if it runs yet."""
        os.close(self.words)
        if not self._done:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _be_member(parent: int, numbers: int, work: Callable[[int, Report], object], words: int, threads: int) -> None:
    """Do the work of a member, and end without a trace of having been a copy of another process."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends us
        libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        speech = _Speech(words)
        if os.getppid() == parent:
            others = [threading.Thread(target=_work, args=(numbers, work, speech)) for _ in range(threads - 1)]
            for other in others:
                other.start()
            _work(numbers, work, speech)
            for other in others:
                other.join()
            status = 0
    except BaseException:  # noqa: BLE001 - nothing may leave this process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _work(numbers: int, work: Callable[[int, Report], object], speech: "_Speech") -> None:
    """Take numbers as long as there are any, and say what comes of them."""
    report = sparing(speech.report)
    try:
        try:
            while taken := os.read(numbers, 2):
                number = int.from_bytes(taken)
                speech.say(_Made(number, msgspec.Raw(msgspec.msgpack.encode(work(number, report)))))
        except (LaminaError, OSError) as error:
            speech.say(_described(error))
    except BaseException:  # noqa: BLE001 - whatever thread it is, all of this process has failed
        sys.excepthook(*sys.exc_info())
        os._exit(1)


class _Speech:
    """What a member says."""

    def __init__(self, words: int) -> None:
        self._words = words
        self._lock = threading.Lock()  # one message after the other

    def report(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, Progress):
            self.say(_Progress(event.subject, event.action, event.current, event.total))
        elif isinstance(event, Status):
            self.say(_Status(event.text, event.subject))
        elif isinstance(event, Problem):
            self.say(_Problem(event.text))

    def say(self, message: _Message) -> None:
        """Write a message."""
        body = msgspec.msgpack.encode(message)
        data = memoryview(len(body).to_bytes(4) + body)
        with self._lock:
            while data:
                data = data[os.write(self._words, data) :]


def _event(message: _Status | _Progress | _Problem) -> Event:
    if isinstance(message, _Progress):
        return Progress(message.subject, message.action, message.current, message.total)
    return Status(message.text, message.subject) if isinstance(message, _Status) else Problem(message.text)


def _described(error: Exception) -> _Failed:
    kind = type(error)
    if isinstance(error, OSError):
        path = error.filename if isinstance(error.filename, str) else ""
        return _Failed("", "", error.strerror or str(error), error.errno or 0, path)
    return _Failed(kind.__module__, kind.__qualname__, str(error))


def _revived(failed: _Failed) -> Exception:
    """Return a member's error as one of this process; only its class and its text are kept."""
    if not failed.module:
        return OSError(failed.number, failed.text, failed.path or None)
    kind = getattr(import_module(failed.module), failed.name, Unavailable)
    error: Exception = kind.__new__(kind)
    error.args = (failed.text,)
    return error
