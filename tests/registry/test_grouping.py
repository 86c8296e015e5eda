"""What several requests write at the same time."""

import asyncio
import os
import pathlib
from collections.abc import AsyncIterator

import pytest

from lamina.oci import digest
from lamina.registry import paths
from lamina.registry.bodies import Body
from lamina.registry.filesystem import Filesystem


def test_a_failure_is_told_to_whom_it_concerns(tmp_path: pathlib.Path) -> None:
    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        await storage.write([("a/document", b"is no folder")])
        names = ["before/it", "a/document/below", "behind/it"]
        found = await asyncio.gather(*(storage.write([(path, b"x")]) for path in names), return_exceptions=True)
        assert [type(error) for error in found] == [type(None), NotADirectoryError, type(None)]
        assert [await storage.read(path) for path in ("before/it", "behind/it")] == [b"x", b"x"]
        assert await storage.read("a/document") == b"is no folder"

    asyncio.run(test())
    assert not list(tmp_path.rglob("*.tmp"))


def test_whatever_fails_is_told(tmp_path: pathlib.Path) -> None:
    """Not only what the disk refuses: nobody waits for ever, and the next ones are served."""

    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        names = ["good/one", "a\0b/no name", "good/two"]
        async with asyncio.timeout(20):
            found = await asyncio.gather(*(storage.write([(path, b"x")]) for path in names), return_exceptions=True)
            assert [type(error) for error in found] == [type(None), ValueError, type(None)]
            await storage.write([("good/three", b"x")])
        assert await storage.read("good/three") == b"x"

    asyncio.run(test())


def test_the_last_one_counts(tmp_path: pathlib.Path) -> None:
    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        await asyncio.gather(*(storage.write([("a/tag", b"%d" % number)]) for number in range(20)))
        assert await storage.read("a/tag") == b"19"

    asyncio.run(test())


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced, by path, as it happens."""
    found: list[str] = []
    sync = os.fsync

    def noted(fd: int) -> None:
        found.append(os.readlink(f"/proc/self/fd/{fd}"))
        sync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    return found


def test_who_writes_at_the_same_time_waits_together(tmp_path: pathlib.Path, synced: list[str]) -> None:
    """A folder is synced once for all who write to it while the first one waits."""

    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        await asyncio.gather(*(storage.write([(f"all/{number}", b"x")]) for number in range(20)))

    asyncio.run(test())
    files = [path for path in synced if path.endswith(".tmp")]
    folders = [path for path in synced if path.endswith("/all")]
    assert (len(files), len(folders)) == (20, 1)


@pytest.mark.parametrize("way", ["upload", "put"])
def test_what_another_one_has_just_brought(tmp_path: pathlib.Path, synced: list[str], way: str) -> None:
    """A blob that another server has put in place may have a name that is not on disk yet: who relies on it waits."""
    name = digest.of(b"same")
    folder = tmp_path / paths.blob(name)

    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        if way == "upload":
            await storage.begin("a", "1")
            await storage.append("a", "1", 0, Body(pieces(b"same")))
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(b"same")
        if way == "upload":
            await storage.commit("a", "1", name, [("a/link", b"x")])
        else:
            await storage.put(name, b"same", [("a/link", b"x")])

    asyncio.run(test())
    assert {str(folder), str(folder.parent), str(folder.parent.parent)} <= set(synced)


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def test_who_is_cancelled_has_waited(tmp_path: pathlib.Path) -> None:
    """What a request has lent to a group is in use until the group is done; the others hear nothing of it."""

    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        first, second = (asyncio.create_task(storage.write([(path, b"x")])) for path in ("first", "second"))
        await asyncio.sleep(0)  # both have begun
        second.cancel()
        await first
        with pytest.raises(asyncio.CancelledError):
            await second
        assert await storage.read("second") == b"x"

    asyncio.run(test())


def test_an_end_in_the_middle_is_an_end(tmp_path: pathlib.Path) -> None:
    """A loop that ends cancels who waits and who works; what was begun is whole."""

    async def test() -> None:
        storage = Filesystem(str(tmp_path))
        waiting = [asyncio.create_task(storage.write([(f"a/{number}", b"x")])) for number in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)

    asyncio.run(test())
    assert not list(tmp_path.rglob("*.tmp"))
