"""find(1) over the files of an image.

    expression = and {-o and}      and = not {[-a] not}      not = {!} (primary | "(" expression ")")

Sizes of directories are 0, and there are no tests of what an image does not say: inodes, blocks, times of access.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ..errors import InvalidArgument
from ..filetree import File
from ..store.store import Store
from . import globs
from .browsing import FileInfo, Tree, info

_KINDS = {
    "f": stat.S_IFREG,
    "d": stat.S_IFDIR,
    "l": stat.S_IFLNK,
    "c": stat.S_IFCHR,
    "b": stat.S_IFBLK,
    "p": stat.S_IFIFO,
}
_UNITS = {"c": 1, "w": 2, "b": 512, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_OCTAL = frozenset("01234567")
_ACTIONS = ("-print", "-print0", "-ls")
_MAX_NESTED = 100


class BadExpression(InvalidArgument):
    """An expression cannot be read."""


class Found(NamedTuple):
    """A file that was found, how it is called from where the search began, and what is to be done: `-print`, say."""

    file: FileInfo
    path: bytes
    action: str


class _Visit(msgspec.Struct):
    """A file that is looked at, and what came of it."""

    file: File
    path: bytes
    tree: Tree
    actions: list[str] = []
    pruned: bool = False

    @property
    def name(self) -> str:
        return os.fsdecode(self.path.rstrip(b"/").rpartition(b"/")[2] or self.path[:1])


_Test = Callable[[_Visit], bool]


def find(store: Store, image: str, path: str, words: Sequence[str]) -> Iterator[Found]:
    """Yield what is found at and below a path, parents first and names sorted.

    Args:
        store: where the image is.
        image: its name or id.
        path: where to begin; a link is followed only if a slash stands behind it.
        words: the expression: `["-name", "*.conf", "-size", "+1k"]`; what it holds for is printed, unless it says
            what is to be done.

    Raises:
        BadExpression: it cannot be read.
        ImageNotFound: there is no such image.
        NotFound: there is nothing at the path.
    """
    parsed = _Parser(words)
    tree = Tree(store, image)
    start = os.fsencode(path)
    return _search(tree, tree.find(start, follow=path.endswith("/")), start, parsed)


def _search(tree: Tree, start: File, path: bytes, parsed: "_Parser") -> Iterator[Found]:
    prefix, inside = path.removesuffix(b"/") + b"/", len(start.path) + bool(start.path)
    waiting = [iter((start,))]
    while waiting:
        file = next(waiting[-1], None)
        if file is None:
            waiting.pop()
            continue
        depth = len(waiting) - 1
        place = prefix + file.path[inside:] if depth else path
        visit = _Visit(file, place, tree)
        if depth >= parsed.least:
            parsed.test(visit)
            for action in visit.actions:
                yield Found(info(file), place, action)
        if file.inode.is_directory and not visit.pruned and (parsed.most is None or depth < parsed.most):
            waiting.append(tree.names(file))


class _Parser:
    """Reads an expression.

    Attributes:
        test: what it says.
        least: the depth from which on it is asked.
        most: the depth to which it goes down, None for any.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.least = 0
        self.most: int | None = None
        self._words = list(words)[::-1]
        self._acts = False
        self._nested = 0
        tests = [self._either()] if words else []
        if self._words:
            raise BadExpression("you have too many ')'")
        self.test = _all(tests if self._acts else [*tests, _acting("-print")])

    def _either(self) -> _Test:
        tests = [self._all()]
        while self._take("-o", "-or"):
            tests.append(self._all())
        return _any(tests)

    def _all(self) -> _Test:
        tests = [self._negated()]
        while self._take("-a", "-and") or (self._words and self._words[-1] not in ("-o", "-or", ")")):
            tests.append(self._negated())
        return _all(tests)

    def _negated(self) -> _Test:
        if not self._words or self._words[-1] in ("-o", "-or", "-a", "-and", ")"):
            where = f"before {self._words[-1]}" if self._words else "at the end"
            raise BadExpression(f"invalid expression: a test is missing {where}")
        is_negated = False
        while self._take("!", "-not"):
            is_negated = not is_negated
        test = self._nest() if self._take("(") else self._primary()
        return _not(test) if is_negated else test

    def _nest(self) -> _Test:
        self._nested += 1
        if self._nested > _MAX_NESTED:
            raise BadExpression(f"more than {_MAX_NESTED} parentheses in each other")
        test = self._either()
        if not self._take(")"):
            raise BadExpression("invalid expression; I was expecting to find a ')' somewhere but did not see one.")
        self._nested -= 1
        return test

    def _take(self, *words: str) -> bool:
        if self._words and self._words[-1] in words:
            self._words.pop()
            return True
        return False

    def _primary(self) -> _Test:
        if not self._words:
            raise BadExpression("expected an expression after '!'")
        word = self._words.pop()
        if word in _ACTIONS:
            self._acts = True
            return _acting(word)
        if word in _PLAIN:
            return _PLAIN[word]
        if word not in ("-maxdepth", "-mindepth") and word not in _WITH_VALUE:
            raise BadExpression(f"unknown predicate {word!r}")
        if not self._words:
            raise BadExpression(f"missing argument to {word!r}")
        value = self._words.pop()
        if word in _WITH_VALUE:
            return _WITH_VALUE[word](value)
        if not (value.isascii() and value.isdigit()):
            raise BadExpression(f"expected a positive decimal integer argument to {word}, but got {value!r}")
        if word == "-maxdepth":
            self.most = int(value)
        else:
            self.least = int(value)
        return _always


