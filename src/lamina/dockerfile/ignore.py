"""`.dockerignore`: which paths of a build context stay behind.

A rule is a pattern of `glob`, in which `**` stands for any number of directories. It holds for the paths that
match and for all below them; of the rules that hold for a path, the last decides, and one that begins with `!`
takes the path back in. https://docs.docker.com/build/concepts/context/#dockerignore-files

All rules together are one automaton, which reads a path letter by letter. Its states are made when they are
first met, so the time for a path does not grow with the number of rules, and no pattern is slow.
"""

import enum
import posixpath
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from . import glob
from .glob import BadPattern, Wild
from .mistakes import Malformed
from .words import SPACE

LARGEST = 1 << 20
"""Bytes in an ignore file."""

_REMEMBERED = 20_000
"""States, and directories, that are kept before all are forgotten."""


class Rule(msgspec.Struct, frozen=True):
    """One line of the file; `pattern` is clean: no `!`, no slash at its ends."""

    line: int
    pattern: str
    keeps: bool = False
    """Whether the line began with `!`."""


class _Step(enum.Enum):
    """What a rule may have beside the parts of a `glob` pattern."""

    INTO = enum.auto()  # `**` begins: go on to DEEP, or past it
    DEEP = enum.auto()  # inside of `**`: any letter; past it after a slash
    REST = enum.auto()  # anything at all
    END = enum.auto()  # the path matches if it ends here, and is above what matches if a slash follows
    BELOW = enum.auto()  # below a path that matches


_Part: TypeAlias = glob.Token | _Step


class _State:
    """Where in the rules a path may be after some letters."""

    __slots__ = ("live", "next", "rule")

    def __init__(self, live: frozenset[int], rule: int) -> None:
        self.live = live
        self.rule = rule
        self.next: dict[str, _State] = {}


class Ignore:
    """The rules of an ignore file, ready for a walk.

    Paths are relative to the context, clean, with slashes. What was worked out for one path serves the next,
    up to a bound; no answer depends on it.
    """

    def __init__(self, rules: Iterable[Rule], remembered: int = _REMEMBERED) -> None:
        self.rules = tuple(rules)
        self._remembered = remembered
        self._parts: list[_Part] = []
        self._rule_of: list[int] = []
        self._starts: list[int] = []
        for index, rule in enumerate(self.rules):
            self._starts.append(len(self._parts))
            self._parts += _parts(rule.pattern)
            self._rule_of += [index] * (len(self._parts) - len(self._rule_of))
        self._skips = [_skips(at, part) for at, part in enumerate(self._parts)]
        self._forget()

    @classmethod
    def parse(cls, data: bytes, name: str = ".dockerignore", keep: Iterable[str] = ()) -> "Ignore":
        """Read an ignore file; the paths in `keep` stay in the context whatever it says.

        Raises:
            Malformed: a pattern is wrong, or the file is too large; the text begins with `NAME:LINE: `.
        """
        kept = (Rule(0, _escaped(posixpath.normpath(path)), keeps=True) for path in keep)
        return cls([*_rules(data, name), *kept])

    def excludes(self, path: str) -> bool:
        """Tell whether a path stays behind; the context itself, `.`, never does."""
        rule = self.rule(path)
        return rule is not None and not rule.keeps

    def rule(self, path: str) -> Rule | None:
        """Return the rule that decides about a path, if one does."""
        if path in ("", "."):
            return None
        folder, slash, name = path.rpartition("/")
        state = self._below(folder) if slash else self._start
        for letter in name:
            state = state.next.get(letter) or self._advance(state, letter)
        return self.rules[state.rule] if state.rule >= 0 else None

    def prunes(self, folder: str) -> bool:
        """Tell whether all below a directory stays behind, so that no walk need enter it.

        The directory itself may go along: see `excludes`.
        """
        if folder in ("", "."):
            return False
        live = self._below(folder).live
        cover = max((at for at in live if self._covers(at)), default=len(self._parts))
        later = (self.rules[self._rule_of[at]] for at in live if at >= cover)
        return cover < len(self._parts) and not any(rule.keeps for rule in later)

    def _covers(self, at: int) -> bool:
        """Tell whether a part that is live after a slash means that the rule holds for any name that follows."""
        if self._parts[at] is _Step.END:
            return self._parts[at - 1] in (Wild.MANY, _Step.REST)
        return self._parts[at] is _Step.BELOW

    def _below(self, folder: str) -> _State:
        """Return the state after the path of a directory and a slash."""
        state = self._folders.get(folder)
        if state is None:
            state = self._start
            for letter in f"{folder}/":
                state = state.next.get(letter) or self._advance(state, letter)
            if len(self._folders) >= self._remembered:
                self._forget()
            self._folders[folder] = state
        return state

    def _advance(self, state: _State, letter: str) -> _State:
        """Make, or find, the state that follows one at a letter."""
        if len(self._states) >= self._remembered:
            self._forget()
        after = self._state(at for live in state.live for at in self._after(live, letter))
        state.next[letter] = after
        return after

    def _after(self, at: int, letter: str) -> Iterable[int]:
        """Return the parts that may come after a letter that was met at a part."""
        part = self._parts[at]
        if isinstance(part, _Step):
            stays = part in (_Step.DEEP, _Step.REST, _Step.BELOW)
            leaves = part in (_Step.DEEP, _Step.END) and letter == "/"
            return (at,) * stays + (at + 1,) * leaves
        if part is Wild.MANY:
            return () if letter == "/" else (at,)
        return (at + 1,) if glob.accepts(part, letter) else ()

    def _state(self, parts: Iterable[int]) -> _State:
        """Make, or find, the state of being at one of some parts, or at what may be skipped to from there."""
        live: set[int] = set()
        waiting = list(parts)
        while waiting:
            at = waiting.pop()
            if at not in live:
                live.add(at)
                waiting += self._skips[at]
        found = frozenset(self._deciding(live))
        state = self._states.get(found)
        if state is None:
            ended = (self._rule_of[at] for at in found if self._parts[at] in (_Step.END, _Step.BELOW))
            state = self._states[found] = _State(found, max(ended, default=-1))
        return state

    def _deciding(self, live: set[int]) -> set[int]:
        """Leave out the rules before one that holds for all that follows."""
        settled = max((at for at in live if self._parts[at] is _Step.BELOW), default=-1)
        return live if settled < 0 else {at for at in live if at >= settled}

    def _forget(self) -> None:
        self._states: dict[frozenset[int], _State] = {}
        self._folders: dict[str, _State] = {}
        self._start = self._state(self._starts)


