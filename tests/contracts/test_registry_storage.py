"""The contract of the registry's storage, proved for each implementation."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from lamina.oci import digest
from lamina.oci.digest import Digest
from lamina.registry.bodies import Body
from lamina.registry.contract import Busy, Missing, Storage, WrongContent, WrongOffset
from lamina.registry.filesystem import Filesystem
from lamina.registry.memory import Memory

MAKE: dict[str, Callable[[Path], Storage]] = {
    "filesystem": lambda folder: Filesystem(str(folder)),
    "memory": lambda _: Memory(),
}
ID = "0b4f0a6c-8a5f-4d0e-9d3c-0f5f6a6b7c8d"
ABSENT = digest.of(b"absent")


@pytest.fixture(params=MAKE)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
    return lambda: MAKE[request.param](tmp_path)


def run(make: Callable[[], Storage], test: Callable[[Storage], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(make())

    asyncio.run(main())


def body(*pieces: bytes) -> Body:
    async def each() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return Body(each())


async def content(storage: Storage, wanted: Digest) -> bytes:
    blob = await storage.open(wanted)
    try:
        return await blob.read(0, blob.size)
    finally:
        blob.close()


async def every(storage: Storage) -> list[Digest]:
    return [each async for each in storage.digests()]


def test_documents(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        await storage.write(
            [("a/_x/one/link", b"1"), ("a/_x/two/link", b"2"), ("a/b/_x/link", b""), ("a/_x/one/link", b"3")]
        )
        assert await storage.read("a/_x/one/link") == b"3"
        assert await storage.read("a/b/_x/link") == b""
        assert await storage.names("a") == ["_x", "b"]
        assert await storage.names("a/_x") == ["one", "two"]
        assert await storage.names("") == ["a"]
        assert await storage.names("a/none") == []
        assert abs(await storage.modified("a/_x/two/link") - time.time()) < 60
        large = bytes(range(256)) * 100
        await storage.write([("a/large", large)])
        assert await storage.read("a/large") == large

    run(make, test)


def test_documents_that_are_not_there(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        await storage.write([("a/folder/link", b"1")])
        for path in ("b", "a/folder", "a/folder/link/below"):
            with pytest.raises(Missing):
                await storage.read(path)
        with pytest.raises(Missing):
            await storage.modified("b")
        with pytest.raises(Missing):
            await storage.renew("b")
        await storage.remove("b")

    run(make, test)


def test_removal(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        await storage.write(
            [("a/t/1/link", b"1"), ("a/t/11/link", b"2"), ("a/t/2/link", b"3"), ("a/t/2/more/link", b"4")]
        )
        await storage.remove("a/t/1")
        assert await storage.names("a/t") == ["11", "2"]
        await storage.remove("a/t/2/link")
        assert await storage.names("a/t/2") == ["more"]
        await storage.write([("a/t/1/link", b"5")])
        assert await storage.read("a/t/1/link") == b"5"

    run(make, test)


def test_blobs(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        one = digest.of(b"one")
        long = Digest("sha512:" + hashlib.sha512(b"one").hexdigest())
        await storage.put(one, b"one")
        await storage.put(one, b"one")
        await storage.put(long, b"one")
        assert await content(storage, one) == await content(storage, long) == b"one"
        assert await storage.size(one) == 3
        assert await every(storage) == [one, long]
        assert await storage.touch([ABSENT, one]) == [ABSENT]
        for missing in (storage.size, storage.open):
            with pytest.raises(Missing):
                await missing(ABSENT)

    run(make, test)


def test_what_is_open_stays_whole(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        one = digest.of(b"one")
        await storage.put(one, b"one")
        blob = await storage.open(one)
        async with storage.collecting() as now:
            assert await storage.discard(one, now + 1000) == 3
        assert await blob.read(1, 10) == b"ne"
        blob.close()
        assert await every(storage) == []

    run(make, test)


def test_what_is_new_or_touched_is_not_discarded(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        one = digest.of(b"one")
        await storage.put(one, b"one")
        async with storage.collecting() as now:
            assert await storage.discard(one, now - 1000) is None
            assert await storage.discard(ABSENT, now + 1000) is None
            assert await storage.discard(one, now + 1000, pretend=True) == 3
        async with storage.pushing():
            assert await storage.touch([one]) == []
        async with storage.collecting() as later:
            assert later >= now
            assert await storage.discard(one, now) is None
        assert await content(storage, one) == b"one"

    run(make, test)


def test_collection_waits_for_pushes(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        order: list[str] = []

        async def collect() -> None:
            async with storage.collecting():
                order.append("collected")

        async with storage.pushing(), storage.pushing():
            waiting = asyncio.create_task(collect())
            for _ in range(20):
                await asyncio.sleep(0)
            order.append("pushed")
        await waiting
        assert order == ["pushed", "collected"]

    run(make, test)


def test_an_upload_in_pieces(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        wanted = digest.of(b"hello, world")
        await storage.begin("a/b", ID)
        assert await storage.arrived("a/b", ID) == 0
        assert await storage.append("a/b", ID, 0, body(b"hel", b"lo")) == 5
        assert await storage.append("a/b", ID, 5, body(), "sha512") == 5
        assert await storage.append("a/b", ID, 5, body(b", world")) == 12
        (upload,) = await storage.uploads("a/b")
        assert (upload.identity, upload.repository) == (ID, "a/b")
        assert abs(upload.started - time.time()) < 60
        assert await storage.commit("a/b", ID, wanted, [("a/b/link", b"x")]) == 12
        assert await content(storage, wanted) == b"hello, world"
        assert await storage.read("a/b/link") == b"x"
        assert await storage.uploads("a/b") == []
        for gone in (storage.arrived("a/b", ID), storage.cancel("a/b", ID), storage.append("a/b", ID, 0, body())):
            with pytest.raises(Missing):
                await gone

    run(make, test)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_upload_of_another_algorithm_than_expected(make: Callable[[], Storage], algorithm: str) -> None:
    async def test(storage: Storage) -> None:
        for said in ("sha256", "sha512"):
            wanted = Digest(f"{algorithm}:{hashlib.new(algorithm, b'data').hexdigest()}")
            await storage.begin("a", ID)
            await storage.append("a", ID, 0, body(b"data"), said)
            await storage.commit("a", ID, wanted, [])
            assert await content(storage, wanted) == b"data"

    run(make, test)


def test_wrong_pieces(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        await storage.begin("a", ID)
        await storage.append("a", ID, 0, body(b"12345"))
        for offset in (0, 4, 6):
            with pytest.raises(WrongOffset) as wrong:
                await storage.append("a", ID, offset, body(b"x"))
            assert wrong.value.size == 5
        assert await storage.arrived("a", ID) == 5
        with pytest.raises(WrongContent):
            await storage.commit("a", ID, ABSENT, [("a/link", b"")])
        assert await every(storage) == []
        with pytest.raises(Missing):
            await storage.read("a/link")

    run(make, test)


def test_a_body_that_breaks_off_leaves_what_came(make: Callable[[], Storage]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"hel"
        raise ConnectionResetError

    async def test(storage: Storage) -> None:
        await storage.begin("a", ID)
        with pytest.raises(ConnectionResetError):
            await storage.append("a", ID, 0, Body(broken()))
        assert await storage.arrived("a", ID) == 3
        await storage.append("a", ID, 3, body(b"lo"))
        await storage.commit("a", ID, digest.of(b"hello"), [])
        assert await content(storage, digest.of(b"hello")) == b"hello"

    run(make, test)


def test_pieces_never_mix(make: Callable[[], Storage]) -> None:
    """While one request adds to an upload, no other one may add, commit or finish it."""

    async def test(storage: Storage) -> None:
        go = asyncio.Event()
        inside = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"one"
            inside.set()
            await go.wait()
            yield b"two"

        await storage.begin("a", ID)
        first = asyncio.create_task(storage.append("a", ID, 0, Body(slow())))
        await inside.wait()
        with pytest.raises((Busy, WrongOffset)):
            await storage.append("a", ID, 0, body(b"x"))
        with pytest.raises(Busy):
            await storage.commit("a", ID, digest.of(b"one"), [])
        go.set()
        assert await first == 6
        await storage.commit("a", ID, digest.of(b"onetwo"), [])

    run(make, test)


def test_the_same_blob_twice(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        for name in ("a", "b"):
            await storage.begin(name, ID)
            await storage.append(name, ID, 0, body(b"same"))
            assert await storage.commit(name, ID, digest.of(b"same"), [(f"{name}/link", b"")]) == 4
        assert await every(storage) == [digest.of(b"same")]

    run(make, test)


def test_cancel(make: Callable[[], Storage]) -> None:
    async def test(storage: Storage) -> None:
        await storage.begin("a", ID)
        await storage.append("a", ID, 0, body(b"same"))
        await storage.cancel("a", ID)
        assert await storage.uploads("a") == []
        with pytest.raises(Missing):
            await storage.commit("a", ID, digest.of(b"same"), [])

    run(make, test)
