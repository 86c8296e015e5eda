"""All repositories, in CNCF distribution's order, so that pages of one server go on at another.

The order is that of a walk over folders: component by component, by bytes. A repository is a folder that has
`_manifests`, which sorts between digits and letters: `a/1`, `a`, `a/b`, `a-b`.
"""

from bisect import bisect_left
from collections.abc import AsyncIterator

from .contract import Storage

_MARK = "_manifests"
_PARTS = ("_layers", "_manifests", "_uploads")


async def repositories(storage: Storage, last: str = "") -> AsyncIterator[str]:
    """Yield the names of repositories after `last`; only the folders on the way are read."""
    after = (*last.split("/"), _MARK) if last else ()
    async for name in _walk(storage, (), after):
        yield name


async def folders(storage: Storage) -> AsyncIterator[str]:
    """Yield the names of all folders that have something of a repository, if only an upload."""
    left = [""]
    while left:
        here = left.pop()
        names = await storage.names(here)
        if here and any(name in _PARTS for name in names):
            yield here
        left += [f"{here}/{name}" if here else name for name in reversed(names) if not name.startswith("_")]


async def _walk(storage: Storage, here: tuple[str, ...], after: tuple[str, ...]) -> AsyncIterator[str]:
    """Yield the repositories in a folder, those behind a path below it."""
    names = await storage.names("/".join(here))
    for at in range(bisect_left(names, after[0]) if after else 0, len(names)):
        name = names[at]
        rest = after[1:] if after and name == after[0] else ()
        if name == _MARK:
            if here and after[:1] != (_MARK,):
                yield "/".join(here)
        elif not name.startswith("_"):
            async for found in _walk(storage, (*here, name), rest):
                yield found
