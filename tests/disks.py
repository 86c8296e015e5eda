"""Small disks in memory: a file system over a loop device over a file in tmpfs.

For tests that fill a disk, and for benchmarks that must not measure the machine's own. The file has no name any
more once it is mounted, and the kernel frees the loop device with the mount: what is unmounted is gone.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from tests import traces
from tests.peers import Tool

MEMORY = "/dev/shm"

_MAKE = {
    # all of the disk for everybody, and no thread that initialises it behind a benchmark's back
    "ext4": (
        ["-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"],
        "noatime,noinit_itable",
    ),
    "xfs": (["-q", "-K"], "noatime"),
}


def missing(kind: str = "ext4") -> str:
    """Return why disks of a kind cannot be made here, or nothing."""
    if os.geteuid():
        return f"{kind} disks: need root"
    if not os.path.exists("/dev/loop-control"):
        return f"{kind} disks: no loop devices"
    return Tool(f"mkfs.{kind}").missing()


def ext4(size: int, folder: str | None = None) -> contextlib.AbstractContextManager[str]:
    """Mount a new ext4 of `size` bytes (2 MiB or more) on `folder`, or on a temporary one; see `disk`."""
    return disk("ext4", size, folder)


def xfs(size: int, folder: str | None = None) -> contextlib.AbstractContextManager[str]:
    """Mount a new XFS of `size` bytes (300 MiB or more) on `folder`, or on a temporary one; see `disk`."""
    return disk("xfs", size, folder)


@contextlib.contextmanager
def memory(driver: str) -> Iterator[str]:
    """Make a folder in memory for a store with a storage driver; for erofs a disk: it mounts nothing from tmpfs."""
    with ext4(512 << 20) if driver == "erofs" else tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield folder


@contextlib.contextmanager
def disk(kind: str, size: int, folder: str | None = None) -> Iterator[str]:
    """Mount a new file system of `size` bytes while the block runs; yields the folder it is mounted on.

    A folder that was not there is made, and removed at the end. Memory is taken as the disk is written.

    Raises:
        Failed: it cannot be made.
        OSError: at the end of a block that ended well: something is mounted below it.
    """
    made = folder is None or not os.path.exists(folder)
    place = traces.private() if folder is None else folder
    os.makedirs(place, exist_ok=True)
    keep = {mount.id for mount in traces.mounts(place)}
    try:
        _mount(kind, size, place)
        yield place
        if below := [mount.point for mount in traces.mounts(place) if mount.id not in keep][1:]:
            raise OSError(f"still mounted below {place}: {', '.join(below)}")
    finally:
        traces.unmount(place, keep=keep)
        if made:
            os.rmdir(place)


def _mount(kind: str, size: int, place: str) -> None:
    options, mount = _MAKE[kind]
    with tempfile.NamedTemporaryFile(prefix=f"lamina-{os.getpid()}-", suffix=f".{kind}", dir=MEMORY) as file:
        file.truncate(size)
        Tool(f"mkfs.{kind}")(*options, file.name)
        Tool("mount")("-t", kind, "-o", f"loop,{mount}", file.name, place)
