"""Images mounted once for all who use them, with one cache of what was read of them.

Who shows images to a program has them mounted in the program's mount namespace too, each in a folder named after the
image's files, and says so:

    <folder>/<boot>-<pid namespace>-<pid>-<since>   the process that is in the namespace; leads to the folder there

Others clone them from there, whatever their own namespace. A clone is the same file system, and stays when the first
is gone. So nobody takes mounts away, and none is in the machine's table: they go with the last process in the
namespace, however that ends. What a process said that has ended since is removed by the next who reads it. All of
this is a cache: who finds nothing mounts for himself.

Sources: open_tree(2), namespaces(7).
"""

import contextlib
import os
from collections.abc import Collection, Iterator

from .errors import LaminaError
from .files import file_system
from .namespaces import Namespace, call
from .pids import ProcessId, of

_OPEN_TREE = 428
_AT_FDCWD, _CLONE = -100, 1
_EROFS = 0xE0F5E1E2


def name(paths: Collection[str]) -> str:
    """Return what the mount of an image is called: others of this name are of the very same files.

    A file that is mounted keeps its number, also when another has taken its place.
    """
    found = [os.stat(path) for path in paths]
    return ".".join([f"{found[0].st_dev:x}", *(f"{info.st_ino:x}" for info in found)])


def announce(folder: str, pid: int, place: str) -> None:
    """Say that a process's mount namespace has images mounted, until it ends, or that is withdrawn.

    Args:
        folder: of what is said; made if needed.
        pid: of the process, or of one thread of it.
        place: the folder that the images are in, as that process sees it.
    """
    with contextlib.suppress(OSError):  # a full disk costs others the cache, and nothing more
        os.makedirs(folder, 0o700, exist_ok=True)
        os.symlink(place, os.path.join(folder, _encoded(of(pid))))


def withdraw(folder: str, pid: int) -> None:
    """Say no longer that a process, which still lives, has images; one that said nothing, anywhere, is no error."""
    if folder:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, _encoded(of(pid))))


def clone(path: str) -> int:
    """Return a detached mount of what is seen at a path, without what is mounted below: a descriptor."""
    return call(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), _CLONE | os.O_CLOEXEC)


def clones(folder: str, names: Collection[str]) -> dict[str, int]:
    """Return mounts that others have, by name, as far as there are any: descriptors, which the caller closes."""
    found: dict[str, int] = {}
    for process, place in _announced(folder):
        missing = set(names).difference(found)
        if not missing:
            break
        with contextlib.suppress(OSError, LaminaError):
            _clone(process, place, missing, found)
    return found


def _announced(folder: str) -> Iterator[tuple[ProcessId, str]]:
    """Yield the processes that live, and their places; forget the others."""
    with contextlib.suppress(OSError):
        for text in os.listdir(folder):
            with contextlib.suppress(OSError, ValueError):
                boot, namespace, pid, since = text.rsplit("-", 3)
                process = ProcessId(int(pid), int(since), boot)
                if namespace != _pid_namespace() and boot == of(os.getpid()).boot:
                    continue  # its number says nothing here
                if process.is_alive:
                    yield process, os.readlink(os.path.join(folder, text))
                else:
                    os.unlink(os.path.join(folder, text))


def _clone(process: ProcessId, place: str, names: Collection[str], found: dict[str, int]) -> None:
    """Add to `found` what a process's namespace has of some mounts."""
    folder = os.open(f"/proc/{process.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not process.is_alive:
            return
        with _opened(f"root{place}", os.O_DIRECTORY, folder) as there:
            here = [name for name in os.listdir(there) if name in names]
        if here:
            with _opened("ns/mnt", 0, folder) as namespace, Namespace(namespace) as inside:
                inside.run(_clone_here, place, here, found)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _opened(path: str, flags: int, folder: int) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _clone_here(place: str, names: Collection[str], found: dict[str, int]) -> None:
    for name in names:
        fd = clone(os.path.join(place, name))
        if file_system(b"/proc/self/fd/%d" % fd) == _EROFS:
            found[name] = fd
        else:  # it was unmounted just now
            os.close(fd)


def _encoded(process: ProcessId) -> str:
    return f"{process.boot}-{_pid_namespace()}-{process.pid}-{process.since}"


def _pid_namespace() -> str:
    return str(os.stat("/proc/self/ns/pid").st_ino)
