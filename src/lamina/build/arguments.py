"""Build arguments: what ARG declares, what the command line sets, and where each can be seen.

Arguments before the first FROM are seen by FROM lines only. In a stage an argument is seen from its ARG on; one
without a default there takes that of before the first FROM. A variable of ENV hides the argument of its name.
The proxies need no ARG, and count neither for the cache nor for the history unless they have one.
"""

from collections.abc import Iterable, Mapping

PROXIES = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)
EPOCH = "SOURCE_DATE_EPOCH"
"""Set, it is the time of everything that a build makes (reproducible-builds.org); it needs no ARG."""


class Arguments:
    """The arguments of one build.

    Args:
        given: what the command line sets; None for a name without a value, which leaves the default.
    """

    def __init__(self, given: Mapping[str, str | None]) -> None:
        self._given = dict(given)
        self._used: set[str] = set()
        self.globals: dict[str, str] = {}
        """What FROM lines see."""

    def declare_global(self, name: str, default: str | None) -> None:
        """Take an ARG before the first FROM."""
        self._used.add(name)
        given = self._given.get(name)
        value = given if given is not None else default
        if value is not None:
            self.globals[name] = value

    def for_from(self) -> dict[str, str]:
        """Return the environment of FROM lines."""
        return {**self._proxies(), **self.globals}

    def stage(self) -> "StageArguments":
        """Return the arguments of a stage, of which none is declared yet."""
        return StageArguments(self)

    def value(self, name: str, default: str | None) -> str | None:
        """Return the value of an argument that a stage declares."""
        self._used.add(name)
        given = self._given.get(name)
        if given is not None:
            return given
        return default if default is not None else self.globals.get(name)

    def _proxies(self) -> dict[str, str]:
        return {name: value for name, value in self._given.items() if name in PROXIES and value is not None}

    def proxies(self) -> dict[str, str]:
        """Return the proxies that the command line sets."""
        return self._proxies()

    def unused(self) -> list[str]:
        """Return the names given on the command line that no ARG asked for."""
        return sorted(set(self._given) - self._used - PROXIES - {EPOCH})


class StageArguments:
    """The arguments that a stage has declared so far."""

    def __init__(self, all_arguments: Arguments) -> None:
        self._all = all_arguments
        self._declared: dict[str, str] = {}

    def declare(self, name: str, default: str | None) -> None:
        """Take an ARG of the stage."""
        value = self._all.value(name, default)
        if value is not None:
            self._declared[name] = value
        else:
            self._declared.pop(name, None)

    def visible(self, env: Iterable[str]) -> dict[str, str]:
        """Return all variables that instructions see: arguments, and over them those of ENV."""
        return {**self._all.proxies(), **self._declared, **dict(text.partition("=")[::2] for text in env)}

    def for_run(self, env: Iterable[str]) -> list[str]:
        """Return what RUN gets beside ENV, `NAME=value`."""
        hidden = {text.partition("=")[0] for text in env}
        found = {**self._all.proxies(), **self._declared}
        return [f"{name}={value}" for name, value in sorted(found.items()) if name not in hidden]

    def for_key(self, env: Iterable[str]) -> list[str]:
        """Return the part of `for_run` that makes a RUN another one: not the proxies that have no ARG."""
        return [text for text in self.for_run(env) if text.partition("=")[0] in self._declared]
