"""Blobs that came in part."""

import io
import multiprocessing
import os
import pathlib

from lamina.oci import digest
from lamina.streams import chunks
from lamina.transfer.partial import Arriving, Partials
from lamina.transfer.policy import Policy

ONE, TWO, THREE = (digest.of(bytes([number])) for number in range(3))


def _bring(folder: pathlib.Path, content: str, data: bytes, *, done: bool = False) -> list[str]:
    waited: list[str] = []
    with Partials(str(folder)).held([digest.parse(content)], waited.append) as held:
        partial = held[digest.parse(content)]
        for _ in chunks(Arriving(partial, io.BytesIO(data), partial.size)):
            pass
        if done:
            partial.remove()
    return waited


def test_what_came_stays_and_is_read_first(tmp_path: pathlib.Path) -> None:
    _bring(tmp_path, ONE, b"begin")
    with Partials(str(tmp_path)).held([ONE], lambda _: None) as held:
        arriving = Arriving(held[ONE], io.BytesIO(b"end"), held[ONE].size)
        assert b"".join(chunks(arriving, 3)) == b"beginend"
        assert held[ONE].size == 8
        held[ONE].clear()
    assert not os.listdir(tmp_path)  # nothing came


def test_a_blob_that_is_in_is_gone_or_moved(tmp_path: pathlib.Path) -> None:
    _bring(tmp_path / "partial", ONE, b"x", done=True)
    with Partials(str(tmp_path / "partial")).held([TWO], lambda _: None) as held:
        held[TWO].append(b"whole")
        held[TWO].move(str(tmp_path / "blobs" / "two"))
    assert (tmp_path / "blobs" / "two").read_bytes() == b"whole"
    assert not os.listdir(tmp_path / "partial")


def test_one_at_a_time_has_a_blob(tmp_path: pathlib.Path) -> None:
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()

    def other() -> None:
        waiting: list[str] = []

        def wait(content: str) -> None:
            waiting.append(content)
            theirs.send("waits")

        theirs.recv()
        with Partials(str(tmp_path)).held([ONE, TWO], wait) as held:
            theirs.send((waiting, held[ONE].size))

    process = fork.Process(target=other)
    process.start()  # before there is a lock, which it would have, too
    with Partials(str(tmp_path)).held([ONE], lambda _: None) as held:
        ours.send("go")
        assert ours.recv() == "waits"
        held[ONE].append(b"one")
        assert not [found for found, _ in Partials(str(tmp_path)).prune(Policy(), every=True) if found == ONE]
        held[ONE].remove()
    assert ours.recv() == ([ONE], 0)  # it looks for the file anew
    process.join()


def test_bounds(tmp_path: pathlib.Path) -> None:
    for content, size, age in ((ONE, 10, 0), (TWO, 10, 50), (THREE, 10, 5000)):
        _bring(tmp_path, content, bytes(size))
        path = tmp_path / content.replace(":", "-")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    partials = Partials(str(tmp_path))
    assert partials.prune(Policy(partial=100, age=1000)) == [(THREE, 10)]
    assert partials.prune(Policy(partial=15, age=1000)) == [(TWO, 10)]
    assert partials.prune(Policy(partial=15, age=1000)) == []
    assert [found for found, *_ in partials.list()] == [ONE]
    assert partials.prune(Policy(), every=True) == [(ONE, 10)]


def test_strange_names_are_passed_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / "README").write_text("x")
    assert list(Partials(str(tmp_path)).list()) == []
    assert Partials(str(tmp_path)).prune(Policy(), every=True) == []
