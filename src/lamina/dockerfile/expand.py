"""Variables: `$name`, `${name}` and its modifiers, in the words of an instruction.

    ${v:-w}  w if v is unset or empty         ${v-w}  w if v is unset
    ${v:+w}  w unless v is unset or empty     ${v+w}  w unless v is unset
    ${v:?w}  an error if v is unset or empty  ${v?w}  an error if v is unset
    ${v#p}   v without the shortest beginning that matches p; ## the longest
    ${v%p}   v without the shortest end that matches p; %% the longest
    ${v/p/w} v with the first match of p replaced by w; // all of them

Quotes and escapes go, as in a shell: nothing is special in single quotes, only `$` and the escape character are
in double ones. Other special parameters, such as `$1` and `$@`, are empty unless the environment has them.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from .instructions import (
    Add,
    Arg,
    Copy,
    Env,
    Expose,
    File,
    Instruction,
    Label,
    Stage,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from .substitution import MOST, BadSubstitution, Expansion
from .words import SPACE

__all__ = ["MOST", "BadSubstitution", "expanded", "heredoc", "stage", "word", "words"]

_One = TypeVar("_One", bound=Instruction)


def word(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """Return a text with its variables expanded and its quotes removed.

    Raises:
        BadSubstitution: see there.
    """
    return "".join(piece for piece, _ in Expansion(text, env, escape).all())


def words(text: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Do what `word` does, and split the result at blanks that were not quoted; a variable may yield many words.

    Raises:
        BadSubstitution: see there.
    """
    found: list[str] = []
    open_word: list[str] = []
    for piece, parts in Expansion(text, env, escape).all():
        chunks = _blanks().split(piece) if parts else [piece]
        for i, chunk in enumerate(chunks):
            if i:
                found.append("".join(open_word))
                open_word = []
            open_word.append(chunk)
    found.append("".join(open_word))
    return [each for each in found if each]


def heredoc(text: str, env: Mapping[str, str]) -> str:
    """Return the text of a heredoc with its variables expanded: quotes stay, and a backslash escapes anything.

    Raises:
        BadSubstitution: see `word`.
    """
    return "".join(piece for piece, _ in Expansion(text, env, "\\", quotes=False).all())


def expanded(instruction: _One, env: Mapping[str, str], escape: str = "\\") -> _One:
    """Return an instruction with the words expanded that Docker expands, and no others.

    These are: the sources, heredocs, destination, owner, mode and checksum of ADD and COPY, but not `--from`; the
    names and values of ARG, ENV and LABEL, all by the environment before the instruction; the words of EXPOSE,
    STOPSIGNAL, USER, VOLUME and WORKDIR.

    Raises:
        BadSubstitution: see `word`.
    """
    done = _expanded(instruction, env, lambda text: word(text, env, escape), escape)
    assert isinstance(done, type(instruction))
    return done


def stage(origin: Stage, arguments: Mapping[str, str], escape: str = "\\") -> Stage:
    """Return a stage with its base and platform expanded; `arguments` are the global ones, the only ones allowed.

    Raises:
        BadSubstitution: see `word`.
    """
    base = word(origin.base, arguments, escape)
    return replace(origin, base=base, platform=word(origin.platform, arguments, escape))


def _expanded(one: Instruction, env: Mapping[str, str], do: Callable[[str], str], escape: str) -> Instruction:
    match one:
        case Add():
            return replace(_transfer(one, env, do), checksum=do(one.checksum))
        case Copy():
            return _transfer(one, env, do)
        case Env():
            return replace(one, variables=tuple((do(name), do(value)) for name, value in one.variables))
        case Label():
            return replace(one, labels=tuple((do(name), do(value)) for name, value in one.labels))
        case Arg():
            pairs = tuple((do(name), None if value is None else do(value)) for name, value in one.variables)
            return replace(one, variables=pairs)
        case Expose():
            return replace(one, ports=tuple(each for port in one.ports for each in words(port, env, escape)))
        case Stopsignal():
            return replace(one, signal=do(one.signal))
        case User():
            return replace(one, user=do(one.user))
        case Volume():
            return replace(one, paths=tuple(do(path) for path in one.paths))
        case Workdir():
            return replace(one, path=do(one.path))
        case _:
            return one


_Transfer = TypeVar("_Transfer", Add, Copy)


def _transfer(one: _Transfer, env: Mapping[str, str], do: Callable[[str], str]) -> _Transfer:
    return replace(
        one,
        sources=tuple(do(source) for source in one.sources),
        files=tuple(_file(file, env) for file in one.files),
        destination=do(one.destination),
        chown=do(one.chown),
        chmod=do(one.chmod),
    )


def _file(file: File, env: Mapping[str, str]) -> File:
    return replace(file, text=heredoc(file.text, env), expand=False) if file.expand else file


@functools.cache
def _blanks() -> re.Pattern[str]:
    return re.compile(f"[{SPACE}]+")
