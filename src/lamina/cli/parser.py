"""Options and arguments as docker takes them, help as docker prints it, on top of argparse."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NoReturn

USAGE_EXIT = 125
"""What docker exits with for an unknown flag."""

Parse = Callable[[str], Any]

TRUE, FALSE = ("true", "1", "t", "T", "TRUE", "True"), ("false", "0", "f", "F", "FALSE", "False")
"""The words for yes and no."""


class Usage(Exception):
    """The command line is wrong: the text to show, and the status to exit with."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Parser(argparse.ArgumentParser):
    """The parser of one command; errors are raised as `Usage`.

    Args:
        usage: `lamina images [OPTIONS] [REPOSITORY[:TAG]]`; its first words are the command's name.
        summary: what the command does, in a line.
        aliases: other ways to call it.
        help_short: whether -h asks for help too, and is no option of the command's.
    """

    def __init__(self, usage: str, summary: str, aliases: Sequence[str] = (), *, help_short: bool = True) -> None:
        super().__init__(prog=" ".join(_words(usage)), add_help=False, allow_abbrev=False, formatter_class=_formatter)
        self._line = usage
        self._summary = summary
        self._aliases = aliases
        self._minimum = 0
        self._maximum: int | None = 0
        self.add_argument(*["-h"] * help_short, "--help", action="store_true", help=argparse.SUPPRESS)

    def flag(self, *names: str, help: str, default: bool = False) -> None:  # noqa: A002 - argparse's word
        """Add an option that is on or off; `--name=false` is understood too, and the last one counts."""
        dest = self.add_argument(*names, action="store_true", default=default, help=help).dest
        for action, words in (("store_true", TRUE), ("store_false", FALSE)):
            spelled = [f"{name}={word}" for name in names for word in words]
            self.add_argument(*spelled, action=action, dest=dest, default=default, help=argparse.SUPPRESS)

    def option(self, *names: str, value: str, help: str, default: Any = "", parse: Parse = str) -> None:  # noqa: A002
        """Add an option with a value; `value` is its word in the help, `parse` raises ValueError for a bad one."""
        self.add_argument(*names, metavar=value, help=help, default=default, type=self._checked(names, parse))

    def values(self, *names: str, value: str, help: str, parse: Parse = str) -> None:  # noqa: A002 - argparse's word
        """Add an option that may be given several times: a list."""
        read = self._checked(names, parse)
        self.add_argument(*names, metavar=value, help=help, action="append", default=[], type=read)

    def arguments(self, minimum: int, maximum: int | None, *, rest: bool = False) -> None:
        """Say how many arguments the command takes; with `rest`, options end at the first of them."""
        self._minimum, self._maximum = minimum, maximum
        if rest:
            self.add_argument("first", nargs="?")
        self.add_argument("arguments", nargs=argparse.REMAINDER if rest else "*")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the options and `arguments` of a command line.

        Raises:
            Usage: it is wrong, or asks for help.
        """
        found = self.parse_args(list(words))
        if getattr(found, "first", None) is not None:
            found.arguments = [found.first, *found.arguments]
        if found.help:
            raise Usage(self.format_help(), 0)
        self._check_count(len(found.arguments))
        return found

    def _checked(self, names: Sequence[str], parse: Parse) -> Parse:
        """Return a reader of an option's value that says what is wrong with it in docker's words."""

        def read(text: str) -> Any:
            try:
                return parse(text)
            except ValueError as error:
                self.error(f'invalid argument "{text}" for "{", ".join(names)}" flag: {error}')

        return read

    def _check_count(self, count: int) -> None:
        if count < self._minimum or (self._maximum is not None and count > self._maximum):
            if self._maximum == 0:
                wanted = "accepts no arguments"
            elif self._minimum == self._maximum:
                wanted = f"requires {self._minimum} argument{'s' * (self._minimum != 1)}"
            elif count < self._minimum:
                wanted = f"requires at least {self._minimum} argument{'s' * (self._minimum != 1)}"
            else:
                wanted = f"requires at most {self._maximum} argument{'s' * (self._maximum != 1)}"
            raise Usage(f"lamina: '{self.prog}' {wanted}{self._see()}", 1)

    def error(self, message: str) -> NoReturn:
        """Raise a usage error, in docker's words for the most common one."""
        word = message.partition("unrecognized arguments: ")[2].split(" ")[0]
        if word.startswith("--"):
            message = f"unknown flag: {word.partition('=')[0]}"
        elif word.startswith("-"):
            message = f"unknown shorthand flag: '{word[1:2]}' in {word}"
        elif "expected one argument" in message:
            message = f"flag needs an argument: {message.split(':')[0].removeprefix('argument ').split('/')[-1]}"
        elif "ignored explicit argument" in message:
            flag, _, value = message.removeprefix("argument ").partition(": ignored explicit argument ")
            message = (
                f'invalid argument "{value[1:-1]}" for "{flag.replace("/", ", ")}" flag: true or false is expected'
            )
        raise Usage(message + self._see(), USAGE_EXIT)

    def _see(self) -> str:
        return f"\n\nUsage:  {self._line}\n\nRun '{self.prog} --help' for more information\n"

    def format_help(self) -> str:
        """Return the help text, in docker's layout."""
        parts = [f"\nUsage:  {self._line}\n", self._summary]
        if self._aliases:
            parts.append("\nAliases:\n  " + ", ".join([self.prog, *self._aliases]))
        shown = [action for action in self._actions if action.option_strings and action.help != argparse.SUPPRESS]
        if shown:
            parts.append("\nOptions:\n" + columns(_describe(action) for action in _sorted(shown)))
        return "\n".join(parts) + ("\n" if not shown else "")


def number(text: str) -> int:
    """Return a whole number; ValueError says that it is none."""
    try:
        return int(text)
    except ValueError as error:
        raise ValueError("it is not a whole number") from error


def pair(text: str) -> str:
    """Return `name=value` as it is; ValueError says that it is not of this form."""
    if "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")
    return text


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return `name=value` texts by name; a bare name has an empty value."""
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


@cache
def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return one formatter: argparse makes one for every option, which looks at the terminal and imports shutil."""
    return argparse.HelpFormatter(prog, width=80)


def columns(rows: Iterable[tuple[str, str]]) -> str:
    """Return lines of two columns, the second aligned."""
    found = list(rows)
    width = max((len(left) for left, _ in found), default=0) + 3
    return "".join(f"{left:<{width}}{right}".rstrip() + "\n" for left, right in found)


def _words(usage: str) -> list[str]:
    words = usage.split()
    return words[: next((at for at, word in enumerate(words) if not word.islower()), len(words))]


def _sorted(actions: list[argparse.Action]) -> list[argparse.Action]:
    key: Callable[[argparse.Action], str] = lambda action: _long(action).lower()  # noqa: E731
    return sorted(actions, key=key)


def _long(action: argparse.Action) -> str:
    return max(action.option_strings, key=len).lstrip("-")


def _describe(action: argparse.Action) -> tuple[str, str]:
    short = next((name for name in action.option_strings if not name.startswith("--")), "")
    names = f"  {short}, --{_long(action)}" if short else f"      --{_long(action)}"
    value = f" {action.metavar}" if action.metavar else ""
    return names + value, action.help or ""