def _always(_: _Visit) -> bool:
    return True


def _all(tests: list[_Test]) -> _Test:
    if len(tests) == 2:
        one, other = tests
        return lambda visit: one(visit) and other(visit)
    return tests[0] if len(tests) == 1 else lambda visit: all(test(visit) for test in tests)


def _any(tests: list[_Test]) -> _Test:
    return tests[0] if len(tests) == 1 else lambda visit: any(test(visit) for test in tests)


def _not(test: _Test) -> _Test:
    return lambda visit: not test(visit)


def _acting(action: str) -> _Test:
    def act(visit: _Visit) -> bool:
        visit.actions.append(action)
        return True

    return act


def _prune(visit: _Visit) -> bool:
    visit.pruned = True
    return True


def _is_empty(visit: _Visit) -> bool:
    if visit.file.inode.is_directory:
        return next(visit.tree.names(visit.file), None) is None
    return stat.S_ISREG(visit.file.inode.mode) and not visit.file.size


def _is_symlink(visit: _Visit) -> bool:
    return visit.file.inode.is_symlink


def _glob(text: Callable[[_Visit], str], *, ignore_case: bool = False) -> Callable[[str], _Test]:
    def read(pattern: str) -> _Test:
        matches = re.compile(globs.regex(pattern), re.DOTALL | (re.IGNORECASE if ignore_case else 0)).fullmatch
        return lambda visit: matches(text(visit)) is not None

    return read


def _name(visit: _Visit) -> str:
    return visit.name


def _path(visit: _Visit) -> str:
    return os.fsdecode(visit.path)


def _target(visit: _Visit) -> str:
    return os.fsdecode(visit.file.target)


def _of_type(text: str) -> _Test:
    letters = text.split(",")
    if not _KINDS.keys() >= set(letters):
        raise BadExpression(f"unknown argument to -type: {text}")
    kinds = {_KINDS[letter] for letter in letters}
    return lambda visit: stat.S_IFMT(visit.file.inode.mode) in kinds


def _of_size(text: str) -> _Test:
    unit = _UNITS.get(text[-1:], 0) if not text[-1:].isdigit() else 512
    if not unit:
        raise BadExpression(f"invalid -size type {text[-1:]!r}: one of {', '.join(_UNITS)}")
    compares = _number("-size", text.rstrip("cwbkMG") if not text[-1:].isdigit() else text)
    return lambda visit: compares(-(-visit.file.size // unit))


def _of_uid(text: str) -> _Test:
    compares = _number("-uid", text)
    return lambda visit: compares(visit.file.inode.uid)


def _of_gid(text: str) -> _Test:
    compares = _number("-gid", text)
    return lambda visit: compares(visit.file.inode.gid)


def _number(word: str, text: str) -> Callable[[int], bool]:
    """Return what compares with N, +N (more) or -N (less)."""
    digits = text.removeprefix("+") if text.startswith("+") else text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise BadExpression(f"invalid argument {text!r} to {word}")
    wanted = int(digits)
    if text.startswith("+"):
        return lambda number: number > wanted
    if text.startswith("-"):
        return lambda number: number < wanted
    return lambda number: number == wanted


def _of_mode(text: str) -> _Test:
    """Return a test of permissions in octal: just these, -MODE for all of these, /MODE for any of these."""
    digits = text.lstrip("-/")
    if not digits or not _OCTAL.issuperset(digits) or len(text) - len(digits) > 1 or int(digits, 8) > 0o7777:
        raise BadExpression(f"invalid mode {text!r}: expected octal permissions, such as 644, -4000 or /222")
    wanted = int(digits, 8)
    if text.startswith("-"):
        return lambda visit: visit.file.inode.mode & wanted == wanted
    if text.startswith("/"):
        return lambda visit: not wanted or bool(visit.file.inode.mode & wanted)
    return lambda visit: stat.S_IMODE(visit.file.inode.mode) == wanted


_PLAIN: dict[str, _Test] = {
    "-empty": _is_empty,
    "-prune": _prune,
    "-true": _always,
    "-false": _not(_always),
}

_WITH_VALUE: dict[str, Callable[[str], _Test]] = {
    "-name": _glob(_name),
    "-iname": _glob(_name, ignore_case=True),
    "-path": _glob(_path),
    "-wholename": _glob(_path),
    "-ipath": _glob(_path, ignore_case=True),
    "-lname": lambda pattern: _all([_is_symlink, _glob(_target)(pattern)]),
    "-type": _of_type,
    "-size": _of_size,
    "-perm": _of_mode,
    "-uid": _of_uid,
    "-gid": _of_gid,
}
