"""Processes that share work and say how far they are. `test_crew` runs these in a process without threads."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from lamina.errors import NotFound, Unavailable
from lamina.events import Event, Problem, Progress, Report, Status, ignore
from lamina.streams import DigestMismatch
from lamina.transfer.crew import Permits, crew

SHAPES = pytest.mark.parametrize(("processes", "threads"), [(2, 1), (1, 2), (2, 2)])


@SHAPES
def test_each_number_once_and_none_here(processes: int, threads: int) -> None:
    made = dict(
        crew(20, lambda number, _: (number * number, os.getpid()), tuple[int, int], processes, ignore, threads=threads)
    )
    assert {number: square for number, (square, _) in made.items()} == {number: number**2 for number in range(20)}
    assert os.getpid() not in {process for _, process in made.values()}


def test_the_threads_of_a_process_work_together() -> None:
    together = threading.Barrier(3)

    def work(_: int, __: Report) -> int:
        together.wait(30)
        return os.getpid()

    assert len(set(dict(crew(3, work, int, 1, ignore, threads=3)).values())) == 1


def test_one_is_not_worth_a_fork() -> None:
    assert dict(crew(1, lambda _, __: os.getpid(), int, 3, ignore)) == {0: os.getpid()}


def test_permits_are_for_all_processes_together() -> None:
    with Permits(2) as permits:

        def work(number: int, _: Report) -> bool:
            give_back = permits.spare()
            if give_back:
                give_back()
            return give_back is not None

        with permits.one(), permits.one():
            assert set(dict(crew(6, work, bool, 3, ignore)).values()) == {False}
        with pytest.raises(KeyError), permits.one():
            raise KeyError
        with permits.one():
            assert set(dict(crew(1, work, bool, 3, ignore)).values()) == {True}


@pytest.fixture
def beside() -> Iterator[None]:
    """Have another thread, which has to be the only one at the end."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        yield
        assert threading.active_count() == 2
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("beside")
class TestBesideThreads:
    def test_nothing_is_forked_and_all_work_at_once(self) -> None:
        together = threading.Barrier(3)

        def work(number: int, report: Report) -> int:
            together.wait(30)
            report(Status(str(number)))
            return os.getpid()

        heard: list[tuple[Event, int]] = []
        found = dict(crew(6, work, int, 3, lambda event: heard.append((event, threading.get_ident()))))
        assert found == dict.fromkeys(range(6), os.getpid())
        assert {event for event, _ in heard} == {Status(str(number)) for number in range(6)}
        assert {thread for _, thread in heard} == {threading.get_ident()}

    def test_permits(self) -> None:
        """One that waits gets the permit of one that fails, and ends by its next word."""
        with Permits(1) as permits:
            waiting = threading.Barrier(2)

            def work(number: int, report: Report) -> int:
                if number:
                    waiting.wait(30)
                with permits.one():
                    report(Status(str(number)))
                    if not number:
                        waiting.wait(30)
                        raise NotFound("gone")
                return number

            with pytest.raises(NotFound):
                list(crew(2, work, int, 2, ignore))
            assert permits.spare()

    def test_the_first_error_ends_the_others(self) -> None:
        """One that waits is ended by `stop`, one that works by its next word."""
        stopped, at_work = threading.Event(), threading.Barrier(3)

        def work(number: int, report: Report) -> None:
            at_work.wait(30)
            if not number:
                raise NotFound("nothing")
            while number == 1:
                report(Status("on and on"))
            stopped.wait()

        with pytest.raises(NotFound, match="nothing"):
            list(crew(9, work, type(None), 3, ignore, stopped.set))

    def test_leaving_off_ends_them(self) -> None:
        stopped = threading.Event()
        members = crew(3, lambda number, _: number and stopped.wait(), int, 2, ignore, stopped.set)
        with contextlib.closing(members):
            assert next(members) == (0, 0)

    def test_nothing_is_stopped_at_a_good_end(self) -> None:
        stopped = threading.Event()
        assert len(dict(crew(5, lambda number, _: number, int, 3, ignore, stopped.set))) == 5
        assert not stopped.is_set()


@SHAPES
def test_what_all_say_is_heard_here(processes: int, threads: int) -> None:
    def work(number: int, report: Report) -> None:
        report(Status("begun", str(number)))
        for at in range(1001):
            report(Progress(str(number), "Downloading", at, 1000))
        report(Problem("x" * 100_000))

    heard: list[Event] = []
    assert set(dict(crew(2, work, type(None), processes, heard.append, threads=threads))) == {0, 1}
    assert {event for event in heard if isinstance(event, Status)} == {Status("begun", "0"), Status("begun", "1")}
    progress = [event for event in heard if isinstance(event, Progress)]
    assert {event.subject for event in progress if event.current == event.total} == {"0", "1"}
    assert len(progress) < 200  # not a word for each piece
    assert [event.text for event in heard if isinstance(event, Problem)] == ["x" * 100_000] * 2


@pytest.mark.parametrize(
    "error", [NotFound("nothing"), DigestMismatch("layer", "a", "b"), PermissionError(13, "Permission denied", "/x")]
)
@SHAPES
def test_an_error_is_raised_here(error: Exception, processes: int, threads: int) -> None:
    def work(number: int, _: Report) -> int:
        if number == 3:
            raise error
        return number

    with pytest.raises(type(error)) as caught:
        list(crew(10, work, int, processes, ignore, threads=threads))
    assert str(caught.value) == str(error)


@SHAPES
@pytest.mark.parametrize("is_killed", [True, False])
def test_one_that_is_killed_or_breaks_is_told(processes: int, threads: int, is_killed: bool) -> None:
    """Whatever thread of it that happens in."""
    for broken in range(4):

        def work(number: int, _: Report, broken: int = broken) -> int:
            if number == broken and is_killed:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == broken:
                raise ArithmeticError
            return number

        with pytest.raises(Unavailable, match="was killed"):
            list(crew(4, work, int, processes, ignore, threads=threads))


@SHAPES
def test_leaving_off_ends_them(processes: int, threads: int) -> None:
    read, write = os.pipe()

    def work(number: int, _: Report) -> int:
        if number:
            os.close(read)
            signal.pause()
        return number

    with contextlib.closing(crew(2, work, int, processes, ignore, threads=threads)) as members:
        assert next(members) == (0, 0)
    os.close(write)
    assert os.read(read, 1) == b""  # nobody else has it open
    os.close(read)