def _skips(at: int, part: _Part) -> tuple[int, ...]:
    """Return what else may come next, because a part may stand for nothing."""
    if part is _Step.INTO:
        return at + 1, at + 2
    return (at + 1,) if part in (Wild.MANY, _Step.REST) else ()


def _rules(data: bytes, name: str) -> Iterator[Rule]:
    if len(data) > LARGEST:
        raise Malformed(name, 1, f"the file is larger than {LARGEST} bytes")
    text = data.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        pattern = line.strip(SPACE)
        if not pattern or line.startswith("#"):
            continue
        try:
            yield _rule(number, pattern)
        except BadPattern as error:
            raise Malformed(name, number, str(error)) from error


def _rule(number: int, text: str) -> Rule:
    keeps = text.startswith("!")
    pattern = text.removeprefix("!").strip(SPACE)
    if not pattern:
        raise BadPattern('illegal exclusion pattern: "!"')
    clean = posixpath.normpath(pattern).lstrip("/") or "/"
    for _ in glob.tokens(clean):
        pass
    return Rule(number, clean, keeps)


def _parts(pattern: str) -> Iterator[_Part]:
    """Yield what a rule is made of."""
    plain = pattern.removeprefix("**")
    if plain != pattern and not plain.startswith("/") and not set(plain) & set("*?[]\\"):
        # `**.md` is any path with that ending; elsewhere `**` stands for whole directories
        yield _Step.REST
        yield from plain
    else:
        yield from _deep(list(glob.tokens(pattern)))
    yield from (_Step.END, _Step.BELOW)


def _deep(tokens: list[glob.Token]) -> Iterator[_Part]:
    """Replace `**`, and the slash after it, by steps."""
    at = 0
    while at < len(tokens):
        if tokens[at : at + 2] != [Wild.MANY, Wild.MANY]:
            yield tokens[at]
            at += 1
            continue
        at += 3 if tokens[at + 2 : at + 3] == ["/"] else 2
        yield from (_Step.INTO, _Step.DEEP) if at < len(tokens) else (_Step.REST,)


def _escaped(path: str) -> str:
    return "".join(f"\\{letter}" if letter in "*?[\\" else letter for letter in path)
