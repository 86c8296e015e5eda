"""Events: none is lost or told twice, whoever writes and whenever a file is followed by the next."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.events import Event, Problem
from lamina.store import journal
from lamina.store.journal import Journal


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "events")


def names(home: str) -> list[str]:
    return [event.id for event in Journal(home).read()]


def await_length(lists: list[list[str]], length: int, patience: float = 20) -> None:
    end = time.monotonic() + patience
    while min(map(len, lists)) < length:
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.001)


def test_what_is_noted_is_read(home: str) -> None:
    Journal(home).note("container", "die", "one", {"exitCode": "3"})
    (event,) = Journal(home).read()
    assert (event.type, event.action, event.id, event.attributes) == ("container", "die", "one", {"exitCode": "3"})
    assert list(Journal(home).read(event.time)) == [event]
    assert list(Journal(home).read(event.time + 1)) == []


def test_half_a_line_costs_no_other(home: str) -> None:
    Journal(home).note("image", "tag", "one")
    with open(f"{home}/1", "ab") as file:
        file.write(b'{"time": 1, "ty')
    assert names(home) == ["one"]
    Journal(home).note("image", "tag", "two")
    assert names(home) == ["one", "two"]
    with open(f"{home}/1", "ab") as file:
        file.write(b"\xff\x00\n[]\n" + b"[" * 10_000 + b"\n")
    Journal(home).note("image", "tag", "three")
    assert names(home) == ["one", "two", "three"]


@pytest.mark.parametrize("name", ["1", "2"])
def test_what_takes_the_place_of_a_file(home: str, name: str) -> None:
    os.makedirs(f"{home}/{name}/inner")
    Path(home, "notes").write_text("not ours")
    Journal(home).note("image", "tag", "one")
    assert names(home) == ["one"]


def test_two_files_are_kept(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LIMIT", 500)
    for number in range(40):
        Journal(home).note("image", "tag", str(number))
    assert len(os.listdir(home)) == 2
    kept = names(home)
    assert 5 <= len(kept) < 20
    assert kept == [str(number) for number in range(40 - len(kept), 40)]


def test_a_failure_is_told_once_and_hinders_nothing(home: str) -> None:
    Path(home).write_text("in the way")
    told: list[Event] = []
    noting = Journal(home)
    noting.report = told.append
    noting.note("image", "tag", "one")
    noting.note("image", "tag", "two")
    assert told == [Problem(f"events are not noted: Not a directory ({home}/1)")]


def test_followers_hear_all_that_many_write_once(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three write at a time, and before each round but the first few lines a new file is begun; two read."""
    monkeypatch.setattr(journal, "LIMIT", 2000)
    Journal(home).note("image", "tag", "before")
    heard: list[list[str]] = [[], []]
    readies = [threading.Event(), threading.Event()]

    def follow(mine: list[str], ready: threading.Event) -> None:
        events = _begun(Journal(home).follow(), home, ready)
        for name in iter(lambda: next(events).id, "end"):
            mine += [name] * (not name.startswith("hello"))

    def write(name: str) -> None:
        for number in range(5):
            Journal(home).note("image", "tag", f"{name}-{number}", {"name": "x" * 20})

    readers = [threading.Thread(target=follow, args=pair, daemon=True) for pair in zip(heard, readies, strict=True)]
    for thread in readers:
        thread.start()
    assert all(ready.wait(20) for ready in readies)
    wanted = [f"{name}{turn}-{number}" for turn in range(20) for name in "abc" for number in range(5)]
    for turn in range(20):
        writers = [threading.Thread(target=write, args=(f"{name}{turn}",)) for name in "abc"]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        await_length(heard, 15 * (turn + 1))  # nobody falls behind by a file
    Journal(home).note("image", "tag", "end")
    for thread in readers:
        thread.join(20)
    assert min(map(int, os.listdir(home))) > 10
    for mine in heard:
        assert sorted(mine) == sorted(wanted)
        for begin in {name.partition("-")[0] for name in wanted}:  # each writer's in their order
            assert [one for one in mine if one.startswith(f"{begin}-")] == [f"{begin}-{n}" for n in range(5)]


def _begun(events: Iterator[journal.Event], home: str, ready: threading.Event) -> Iterator[journal.Event]:
    """Start to follow, and tell when that has begun: an event of ours has arrived."""
    stop = threading.Event()

    def greet() -> None:
        while not stop.wait(0.01):
            Journal(home).note("image", "tag", "hello")

    thread = threading.Thread(target=greet)
    thread.start()
    assert next(events).id.startswith("hello")
    stop.set()
    thread.join()
    ready.set()
    return events


def test_it_ends_in_time(home: str) -> None:
    assert list(Journal(home).follow(0, 1)) == []
    Journal(home).note("image", "tag", "one")
    (first,) = Journal(home).read()
    assert [event.id for event in Journal(home).follow(0, time.time_ns() + 50_000_000)] == ["one"]
    assert [event.id for event in Journal(home).follow(first.time + 1, time.time_ns())] == []
