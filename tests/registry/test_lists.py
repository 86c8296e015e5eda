"""Pages of lists: they begin anywhere, follow each other without gaps, and hold up nobody."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from lamina.registry import catalog, paths
from lamina.registry.memory import Memory
from lamina.registry.repository import Cache, Repository

NAMES = st.lists(st.sampled_from(["a", "b", "a-b", "a.b", "0", "z_z"]), min_size=1, max_size=4).map("/".join)


class Counting(Memory):
    """A storage that knows which folders were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def names(self, folder: str) -> list[str]:
        self.asked.append(folder)
        return await super().names(folder)


async def every(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]


def key(name: str) -> tuple[str, ...]:
    return (*name.split("/"), "_manifests")


@given(st.sets(NAMES), NAMES | st.sampled_from(["", "a/", "/", "a//b", "_manifests", "a/_manifests", "A", "\u00e9"]))
def test_repositories_after_any_name(names: set[str], last: str) -> None:
    async def test() -> None:
        storage = Memory()
        await storage.write([(paths.current(name, "t"), b"") for name in names])
        found = await every(catalog.repositories(storage, last))
        assert found == [name for name in sorted(names, key=key) if not last or key(name) > key(last)]

    asyncio.run(test())


def test_folders_that_are_not_on_the_way_are_not_read() -> None:
    async def test() -> None:
        storage = Counting()
        names = [f"{group}/{number}" for group in "abc" for number in range(5)]
        await storage.write([(paths.current(name, "t"), b"") for name in names])
        found = catalog.repositories(storage, "b/2")
        assert [await anext(found) for _ in range(2)] == ["b/3", "b/4"]
        assert storage.asked == ["", "b", "b/2", "b/3", "b/4"]

    asyncio.run(test())


def test_tags_after_any_name() -> None:
    async def test() -> None:
        storage = Memory()
        await storage.write([(paths.current("a", tag), b"") for tag in ("1", "2", "B", "a")])
        await storage.write([(paths.history("a", "3") + "/x", b"")])  # half removed
        repository = Repository(storage, "a", Cache())
        for last, want in (("", "12Ba"), ("1", "2Ba"), ("20", "Ba"), ("3", "Ba"), ("a", ""), ("z", "")):
            assert "".join(await every(repository.tags(last))) == want

    asyncio.run(test())


def test_others_get_their_turn() -> None:
    async def test() -> None:
        storage = Memory()
        await storage.write([(paths.current("a", f"t{number}"), b"") for number in range(1000)])
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        working = asyncio.create_task(other())
        assert len(await every(Repository(storage, "a", Cache()).tags())) == 1000
        working.cancel()
        assert turns >= 4

    asyncio.run(test())
