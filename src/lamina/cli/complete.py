"""`lamina __complete LINE`: what may stand where a line ends, a line each; nothing where that is a file's name."""

import argparse
from collections.abc import Iterable, Iterator
from importlib import import_module

from ..errors import LaminaError
from .parser import Parser, Usage
from .shell import Shell

_GLOBALS = ("--debug", "--help", "--root", "--storage-driver", "--version")
_RUNNING = ("attach", "exec", "kill", "pause", "restart", "stop", "top", "unpause", "wait")
_CONTAINERS = (*_RUNNING, "commit", "cp", "diff", "export", "logs", "rename", "rm", "start")
_IMAGES = ("cat", "create", "find", "history", "image cp", "images", "ls", "rmi", "run", "save", "tag")
_VOLUMES = ("volume inspect", "volume rm")
_FIRST_ONLY = ("cat", "commit", "create", "exec", "find", "history", "image cp", "ls", "rename", "run", "tag", "top")
"""Commands whose later arguments are something else."""

_WORDS = {
    "--network": ("none", "host"),
    "--net": ("none", "host"),
    "--restart": ("no", "always", "on-failure", "unless-stopped"),
    "--type": ("container", "image", "volume"),
    "--storage-driver": ("erofs", "overlay2", "vfs"),
    "--to": ("erofs", "overlay2", "vfs"),
    "--ipc": ("none", "private", "shareable", "host"),
    "--pid": ("host",),
    "--uts": ("host",),
    "--format": ("table", "json"),
}
"""Values of options; those of others are not known."""


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina __complete LINE", summary)
    parser.arguments(0, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    import shlex

    line = " ".join(options.arguments)
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    if not line or line[-1:].isspace():
        words.append("")
    for word in sorted({word for word in _candidates(words[1:], shell) if word.startswith(words[-1])}):
        shell.line(word)
    return 0


def _candidates(words: list[str], shell: Shell) -> Iterable[str]:
    """Return what may be the last of some words."""
    from .main import COMMANDS, GROUPS, HIDDEN

    *before, last = words or [""]
    while before and before[0].startswith("-"):
        option = before.pop(0)
        if option in ("--root", "--storage-driver"):
            if not before:
                return _WORDS.get(option, ())
            before.pop(0)
    if not before:
        return _GLOBALS if last.startswith("-") else [*COMMANDS, *GROUPS, "help"]
    name, *given = before
    if name == "help":
        return [*COMMANDS, *GROUPS]
    if name in GROUPS:
        if not given:
            return GROUPS[name]
        name, given = GROUPS[name].get(given[0], ""), given[1:]
    command = COMMANDS.get(name) or HIDDEN.get(name)
    return _of_command(name, command.module, given, last, shell) if command else ()


def _of_command(name: str, module: str, given: list[str], last: str, shell: Shell) -> Iterable[str]:
    options = _options(import_module(f".{module}", __package__).parser(""))
    option, equals, _ = last.partition("=")
    if equals and option in options:
        return [f"{option}={word}" for word in _WORDS.get(option, ())]
    if given and options.get(given[-1]):
        return _WORDS.get(given[-1], ())
    if last.startswith("-"):
        return [*options, "--help"]
    arguments = list(_arguments(given, options))
    return () if arguments and name in _FIRST_ONLY else _things(name, shell)


def _options(parser: Parser) -> dict[str, bool]:
    """Return the options of a command, and whether each takes a value."""
    names = [
        (name, action.nargs is None)
        for action in parser._actions  # noqa: SLF001 - argparse has no other way
        for name in action.option_strings
        if action.dest != "help" and "=" not in name
    ]
    return dict(names)


def _arguments(given: list[str], options: dict[str, bool]) -> Iterator[str]:
    """Yield the words that are no options, nor their values."""
    rest = iter(given)
    for word in rest:
        if options.get(word):
            next(rest, None)
        elif not word.startswith("-"):
            yield word


def _things(name: str, shell: Shell) -> Iterator[str]:
    """Yield the names of what a command is about; nothing where the store says nothing."""
    try:
        if name in _CONTAINERS or name == "inspect":
            found = shell.engine.containers()
            running = ("running", "paused", "restarting")
            yield from (one.record.name for one in found if name not in _RUNNING or one.state.status in running)
        if name in _IMAGES or name == "inspect":
            for image in shell.engine.images():
                yield from image.tags
        if name in _VOLUMES or name == "inspect":
            yield from (one.volume.name for one in shell.engine.volumes())
    except (LaminaError, OSError, Usage):
        return
    if name == "completion":
        yield from ("bash", "fish", "zsh")
