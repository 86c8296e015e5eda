"""What each instruction does to a stage: look for the step made before, or make it."""

import contextlib
import functools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec
from msgspec.structs import replace

from ..containers.life import Containers
from ..dockerfile.instructions import Add, Arg, Cmd, Copy, Instruction, Run, Workdir
from ..errors import InvalidArgument
from ..events import Output, Report
from ..lock import Lease
from ..oci import digest
from ..runtime import users
from ..store.store import Store
from ..tar.root import Root, clean
from .configure import change, words
from .context import Context
from .execute import Job, execute
from .gather import Gathered, gathered
from .sources import Keeps
from .steps import State, Steps, noted, ran
from .transfer import Manner, Transfer, destination

_NOTHING_RUN = "#(nop) "


class Dispatch(msgspec.Struct, frozen=True):
    """Does instructions, one at a time.

    Attributes:
        store: of the images.
        containers: of that store.
        lease: of the build.
        steps: where steps are found and made.
        context: of the build.
        origin: opens the files that `--from` names.
        network: of RUN.
        now: seconds since the epoch, for files that have no time of their own.
        report: hears what is done.
    """

    store: Store
    containers: Containers
    lease: Lease
    steps: Steps
    context: Context
    origin: Callable[[str], AbstractContextManager[Context]]
    network: str
    now: int
    report: Report

    def do(self, one: Instruction, state: State) -> None:
        """Do one instruction, its words expanded, and move the stage on."""
        match one:
            case Run():
                self._run(one, state)
            case Add() | Copy():
                with self._context_of(one) as context, gathered(one, context, self.store) as found:
                    self._transfer(one, found, state)
            case Workdir():
                self._working_dir(one, state)
            case Arg():
                for name, value in one.variables:
                    state.arguments.declare(name, value)
                texts = [name if value is None else f"{name}={value}" for name, value in one.variables]
                self._describe(state, f"ARG {' '.join(texts)}")
            case _:
                changed = change(one, state.run, cmd_set=state.cmd_set)
                state.run = changed.run
                state.author = changed.author or state.author
                state.cmd_set |= isinstance(one, Cmd) and bool(one.command.args)
                self._describe(state, changed.comment)

    def say(self, text: str) -> None:
        """Tell a line of what is done."""
        self.report(Output(f"{text}\n".encode(errors="surrogateescape")))

    def _describe(self, state: State, comment: str) -> None:
        step = noted(state.run, _NOTHING_RUN, comment)
        if not self.steps.find(state, step):
            self.steps.describe(state, step)
        else:
            self._say_cached()

    def _say_cached(self) -> None:
        self.say(" ---> Using cache")

    def _run(self, one: Run, state: State) -> None:
        command = words(one.command, state.run)
        if not command:
            raise InvalidArgument(f"RUN has nothing to run: {one.source}")
        arguments = state.arguments.for_run(state.env)
        shown = [*command, *([f"<<{one.script.name}\n{one.script.text}"] if one.script else [])]
        step = ran(state.run, shown, arguments, state.arguments.for_key(state.env))
        if self.steps.find(state, step):
            self._say_cached()
            return
        network = self.network if one.network == "default" else one.network
        job = Job(command, replace(state.run, env=[*state.env, *arguments]), network, one.script)
        with self.containers.temporary(self.lease, state.layer, places=True) as container:
            self.say(f" ---> Running in {digest.short(container)}")
            tree = functools.partial(self.containers.files, container)
            with self.containers.volumes.scratch(self.lease, state.run.volumes or {}, tree) as volumes:
                execute(self.containers, container, replace(job, binds=volumes), self.report)
            self.steps.commit(state, step, container)
        self.say(f" ---> Removed intermediate container {digest.short(container)}")

    def _working_dir(self, one: Workdir, state: State) -> None:
        changed = change(one, state.run)
        state.run = changed.run
        step = noted(state.run, _NOTHING_RUN + changed.comment)
        if self.steps.find(state, step):
            self._say_cached()
            return
        with self.containers.temporary(self.lease, state.layer, places=False) as container:
            with self.containers.files(container) as root:
                root.directory(clean(os.fsencode(state.run.working_dir)), make=True)
            self.steps.commit(state, step, container)

    def _context_of(self, one: Add | Copy) -> AbstractContextManager[Context]:
        if isinstance(one, Copy) and one.origin:
            return self.origin(one.origin)
        return contextlib.nullcontext(self.context)

    def _transfer(self, one: Add | Copy, found: Gathered, state: State) -> None:
        keyword = type(one).__name__.upper()
        to = destination(one.destination, state.run.working_dir, len(found), keyword)
        keeps_owner = isinstance(one, Copy) and bool(one.origin) and not one.chown
        marks = [f"--{name}={value}" for name, value in (("chown", one.chown), ("chmod", one.chmod)) if value]
        marks += [] if isinstance(one, Copy) or not one.checksum else [f"--checksum={one.checksum}"]
        checksum = found.checksum(Keeps(owner=keeps_owner, mode=not one.chmod))
        step = noted(state.run, f"{_NOTHING_RUN}{' '.join([keyword, *marks, checksum])} in {to} ")
        if self.steps.find(state, step):
            self._say_cached()
            return
        with self.containers.temporary(self.lease, state.layer, places=False) as container:
            with self.containers.files(container) as root:
                owner = None if keeps_owner else _owner(root, one.chown)
                manner = Manner(owner, _mode(one.chmod), unpack=isinstance(one, Add), now=self.now)
                found.into(Transfer(root, to, manner))
            self.steps.commit(state, step, container)


def _owner(root: Root, text: str) -> tuple[int, int]:
    return users.owner(root, text) if text else (0, 0)


def _mode(text: str) -> int | None:
    """Return the permissions that `--chmod` names in octal.

    Raises:
        InvalidArgument: it does not.
    """
    if not text:
        return None
    if not all(char in "01234567" for char in text) or int(text, 8) > 0o7777:
        raise InvalidArgument(f"invalid --chmod {text!r}: expected octal permissions, such as 0755")
    return int(text, 8)
