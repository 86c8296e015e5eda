"""What a command has at hand: the engine, the streams, the environment. Only here is the environment read."""

import functools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ..errors import InvalidArgument

if TYPE_CHECKING:
    from ..engine import Engine
    from ..events import Report
    from ..remote.client import Client
    from ..render.table import Table


class Shell:
    """The surroundings of one command.

    Args:
        environment: variables, `LAMINA_*` among them.
        root: the store's folder, if an option says so.
        driver: the storage driver, if an option says so.
    """

    def __init__(self, environment: Mapping[str, str], root: str = "", driver: str = "") -> None:
        self.environment = environment
        self.root = root or environment.get("LAMINA_ROOT", "") or _default_root(environment)
        self.driver = driver or environment.get("LAMINA_STORAGE_DRIVER", "")
        self.quiet = False

    @functools.cached_property
    def engine(self) -> "Engine":
        """The engine over the store."""
        from ..engine import Engine

        run_root = self.environment.get("LAMINA_RUN_ROOT", "")
        if not run_root and os.geteuid() and (folder := self.environment.get("XDG_RUNTIME_DIR")):
            run_root = os.path.join(folder, "lamina")
        runtime = self.environment.get("LAMINA_RUNTIME", "")
        return Engine(self.root, self.driver, self.report, run_root=run_root, runtime=runtime, connect=self.connect)

    def connect(self) -> "Client":
        """Return a client of registries, as the user."""
        from ..remote.client import Client
        from . import registries

        return Client(registries.settings(self), registries.known(self))

    @functools.cached_property
    def report(self) -> "Report":
        """Where verbs report to."""
        from .reports import reporter

        return reporter(self)

    def out(self, text: str) -> None:
        """Write to stdout as is."""
        sys.stdout.write(text)

    def line(self, text: str) -> None:
        """Write a line to stdout."""
        sys.stdout.write(text + "\n")

    def warn(self, text: str) -> None:
        """Write a line to stderr."""
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def table(self, table: "Table", rows: Iterable[Mapping[str, object]], form: str) -> None:
        """Write a list to stdout.

        Raises:
            InvalidArgument: the format is no template, or does not fit the rows.
        """
        from ..render.template import TemplateSyntaxError

        try:
            self.out(table.render(rows, form))
        except TemplateSyntaxError as error:  # docker exits with 1 here, and with 64 elsewhere
            raise InvalidArgument(str(error)) from error

    @contextmanager
    def input(self, path: str) -> Iterator[BinaryIO]:
        """Open a file to read; `-` is stdin."""
        if path == "-":
            yield sys.stdin.buffer
        else:
            with open(path, "rb") as file:
                yield file

    @contextmanager
    def output(self, path: str, what: str) -> Iterator[BinaryIO]:
        """Open a file that appears whole or not at all; an empty path is stdout, if that is no terminal."""
        if path:
            from ..files import replacing

            self.require_folder(path)
            with replacing(os.path.abspath(path), 0o600) as file:
                yield file
            return
        if sys.stdout.isatty():
            raise InvalidArgument(f"cowardly refusing to {what} to a terminal. Use the -o flag or redirect")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()

    def require_folder(self, path: str) -> None:
        """Say early, and of the right path, that a file cannot be written because its folder is not there."""
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            raise InvalidArgument(f'invalid output path: directory "{folder}" does not exist')


def worded(error: OSError) -> str:
    """Return what the system says of an error, and of which file."""
    name = error.filename
    where = f": {os.fsdecode(name)}" if name and not isinstance(name, int) else ""
    return f"{error.strerror or error}{where}"


def _default_root(environment: Mapping[str, str]) -> str:
    """Return where the store is: the system's for root, in the XDG data folder for others."""
    if os.geteuid() == 0:
        return "/var/lib/lamina"
    home = environment.get("HOME") or os.path.expanduser("~")
    data = environment.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(data, "lamina")
