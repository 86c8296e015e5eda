"""Processes that outlive whoever started them, each watched by a conmon (Debian's package of that name).

A conmon is the process's parent: it writes its output to a log, offers its streams on a socket, notes how it ended,
and then has a program of ours finish the work. It lives until that is done. It holds the container's mount namespace
too: the tree's mount is gone with the conmon, however that ends.

Sources: conmon(8); conmon's conmon.c and ctr_exit.c for the order of things.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Sequence

import msgspec

from .. import pids
from ..decoding import NOT_JSON
from ..errors import Unavailable
from ..mount import Mount
from ..pids import ProcessId
from ..tar.root import Root
from . import bundle
from .children import Streams, spawn, wait
from .values import Process

_PLACES = ("/usr/bin/conmon", "/usr/libexec/podman/conmon", "/usr/local/libexec/podman/conmon", "/usr/local/bin/conmon")

_LIMIT = 1 << 16


class NoMonitor(Unavailable):
    """There is no conmon on this machine."""

    exit_status = 125


@functools.cache
def find() -> str:
    """Return the path of conmon.

    Raises:
        NoMonitor: there is none.
    """
    for path in _PLACES:
        if os.access(path, os.X_OK):
            return path
    raise NoMonitor("containers that run by themselves need conmon: install Debian's package conmon")


def create(
    runtime: str,
    run_root: str,
    name: str,
    mount: Mount,
    prepare: Callable[[Root], Process],
    log: str,
    ended: Sequence[str],
    *,
    stdin: bool = False,
) -> ProcessId:
    """Make a container whose process waits for `begin`; return its conmon.

    Args:
        runtime: path of the OCI runtime.
        run_root: a folder that the machine's start empties.
        name: of the container, unique on the machine.
        mount: the tree.
        prepare: sees the mounted tree and says what is to be run.
        log: the file that gets the process's output, after what is in it; see `containers.logs`.
        ended: a program and its arguments, run when the process has ended.
        stdin: whether the process has a standard input, which the socket feeds.

    Raises:
        NoMonitor: there is no conmon.
        StartFailed: the process cannot be started. Nothing is left of it.
        MountFailed: the tree could not be mounted.
    """
    program = find()
    folder = bundle.folder(run_root, name)
    exits = os.path.join(folder, "exit")
    try:
        with bundle.mounted(run_root, name, mount, prepare) as (namespace, process):
            os.mkdir(exits, 0o700)
            command = [program, "--api-version", "1", "-c", name, "-u", name, "-n", name, "-r", runtime, "-b", folder]
            command += ["-p", f"{folder}/pid", "-P", f"{folder}/monitor", "-l", f"k8s-file:{log}", "--full-attach"]
            command += ["--exit-dir", exits, "--exit-command", ended[0], "--log-level", "error"]
            command += [word for text in ended[1:] for word in ("--exit-command-arg", text)]
            options = bundle.options(run_root, os.path.join(folder, "log"))
            command += [word for text in options for word in ("--runtime-arg", text)]
            command += ["-t"] * process.terminal + ["-i"] * stdin
            command += ["--leave-stdin-open"] * process.terminal  # one who leaves a terminal may come back
            namespace.run(_launch, command, os.path.join(folder, "log"))
            conmon = _monitor(folder)
            bundle.left_to(run_root, name, mount, conmon.pid)
        return conmon
    except BaseException:
        bundle.remove(runtime, run_root, name)
        raise


def begin(runtime: str, run_root: str, name: str) -> None:
    """Let the process of a new container run.

    Raises:
        StartFailed: the runtime refuses.
    """
    if not bundle.tell(runtime, run_root, name, "start", name):
        log = os.path.join(bundle.folder(run_root, name), "log")
        raise bundle.failure(log) or bundle.StartFailed(f"{runtime} does not start container {name[:12]}")


def exit_status(run_root: str, name: str) -> int | None:
    """Return how a container's process ended, None where its conmon could not say."""
    folder = os.path.join(bundle.folder(run_root, name), "exit")
    with contextlib.suppress(OSError, ValueError), open(os.path.join(folder, name)) as file:
        return int(file.read())
    return None


def _launch(command: list[str], log: str) -> None:
    """Start a conmon; return when it has made the container. It goes on by itself, as nobody's child."""
    said, end = os.pipe()
    with open(said, "rb") as answers, open(os.devnull, "r+b") as null:
        streams = Streams(null.fileno(), null.fileno(), null.fileno())
        try:
            pid = spawn(command, streams, end, apart=True, env={"_OCI_SYNCPIPE": "3"})
        finally:
            os.close(end)
        text = answers.readline(_LIMIT)
        wait(pid)
    try:
        answer = msgspec.json.decode(text, type=_Answer)
    except NOT_JSON:
        answer = _Answer(message="conmon ended without a word")
    if answer.data <= 0:
        raise bundle.failure(log) or bundle.StartFailed(answer.message.strip() or "conmon could not start it")


class _Answer(msgspec.Struct):
    """What a conmon says of its container: the process's id, or why there is none."""

    data: int = -1
    message: str = ""


def _monitor(folder: str) -> ProcessId:
    with open(os.path.join(folder, "monitor")) as file:
        return pids.of(int(file.read()))
