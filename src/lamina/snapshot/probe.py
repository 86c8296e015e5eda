"""Which storage driver works on a file system: the proof is a mount there, not a list of names."""

import os
import stat

from ..errors import LaminaError
from ..files import remove_tree
from ..mount import detached
from .driver import Driver
from .erofs import Erofs
from .overlay2 import Overlay2
from .vfs import Vfs

DRIVERS = ("overlay2", "erofs", "vfs")
"""All drivers, the preferred first; the last one works everywhere."""


def make(name: str, home: str, *, privileged: bool) -> Driver:
    """Return a driver for its folder, which need not be there yet."""
    if name == "erofs":
        return Erofs(home)
    return (Overlay2 if name == "overlay2" else Vfs)(home, privileged=privileged)


def choose(folder: str, *, privileged: bool) -> tuple[str, str]:
    """Return the best driver for stores on the file system of `folder`, and the reason; nothing is left there."""
    if refusal := _refusal(folder, privileged=privileged):
        return "vfs", f"overlay2 does not work here: {refusal}"
    return "overlay2", "overlayfs mounts here"


def _refusal(folder: str, *, privileged: bool) -> str:
    """Return why overlay2 would not work, or nothing."""
    trial = os.path.join(folder, "probe")
    driver = Overlay2(trial, privileged=privileged)
    try:
        os.mkdir(trial, 0o700)
        driver.create("base", None)
        with driver.open("base") as root:
            os.mkdir(b"gone", 0o755, dir_fd=root.fd)
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
