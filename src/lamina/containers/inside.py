"""One more process in a container that runs: `docker exec`."""

import os
from collections.abc import Callable

import msgspec

from ..runtime import inside, users
from ..runtime.children import Streams
from ..runtime.values import Process
from ..tar.root import Root
from . import grants, settings
from .detached import require
from .life import Containers
from .records import Record


class Inside(msgspec.Struct, frozen=True):
    """What is to run; what is left out is as the container has it.

    Attributes:
        command: the program and its arguments.
        env: `NAME=value`, over the container's; a bare name takes a variable away.
        user: by name or number; empty for the container's.
        working_dir: absolute; empty for the container's.
        terminal: whether its streams are a terminal.
    """

    command: list[str]
    env: list[str] = []
    user: str = ""
    working_dir: str = ""
    terminal: bool = False


def run(
    containers: Containers,
    record: Record,
    wish: Inside,
    streams: Streams,
    *,
    detach: bool = False,
    started: Callable[[int], None] = lambda _: None,
) -> int:
    """Run a process in a container to its end, or with `detach` only start it; see `runtime.inside.run`.

    Raises:
        NotRunning: the container does not run, or is paused.
    """
    require(containers, record, "Container {id} is not running")
    with containers.records.hold(record.id), Root(f"/proc/{containers.process(record.id)}/root") as root:
        what = process(record, wish, root)
    text, number = words(wish.command), os.urandom(32).hex()
    containers.note(record, f"exec_create: {text}", execID=number)

    def begun(pid: int) -> None:
        containers.note(record, f"exec_start: {text}", execID=number)
        started(pid)

    runtime, run_root = containers.runtime, containers.run_root
    status = inside.run(runtime, run_root, record.id, what, streams, detach=detach, started=begun)
    if not detach:  # else nobody is there to see its end
        containers.note(record, "exec_die", execID=number, exitCode=str(status))
    return status


def words(command: list[str]) -> str:
    """Return a command as Docker's events spell it."""
    return f"{command[0]} {' '.join(command[1:])}"


def process(record: Record, wish: Inside, root: Root) -> Process:
    """Return what is to run, with the container's tree at hand."""
    run = record.config
    user = users.find(root, wish.user or run.user)
    env = settings.merge_env(run.env or [], wish.env)
    full = settings.environment(msgspec.structs.replace(run, env=env, tty=wish.terminal), user.home)
    cwd = wish.working_dir or run.working_dir or "/"
    found = Process(tuple(wish.command), full, os.path.normpath(cwd), user, wish.terminal)
    return grants.granted(found, record.host, root)
