"""Run a process in a tree and wait for it; nothing is left behind, whatever happens.

The tree is mounted in a mount namespace that only the runtime sees: it is gone with the last of its processes,
also when we are killed. What the runtime itself keeps is below `run_root`, which the machine's start empties;
`bundle.remove` takes it away for a process whose runner was killed.
"""

import functools
import os
import select
from collections.abc import Callable

import msgspec

from ..files import watched
from ..mount import Mount
from ..namespaces import Namespace
from ..tar.root import Root
from . import bundle, groups
from .bundle import GROUP
from .children import Streams, end, spawn, wait
from .values import Process

_SOON, _LOOKS = 0.002, 100  # to end a watch takes the kernel 0.02 s, as much as a quick runtime needs


class Ended(msgspec.Struct, frozen=True):
    """How a process ended.

    Attributes:
        status: its exit status, 128 and the signal if one ended it.
        oom_killed: whether the kernel killed it, or a child of it, for want of memory within its limit.
    """

    status: int
    oom_killed: bool = False


def run(
    runtime: str,
    run_root: str,
    name: str,
    mount: Mount,
    prepare: Callable[[Root], Process],
    streams: Streams,
    started: Callable[[int], None] = lambda _: None,
    begun: Callable[[], None] | None = None,
) -> Ended:
    """Run a process to its end.

    Args:
        runtime: path of the OCI runtime.
        run_root: a folder that the machine's start empties.
        name: of the container, unique on the machine.
        mount: the tree.
        prepare: sees the mounted tree and says what is to be run.
        streams: of the process.
        started: hears the runtime's process id; signals sent there reach the process.
        begun: called when the process runs.

    Raises:
        StartFailed: the process could not be started; the runtime has said why on its standard error.
        MountFailed: the tree could not be mounted.
    """
    folder = bundle.folder(run_root, name)
    log = os.path.join(folder, "log")
    try:
        with bundle.mounted(run_root, name, mount, prepare) as (namespace, process):
            command = _command(runtime, run_root, folder, name, keep=bool(process.resources.memory))
            if begun:
                started = functools.partial(_until_it_runs, folder, started, begun)
            status = _run(namespace, command, process.terminal, streams, started)
        if failure := bundle.failure(log):
            raise failure
        return Ended(status, bool(process.resources.memory) and groups.out_of_memory(GROUP + name))
    finally:
        bundle.remove(runtime, run_root, name)


def _until_it_runs(folder: str, started: Callable[[int], None], begun: Callable[[], None], runtime: int) -> None:
    """Wait until a runtime has noted the id of the process that it has started, or has ended without."""
    started(runtime)
    noted, ended = os.path.join(folder, "pid"), os.pidfd_open(runtime)

    def known(patience: float) -> bool:
        return os.path.exists(noted) or bool(select.select([ended], [], [], patience)[0])

    try:
        if not any(known(_SOON) for _ in range(_LOOKS)):
            with watched(folder) as changed:
                while not known(0):
                    changed(None, ended)
        if os.path.exists(noted):
            begun()
    finally:
        os.close(ended)


def _command(runtime: str, run_root: str, folder: str, name: str, *, keep: bool) -> list[str]:
    """Return the runtime's command line; one that can keeps the control group, for us to look at it."""
    options = bundle.options(run_root, os.path.join(folder, "log"))
    kept = ["--keep"] if keep and os.path.basename(runtime) == "runc" else []
    pid = os.path.join(folder, "pid")  # written when the process runs
    return [runtime, *options, "run", *kept, "--pid-file", pid, "--bundle", folder, name]


def _run(
    namespace: Namespace, command: list[str], is_terminal: bool, streams: Streams, started: Callable[[int], None]
) -> int:
    if is_terminal and not any(map(os.isatty, (streams.stdin, streams.stdout, streams.stderr))):
        from . import terminal  # noqa: PLC0415 - seldom

        return terminal.run(lambda inner: namespace.run(spawn, command, inner), streams, started)
    pid = namespace.run(functools.partial(spawn, command, streams, apart=not is_terminal))
    try:
        started(pid)
        return wait(pid)
    except BaseException:
        end(pid)
        raise
