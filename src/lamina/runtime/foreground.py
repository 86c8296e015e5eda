"""Run a process in a tree and wait for it; nothing is left behind, whatever happens.

The tree is mounted in a mount namespace that only the runtime sees: it is gone with the last of its processes,
also when we are killed. What the runtime itself keeps is below `run_root`, which the machine's start empties;
`remove` takes it away for a process whose runner was killed.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator

import msgspec

from ..errors import LaminaError
from ..files import remove_tree
from ..mount import Mount, Namespace, attach
from ..tar.root import Root
from . import spec, terminal
from .children import Streams, end, spawn, wait
from .values import Process

GROUP = "lamina-"
"""What the names of containers' control groups begin with."""

_NOT_FOUND = ("executable file not found", "no such file or directory")
_NOT_ALLOWED = ("permission denied", "is a directory", "exec format error")


class StartFailed(LaminaError):
    """The runtime could not start a process; it has said why on its standard error.

    `exit_status` is Docker's: 127 for a program that is not there, 126 for one that cannot be run, else 125.
    """

    exit_status = 125


class ProgramNotFound(StartFailed):
    """The program is not in the tree."""

    exit_status = 127


class ProgramNotAllowed(StartFailed):
    """The program cannot be run."""

    exit_status = 126


def run(
    runtime: str,
    run_root: str,
    name: str,
    mount: Mount,
    prepare: Callable[[Root], Process],
    streams: Streams,
    started: Callable[[int], None] = lambda _: None,
) -> int:
    """Run a process to its end; return its exit status, 128 and the signal if one ended it.

    Args:
        runtime: path of the OCI runtime.
        run_root: a folder that the machine's start empties.
        name: of the container, unique on the machine.
        mount: the tree.
        prepare: sees the mounted tree and says what is to be run.
        streams: of the process.
        started: hears the runtime's process id; signals sent there reach the process.

    Raises:
        StartFailed: the process could not be started.
        MountFailed: the tree could not be mounted.
    """
    folder = bundle(run_root, name)
    os.makedirs(os.path.join(folder, "rootfs"), 0o711)
    try:
        with Namespace() as namespace, _tree(namespace, mount, os.path.join(folder, "rootfs")) as root:
            process = prepare(root)
            document = spec.document(process, os.path.join(folder, "rootfs"), GROUP + name)
            with open(os.path.join(folder, "config.json"), "wb") as file:
                file.write(msgspec.json.encode(document))
            status = _run(namespace, _command(runtime, run_root, folder, name), process.terminal, streams, started)
        if failure := _failure(folder):
            raise failure
        return status
    finally:
        remove(runtime, run_root, name)


def bundle(run_root: str, name: str) -> str:
    """Return the folder of a container's bundle."""
    return os.path.join(run_root, "bundles", name)


def remove(runtime: str, run_root: str, name: str) -> None:
    """End a process and remove what its run left; without any, nothing happens."""
    tell(runtime, run_root, name, "delete", "--force", name)
    remove_tree(bundle(run_root, name))


def kill(runtime: str, run_root: str, name: str) -> None:
    """End a process by SIGKILL; its runner then ends as ever. Without any, nothing happens."""
    tell(runtime, run_root, name, "kill", name, "KILL")


def tell(runtime: str, run_root: str, name: str, *words: str) -> None:
    """Have the runtime do something to a container, if it knows that."""
    state = os.path.join(run_root, "state")
    if os.path.isdir(os.path.join(state, name)):
        null = os.open(os.devnull, os.O_RDWR)
        try:
            wait(spawn([runtime, "--root", state, *words], Streams(null, null, null)))
        finally:
            os.close(null)


class _State(msgspec.Struct):
    init_process_pid: int = 0


def process(run_root: str, name: str) -> int:
    """Return the id of a container's first process, as the host sees it; 0 if there is none."""
    try:
        with open(os.path.join(run_root, "state", name, "state.json"), "rb") as file:
            return msgspec.json.decode(file.read(), type=_State).init_process_pid
    except (OSError, msgspec.DecodeError):
        return 0


@contextlib.contextmanager
def _tree(namespace: Namespace, mount: Mount, place: str) -> Iterator[Root]:
    """Mount a tree where only the namespace sees it; yield its root."""
    namespace.run(attach, mount, place)
    fd = namespace.run(os.open, place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Root(fd) as root:
            yield root
    finally:
        os.close(fd)


def _command(runtime: str, run_root: str, folder: str, name: str) -> list[str]:
    log = os.path.join(folder, "log")
    options = ["--root", os.path.join(run_root, "state"), "--log", log, "--log-format", "json"]
    return [runtime, *options, "run", "--bundle", folder, name]


def _run(
    namespace: Namespace, command: list[str], is_terminal: bool, streams: Streams, started: Callable[[int], None]
) -> int:
    if is_terminal and not any(map(os.isatty, (streams.stdin, streams.stdout, streams.stderr))):
        return terminal.run(lambda inner: namespace.run(spawn, command, inner), streams, started)
    pid = namespace.run(functools.partial(spawn, command, streams, apart=not is_terminal))
    try:
        started(pid)
        return wait(pid)
    except BaseException:
        end(pid)
        raise


class _LogLine(msgspec.Struct):
    level: str = ""
    msg: str = ""


def _failure(folder: str) -> StartFailed | None:
    """Return why the runtime could not start the process, as its log says."""
    try:
        with open(os.path.join(folder, "log"), "rb") as file:
            lines = file.read(1 << 20).splitlines()
    except FileNotFoundError:
        return None
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):
            entry = msgspec.json.decode(line, type=_LogLine)
            if entry.level in ("error", "fatal"):
                return _classify(entry.msg)
    return None


def _classify(text: str) -> StartFailed:
    kinds = [(ProgramNotFound, _NOT_FOUND), (ProgramNotAllowed, _NOT_ALLOWED)]
    kind = next((kind for kind, words in kinds if any(word in text for word in words)), StartFailed)
    return kind(text.removeprefix("runc run failed: "))
