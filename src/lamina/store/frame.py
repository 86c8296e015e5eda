"""The folders that a store stands in: whether they are there, and made anew where they are not."""

import os
from collections.abc import Callable, Iterator

from .paths import Paths


def check(paths: Paths, driver: str) -> Iterator[str]:
    """Yield what is wrong with the folders of a store, a line each. What lies in one that is damaged is not seen."""
    for path, _ in paths.folders(driver):
        if not os.path.isdir(path):
            yield f"{path} is {'no folder' if os.path.lexists(path) else 'missing'}"
    yield from (f"{path} is no folder" for path in _not_folders(paths, driver))
    if os.path.isdir(paths.lock):
        yield f"{paths.lock} is a folder"


def mend(paths: Paths, driver: str, aside: Callable[[str], None]) -> Iterator[str]:
    """Make folders that are missing, and move away what is in their places; yield what was done, a line each.

    Needs no lock and no lease, which may be what is missing.
    """
    for path, mode in paths.folders(driver):
        if not os.path.isdir(path):
            if os.path.lexists(path):
                aside(path)
            os.mkdir(path, mode)
            yield f"restored {path}: it is empty"
    for path in (*_not_folders(paths, driver), *(path for path in (paths.lock,) if os.path.isdir(path))):
        aside(path)
        yield f"quarantined {path}: it was not what it should be"


def blocked(paths: Paths, driver: str) -> str:
    """Return the first path of a folder where something else is; empty if there is none."""
    found = (path for path, _ in paths.folders(driver) if os.path.lexists(path) and not os.path.isdir(path))
    return next(found, "")


def _not_folders(paths: Paths, driver: str) -> Iterator[str]:
    """Yield the paths of folders that need not be there where something else is."""
    return (path for path in paths.optional_folders(driver) if os.path.lexists(path) and not os.path.isdir(path))
