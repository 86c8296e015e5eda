"""One more process in a container that runs: `docker exec`."""

import functools
import os
from collections.abc import Callable

import msgspec

from . import bundle, spec, terminal
from .children import Streams, end, spawn, wait
from .values import Process


def run(
    runtime: str,
    run_root: str,
    name: str,
    process: Process,
    streams: Streams,
    *,
    detach: bool = False,
    started: Callable[[int], None] = lambda _: None,
) -> int:
    """Run a process in a container to its end; return its exit status, 128 and the signal if one ended it.

    Args:
        runtime: path of the OCI runtime.
        run_root: see `foreground.run`.
        name: of the container.
        process: what to run; what it says of the surroundings does not count.
        streams: of the process.
        detach: return as soon as it runs.
        started: hears the runtime's process id; signals sent there reach the process.

    Raises:
        StartFailed: it could not be started.
    """
    mark = os.path.join(bundle.folder(run_root, name), f"exec-{os.urandom(6).hex()}")
    document, log = f"{mark}.json", f"{mark}.log"
    try:
        with open(document, "wb") as file:
            file.write(msgspec.json.encode(spec.program(process)))
        command = [runtime, *bundle.options(run_root, log), "exec", "--process", document]
        command += ["--detach"] * detach + [name]
        status = _run(command, streams, started, is_terminal=process.terminal and not detach)
        if status and (failure := bundle.failure(log)):
            raise failure
        return status
    finally:
        for path in (document, log):
            if os.path.exists(path):
                os.unlink(path)


def _run(command: list[str], streams: Streams, started: Callable[[int], None], *, is_terminal: bool) -> int:
    if is_terminal and not any(map(os.isatty, (streams.stdin, streams.stdout, streams.stderr))):
        return terminal.run(functools.partial(spawn, command), streams, started)
    pid = spawn(command, streams, apart=not is_terminal)
    try:
        started(pid)
        return wait(pid)
    except BaseException:
        end(pid)
        raise
