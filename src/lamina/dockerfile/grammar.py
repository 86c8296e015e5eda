"""From a statement to its instruction: one function for each keyword."""

import functools
import re
from collections.abc import Callable
from typing import TypeAlias

from . import flags, health, heredoc, transfer, words
from .instructions import (
    SCRIPTS,
    Arg,
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    File,
    From,
    Instruction,
    Label,
    Maintainer,
    Network,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from .mistakes import did_you_mean, quoted, shown
from .statement import Statement

_Flags: TypeAlias = dict[str, str]


def read(statement: Statement) -> Instruction | From:
    """Return the instruction that a statement is.

    Raises:
        Malformed: there is no such instruction, or it is not used like this.
    """
    reader = _READERS.get(statement.kind)
    if reader is None:
        meant = did_you_mean(statement.keyword, _READERS)
        raise statement.error(f"unknown instruction: {shown(statement.keyword)}{meant}")
    return reader(statement, flags.read(statement))


def _arg(at: Statement, _given: _Flags) -> Arg:
    found: list[tuple[str, str | None]] = []
    for word in words.split(at.rest, at.escape):
        name, equals, value = word.partition("=")
        if not name:
            raise at.error("ARG names can not be blank")
        found.append((name, value if equals else None))
    if not found:
        raise _needs_some(at)
    return Arg(at.line, at.source, tuple(found))


def _cmd(at: Statement, _given: _Flags) -> Cmd:
    return Cmd(at.line, at.source, _command(at))


def _entrypoint(at: Statement, _given: _Flags) -> Entrypoint:
    return Entrypoint(at.line, at.source, _command(at))


def _command(at: Statement) -> Command:
    array = at.array()
    if array is not None:
        return Command(array, is_shell=False)
    return Command((at.rest,) if at.rest else (), is_shell=True)


def _env(at: Statement, _given: _Flags) -> Env:
    return Env(at.line, at.source, _pairs(at))


def _label(at: Statement, _given: _Flags) -> Label:
    return Label(at.line, at.source, _pairs(at))


def _pairs(at: Statement) -> tuple[tuple[str, str], ...]:
    """Return names and values; the first word tells the form with `=` from the old form with a blank."""
    found = words.split(at.rest, at.escape)
    if not found:
        raise _needs_some(at)
    if "=" not in found[0]:
        name, value = words.cut(at.rest)
        if not value:
            raise at.error(f"{at.kind} must have two arguments: {at.kind} NAME=VALUE")
        return ((name, value),)
    return tuple(_pair(at, word) for word in found)


def _pair(at: Statement, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise at.error(f"Syntax error - can't find = in {quoted(word)}. Must be of the form: name=value")
    if not name:
        raise at.error(f"{at.kind} names can not be blank")
    return name, value


def _expose(at: Statement, _given: _Flags) -> Expose:
    return Expose(at.line, at.source, tuple(sorted(_some(at, words.fields(at.rest)))))


def _from(at: Statement, given: _Flags) -> From:
    found = words.fields(at.rest)
    if len(found) not in (1, 3) or (len(found) == 3 and found[1].upper() != "AS"):
        raise at.error("FROM requires either one or three arguments: FROM IMAGE, or FROM IMAGE AS NAME")
    name = found[2].lower() if len(found) == 3 else ""
    if name and not _stage_name().fullmatch(name):
        reason = "name can't start with a number or contain symbols"
        raise at.error(f"invalid name for build stage: {quoted(found[2])}, {reason}")
    return From(at.line, at.source, found[0], name, given.get("platform", ""))


@functools.cache
def _stage_name() -> re.Pattern[str]:
    return re.compile("[a-z][a-z0-9_.-]*")


def _maintainer(at: Statement, _given: _Flags) -> Maintainer:
    return Maintainer(at.line, at.source, _one(at))


def _onbuild(at: Statement, _given: _Flags) -> Onbuild:
    if not at.rest:
        raise _needs_some(at)
    text = at.text.lstrip(words.SPACE)[len("ONBUILD") :].lstrip("\t\n\f\r ")
    parts = [text, *(f"{text.raw}{text.opener.name}" for text in at.heredocs)]
    return Onbuild(at.line, at.source, "\n".join(parts))


def _run(at: Statement, given: _Flags) -> Run:
    network = _NETWORKS.get(given.get("network", "default"))
    if network is None:
        raise at.error(f"invalid network mode {quoted(given['network'])}: RUN has --network=default, none and host")
    command = _command(at)
    if not command.args:
        raise _needs_some(at)
    script = None
    if heredoc.opener(at.rest) and at.heredocs:
        command, script = _alone(at)
    elif at.heredocs:
        parts = [at.rest, *(f"{text.raw}{text.opener.name}" for text in at.heredocs)]
        command = Command(("\n".join(parts),), is_shell=True)
    return Run(at.line, at.source, command, script, network)


def _alone(at: Statement) -> tuple[Command, File | None]:
    """Return what a RUN does whose only word is a heredoc."""
    text = at.heredocs[0].text
    if not text.startswith("#!"):
        return Command((text,), is_shell=True), None
    script = transfer.file(at, at.heredocs[0])
    return Command((f"{SCRIPTS}/{script.name}",), is_shell=True), script


def _shell(at: Statement, _given: _Flags) -> Shell:
    array = at.array()
    if not at.rest or array == ():
        raise _needs_some(at)
    if array is None:
        raise at.error('SHELL requires the arguments to be in JSON form: SHELL ["/bin/sh", "-c"]')
    return Shell(at.line, at.source, array)


def _stopsignal(at: Statement, _given: _Flags) -> Stopsignal:
    return Stopsignal(at.line, at.source, _one(at))


def _user(at: Statement, _given: _Flags) -> User:
    return User(at.line, at.source, _one(at))


def _volume(at: Statement, _given: _Flags) -> Volume:
    array = at.array()
    paths = [path.strip(words.SPACE) for path in _some(at, words.fields(at.rest) if array is None else array)]
    if not all(paths):
        raise at.error("VOLUME specified can not be an empty string")
    return Volume(at.line, at.source, tuple(paths))


def _workdir(at: Statement, _given: _Flags) -> Workdir:
    return Workdir(at.line, at.source, _one(at))


def _one(at: Statement) -> str:
    if not at.rest:
        raise at.error(f"{at.kind} requires exactly one argument")
    return at.rest


def _some(at: Statement, found: tuple[str, ...]) -> tuple[str, ...]:
    if not found:
        raise _needs_some(at)
    return found


def _needs_some(at: Statement) -> Exception:
    return at.error(f"{at.kind} requires at least one argument")


_NETWORKS: dict[str, Network] = {"default": "default", "none": "none", "host": "host"}

_READERS: dict[str, Callable[[Statement, _Flags], Instruction | From]] = {
    "ADD": transfer.add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": transfer.copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": health.read,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
