"""RUN: a process in a step's tree, whose output is told as it comes."""

import contextlib
import os
import select
import threading
from collections.abc import Iterator

import msgspec

from ..containers import settings
from ..containers.life import Containers
from ..dockerfile.instructions import SCRIPTS, File
from ..errors import LaminaError
from ..events import Output, Report
from ..oci import config
from ..runtime import etc, users
from ..runtime.children import Streams
from ..runtime.values import Bind, Process
from ..streams import CHUNK
from ..tar.root import Root, clean


class RunFailed(LaminaError):
    """The process of a RUN ended with an error; `exit_status` is its status."""

    def __init__(self, words: list[str], status: int) -> None:
        super().__init__(f"The command '{' '.join(words)}' returned a non-zero code: {status}")
        self.exit_status = status  # type: ignore[misc] # of this failure, not of the class


class Job(msgspec.Struct, frozen=True):
    """What a RUN runs.

    Attributes:
        words: the program and its arguments.
        run: the config of the step: environment, user, directory.
        network: `none` or `host`.
        script: a file to be there while it runs.
        binds: what of the host it sees.
    """

    words: list[str]
    run: config.RunConfig
    network: str
    script: File | None = None
    binds: tuple[Bind, ...] = ()


def execute(containers: Containers, container: str, job: Job, report: Report) -> None:
    """Run a process in a writable layer to its end.

    Raises:
        RunFailed: its status is not 0.
        StartFailed: it could not be started.
    """
    with _output(report) as (stdout, stderr), open(os.devnull, "rb") as null:
        status = containers.execute(
            container,
            lambda root: _process(containers, container, job, root),
            Streams(null.fileno(), stdout, stderr),
        ).status
    if status:
        raise RunFailed(job.words, status)


def _process(containers: Containers, container: str, job: Job, root: Root) -> Process:
    folder = containers.records.folder(container)
    user = users.find(root, job.run.user)
    cwd = job.run.working_dir or "/"
    root.directory(clean(os.fsencode(cwd)), make=True)
    hostname = os.uname().nodename if job.network == "host" else container[:12]
    return Process(
        tuple(job.words),
        settings.environment(msgspec.structs.replace(job.run, hostname=hostname, tty=False), user.home),
        cwd,
        user,
        hostname=hostname,
        network=job.network,
        binds=(*etc.write(folder, hostname, job.network), *_scripts(folder, job.script), *job.binds),
    )


def _scripts(folder: str, script: File | None) -> Iterator[Bind]:
    if script is not None:
        path = os.path.join(folder, "script")
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(script.text)
            os.fchmod(file.fileno(), 0o755)
        yield Bind(path, f"{SCRIPTS}/{script.name}", recursive=False)


@contextlib.contextmanager
def _output(report: Report) -> Iterator[tuple[int, int]]:
    """Yield descriptors for a process's output; all of it has been told when the block ends.

    A report that raises ends the telling: the process then cannot write any more, and the block raises the same.
    """
    sources, targets = zip(os.pipe(), os.pipe(), strict=True)
    failures: list[BaseException] = []

    def tell() -> None:
        try:
            _tell(sources, report)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(error)
        finally:
            for fd in sources:
                os.close(fd)

    thread = threading.Thread(target=tell, name="output of RUN")
    thread.start()
    try:
        yield targets
    finally:
        for fd in targets:
            os.close(fd)
        thread.join()
    if failures:
        raise failures[0]


def _tell(sources: tuple[int, ...], report: Report) -> None:
    left = list(sources)
    while left:
        for fd in select.select(left, [], [])[0]:
            data = os.read(fd, CHUNK)
            if data:
                report(Output(data, 1 + sources.index(fd)))
            else:
                left.remove(fd)
