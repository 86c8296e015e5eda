"""What an OCI runtime is given and what it keeps of a container, and how it is told things.

<run root>/                     a folder that the machine's start empties
  bundles/<name>/
    config.json                 the runtime-spec document
    rootfs/                     where the tree is mounted, in a namespace of the container's own
    images/                     where that has the layers that are images, for others to share
    log                         what the runtime says
    pid                         of the process, once it runs
    monitor, attach, ctl, winsz, oom, exit/<name>       a conmon's (see monitor)
  state/<name>/                 the runtime's own
"""

import contextlib
import os
from collections.abc import Callable, Iterator

import msgspec

from .. import sharing
from ..decoding import NOT_JSON
from ..errors import LaminaError
from ..files import remove_tree
from ..mount import Mount, attach, detach
from ..namespaces import Namespace
from ..tar.root import Root
from . import spec
from .children import Streams, spawn, wait
from .values import Process

GROUP = "lamina-"
"""What the names of containers' control groups begin with."""

_NOT_FOUND = ("executable file not found", "no such file or directory")
_NOT_ALLOWED = ("permission denied", "is a directory", "exec format error")


class StartFailed(LaminaError):
    """The runtime could not start a process.

    `exit_status` is Docker's: 127 for a program that is not there, 126 for one that cannot be run, else 125.
    """

    exit_status = 125


class ProgramNotFound(StartFailed):
    """The program is not in the tree."""

    exit_status = 127


class ProgramNotAllowed(StartFailed):
    """The program cannot be run."""

    exit_status = 126


def folder(run_root: str, name: str) -> str:
    """Return the folder of a container's bundle."""
    return os.path.join(run_root, "bundles", name)


@contextlib.contextmanager
def mounted(
    run_root: str, name: str, mount: Mount, prepare: Callable[[Root], Process]
) -> Iterator[tuple[Namespace, Process]]:
    """Make a bundle, its tree mounted where only a namespace sees it; yield that, and what is to be run.

    The mount goes with the last program that was started in the namespace.

    Raises:
        MountFailed: the tree could not be mounted.
    """
    rootfs, images = (os.path.join(folder(run_root, name), place) for place in ("rootfs", "images"))
    os.makedirs(rootfs, 0o711)
    os.mkdir(images, 0o700)
    with Namespace() as namespace:
        try:
            namespace.run(attach, mount, rootfs, images)
            with _root(namespace, rootfs) as root:
                process = prepare(root)
                document = spec.document(process, rootfs, GROUP + name)
                with open(os.path.join(folder(run_root, name), "config.json"), "wb") as file:
                    file.write(msgspec.json.encode(document))
                yield namespace, process
        finally:
            sharing.withdraw(mount.holders, namespace.pid)


def left_to(run_root: str, name: str, mount: Mount, pid: int) -> None:
    """Say that a program started in the namespace keeps it, and with it the layers that others may share."""
    if mount.holders:
        sharing.announce(mount.holders, pid, os.path.join(folder(run_root, name), "images"))


def leave(run_root: str, name: str) -> None:
    """Unmount a tree and its layers in the namespace of the calling process."""
    for place in ("rootfs", "images"):
        with contextlib.suppress(OSError):
            detach(os.path.join(folder(run_root, name), place))


@contextlib.contextmanager
def _root(namespace: Namespace, place: str) -> Iterator[Root]:
    fd = namespace.run(os.open, place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Root(fd) as root:
            yield root
    finally:
        os.close(fd)


def options(run_root: str, log: str) -> list[str]:
    """Return the runtime's options of every call: where its state is, and what it says when something fails."""
    return ["--root", os.path.join(run_root, "state"), "--log", log, "--log-format", "json"]


def remove(runtime: str, run_root: str, name: str) -> None:
    """End a process and remove what its run left; without any, nothing happens."""
    tell(runtime, run_root, name, "delete", "--force", name)
    remove_tree(folder(run_root, name))


def kill(runtime: str, run_root: str, name: str, number: int) -> bool:
    """Send a signal to a container's first process; return whether there was one to get it."""
    return tell(runtime, run_root, name, "kill", name, str(number))


def tell(runtime: str, run_root: str, name: str, *words: str) -> bool:
    """Have the runtime do something to a container, if it knows that; return whether it did."""
    state = os.path.join(run_root, "state")
    if not os.path.isdir(os.path.join(state, name)):
        return False
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return wait(spawn([runtime, "--root", state, *words], Streams(null, null, null))) == 0
    finally:
        os.close(null)


class _State(msgspec.Struct):
    init_process_pid: int = 0


def process(run_root: str, name: str) -> int:
    """Return the id of a container's first process, as the host sees it; 0 if there is none."""
    try:
        with open(os.path.join(run_root, "state", name, "state.json"), "rb") as file:
            return msgspec.json.decode(file.read(), type=_State).init_process_pid
    except (OSError, *NOT_JSON):
        return 0


class _LogLine(msgspec.Struct):
    level: str = ""
    msg: str = ""


def failure(log: str) -> StartFailed | None:
    """Return why the runtime could not start a process, as its log says."""
    try:
        with open(log, "rb") as file:
            lines = file.read(1 << 20).splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        with contextlib.suppress(*NOT_JSON):
            entry = msgspec.json.decode(line, type=_LogLine)
            if entry.level in ("error", "fatal"):
                return _classified(entry.msg)
    return None


def _classified(text: str) -> StartFailed:
    kinds = [(ProgramNotFound, _NOT_FOUND), (ProgramNotAllowed, _NOT_ALLOWED)]
    kind = next((kind for kind, words in kinds if any(word in text for word in words)), StartFailed)
    for verb in ("run", "create", "exec"):
        text = text.removeprefix(f"runc {verb} failed: ")
    return kind(text)
