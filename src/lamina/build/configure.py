"""Instructions that change the config alone: what `build` makes of them, and `commit --change`, `import --change`.

The comment of each is its text in Docker's history (moby, daemon/builder/dockerfile/dispatchers.go).
"""

import posixpath
import signal
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ..containers.settings import merge_env
from ..dockerfile import duration, expand, parser
from ..dockerfile.instructions import (
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from ..errors import InvalidArgument
from ..oci.config import Empty, Health, RunConfig

DEFAULT_SHELL = ("/bin/sh", "-c")
"""What runs the shell form of RUN, CMD and ENTRYPOINT."""

_PROTOCOLS = ("tcp", "udp", "sctp")
_MAX_PORT = 65535
_QUOTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class InvalidInstruction(InvalidArgument):
    """What an instruction says cannot be."""


class Changed(msgspec.Struct, frozen=True):
    """A config after an instruction, and the instruction's text in the history.

    Attributes:
        run: the config.
        comment: the text.
        author: the image's author from here on, if the instruction names one.
    """

    run: RunConfig
    comment: str
    author: str = ""


def change(one: Instruction, run: RunConfig, *, cmd_set: bool = False) -> Changed:  # noqa: C901 - one case each
    """Return what an instruction makes of a config; its words are expanded already.

    Args:
        one: the instruction.
        run: the config before it.
        cmd_set: whether CMD was given in the same stage, so that ENTRYPOINT leaves it.

    Raises:
        InvalidInstruction: what it says cannot be.
    """
    match one:
        case Cmd():
            cmd = words(one.command, run)
            return Changed(replace(run, cmd=cmd), f"CMD {_quoted(cmd)}")
        case Entrypoint():
            entrypoint = words(one.command, run)
            changed = replace(run, entrypoint=entrypoint or None, cmd=run.cmd if cmd_set else None)
            return Changed(changed, f"ENTRYPOINT {_quoted(entrypoint)}")
        case Env():
            texts = [f"{name}={value}" for name, value in one.variables]
            return Changed(replace(run, env=merge_env(run.env or [], texts)), f"ENV {' '.join(texts)}")
        case Label():
            labels = {**(run.labels or {}), **dict(one.labels)}
            return Changed(replace(run, labels=labels), f"LABEL {' '.join(f'{k}={v}' for k, v in one.labels)}")
        case Maintainer():
            return Changed(run, f"MAINTAINER {one.name}", one.name)
        case Expose():
            return _expose(one, run)
        case User():
            return Changed(replace(run, user=one.user), f"USER {one.user}")
        case Volume():
            return _volume(one, run)
        case Stopsignal():
            return _stop_signal(one, run)
        case Shell():
            return Changed(replace(run, shell=list(one.args)), f"SHELL [{' '.join(one.args)}]")
        case Workdir():
            path = posixpath.normpath(posixpath.join("/", run.working_dir, one.path)).replace("//", "/")
            return Changed(replace(run, working_dir=path), f"WORKDIR {path}")
        case Onbuild():
            triggers = [*(run.on_build or []), one.trigger]
            return Changed(replace(run, on_build=triggers), f"ONBUILD {one.trigger}")
        case Healthcheck():
            return _health(one, run)
        case _:
            raise InvalidInstruction(f"{type(one).__name__.upper()} does not change the config alone")


def changes(lines: Sequence[str], run: RunConfig) -> RunConfig:
    """Return a config after `--change` options.

    Raises:
        Malformed: a line is no instruction, or one that may not stand there.
        InvalidInstruction: what it says cannot be.
    """
    cmd_set = False
    for one in parser.changes(lines):
        env = dict(text.partition("=")[::2] for text in run.env or [])
        run = change(expand.expanded(one, env), run, cmd_set=cmd_set).run
        cmd_set |= isinstance(one, Cmd)
    return run


def words(command: Command, run: RunConfig) -> list[str]:
    """Return the words that a command stands for: the shell form is run by the stage's shell."""
    if not command.is_shell:
        return list(command.args)
    return [*(run.shell or DEFAULT_SHELL), *command.args] if command.args else []


def _expose(one: Expose, run: RunConfig) -> Changed:
    ports: dict[str, Empty] = {port: {} for text in one.ports for port in _ports(text)}
    return Changed(replace(run, exposed_ports={**(run.exposed_ports or {}), **ports}), f"EXPOSE {' '.join(one.ports)}")


def _volume(one: Volume, run: RunConfig) -> Changed:
    if not all(path.strip() for path in one.paths):
        raise InvalidInstruction("VOLUME specified can not be an empty string")
    volumes: dict[str, Empty] = {path: {} for path in one.paths}
    return Changed(replace(run, volumes={**(run.volumes or {}), **volumes}), f"VOLUME [{' '.join(one.paths)}]")


def _stop_signal(one: Stopsignal, run: RunConfig) -> Changed:
    if not _is_signal(one.signal):
        raise InvalidInstruction(f"Invalid signal: {one.signal}")
    return Changed(replace(run, stop_signal=one.signal), f"STOPSIGNAL {one.signal}")


def _health(one: Healthcheck, run: RunConfig) -> Changed:
    test = list(one.test)
    if test[0] == "CMD-SHELL" and run.shell:
        test = ["CMD", *run.shell, *test[1:]]
    health = Health(test, one.interval, one.timeout, one.start_period, one.start_interval, one.retries)
    spans = (one.interval, one.timeout, one.start_period, one.start_interval)
    spelled = " ".join(f'"{duration.spelled(span)}"' for span in spans)
    comment = f"HEALTHCHECK &{{{_quoted(test)} {spelled} '\\x{one.retries:02x}'}}"
    return Changed(replace(run, healthcheck=health), comment)


def _quoted(texts: list[str]) -> str:
    """Return words as Go's %q shows a list of them."""
    return "[" + " ".join('"' + "".join(_QUOTED.get(char, char) for char in text) + '"' for text in texts) + "]"


def _ports(text: str) -> list[str]:
    """Return the ports of `80`, `80/udp`, `8000-8010`, or of a mapping that ends so."""
    numbers, slash, protocol = text.rpartition(":")[2].partition("/")
    protocol = protocol.lower() if slash else "tcp"
    first, dash, last = numbers.partition("-")
    if protocol not in _PROTOCOLS:
        raise InvalidInstruction(f"Invalid proto: {protocol}")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise InvalidInstruction(f"Invalid containerPort: {numbers}")
    low, high = int(first), int(last if dash else first)
    if not low <= high <= _MAX_PORT:
        raise InvalidInstruction(f"Invalid containerPort: {numbers}")
    return [f"{port}/{protocol}" for port in range(low, high + 1)]


def _is_signal(text: str) -> bool:
    if text.isdigit():
        return 0 < int(text) <= signal.SIGRTMAX
    name = text.upper().removeprefix("SIG")
    if name.startswith(("RTMIN+", "RTMAX-")):
        return name[6:].isdigit()
    return f"SIG{name}" in signal.Signals.__members__
