"""Which storage driver works on a file system: the proof is a mount there, not a list of names."""

import io
import os
import stat

from ..errors import LaminaError
from ..files import remove_tree
from ..mount import detached
from ..tar.header import DIRECTORY, Entry, blocks
from .driver import Driver

DRIVERS = ("erofs", "overlay2", "vfs")
"""All drivers, the preferred first; the last one works everywhere."""

_TRIAL = b"".join([blocks(Entry(b"gone", DIRECTORY, 0o755)), blocks(Entry(b"empty")), bytes(1024)])


def make(name: str, home: str, *, privileged: bool) -> Driver:
    """Return a driver for its folder, which need not be there yet."""
    if name == "erofs":
        from .erofs import Erofs  # noqa: PLC0415 - only for stores that have it

        return Erofs(home)
    if name == "overlay2":
        from .overlay2 import Overlay2  # noqa: PLC0415

        return Overlay2(home, privileged=privileged)
    from .vfs import Vfs  # noqa: PLC0415

    return Vfs(home, privileged=privileged)


def choose(folder: str, *, privileged: bool) -> tuple[str, str]:
    """Return the best driver for stores on the file system of `folder`, and the reason; nothing is left there."""
    refusals: list[str] = []
    for name in DRIVERS[:-1]:
        found = refusal(name, folder, privileged=privileged)
        if not found:
            return name, "; ".join([f"{name} mounts here", *refusals])
        refusals.append(f"{name} does not work here: {found}")
    return DRIVERS[-1], "; ".join(refusals)


def refusal(name: str, folder: str, *, privileged: bool) -> str:
    """Return why a driver would not work on the file system of `folder`, or nothing; nothing is left there."""
    if name == DRIVERS[-1]:
        return ""
    trial = os.path.join(folder, "probe")
    driver = make(name, trial, privileged=privileged)
    try:
        os.mkdir(trial, 0o700)
        driver.create("base", None)
        driver.commit("base", None, driver.apply("base", io.BytesIO(_TRIAL)))
        driver.prepare("top", "base")
        fd = detached(driver.mount("top"))
        try:
            os.rmdir("gone", dir_fd=fd)
        finally:
            os.close(fd)
        with driver.open("top") as root:
            is_device = stat.S_ISCHR(os.lstat("gone", dir_fd=root.fd).st_mode)
        return "" if is_device else "its whiteouts are no devices"
    except (LaminaError, OSError) as error:
        return str(error)
    finally:
        remove_tree(trial)
