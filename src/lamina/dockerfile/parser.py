"""Reads a Dockerfile, a trigger stored in an image, or the changes of a commit.

The language: https://docs.docker.com/reference/dockerfile/. Where that says nothing, the parser of BuildKit,
which the classic builder shares, is followed.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from . import grammar, statement
from .instructions import Arg, Dockerfile, From, Instruction, Maintainer, Onbuild, Stage
from .lines import Lines
from .mistakes import Malformed, shown
from .statement import Statement

_CHANGES = (
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
)


def parse(data: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Read a whole Dockerfile; `name` is what messages call it.

    Raises:
        Malformed: it cannot be read, or has no stage.
    """
    if not data:
        raise Malformed(name, 1, f"the Dockerfile ({name}) cannot be empty")
    lines = Lines(data, name)
    lines.read_directives()
    found = [(at, _instruction(at)) for at in _statements(lines, name)]
    if not found:
        raise Malformed(name, 1, "file with no instructions")
    first = next((i for i, (_, one) in enumerate(found) if isinstance(one, From)), len(found))
    return Dockerfile(
        lines.escape,
        lines.directives.get("syntax", ""),
        lines.directives.get("check", ""),
        tuple(_arguments(found[:first])),
        tuple(_stages(found[first:], name)),
        tuple(lines.warnings),
    )


def trigger(text: str, name: str = "ONBUILD") -> Instruction:
    """Read the one instruction that a trigger holds: the text of an `Onbuild`, or one stored in an image.

    Raises:
        Malformed: it cannot be read, is not one instruction, or is one that no trigger may be.
    """
    return _trigger(text, name, 1)


def changes(lines: Sequence[str], name: str = "change") -> tuple[Instruction, ...]:
    """Read the instructions that a commit or an import applies to an image config.

    Raises:
        Malformed: a line cannot be read, or is an instruction that changes no config.
    """
    return tuple(_change(at) for at in _statements(Lines("\n".join(lines).encode(errors="replace"), name), name))


def _change(at: Statement) -> Instruction:
    one = _instruction(at) if at.kind in _CHANGES else None
    if one is None or isinstance(one, From):
        raise at.error(f"{shown(at.keyword)} is not a valid change command: use one of {', '.join(_CHANGES)}")
    return one


def _statements(lines: Lines, file: str) -> Iterator[Statement]:
    while line := lines.next():
        at = statement.split(line, file, lines.escape)
        texts = tuple(lines.heredoc(opener, line.number) for opener in at.openers())
        yield msgspec.structs.replace(at, heredocs=texts) if texts else at


def _instruction(at: Statement) -> Instruction | From:
    one = grammar.read(at)
    if isinstance(one, Onbuild):
        _trigger(one.trigger, at.file, at.line)
    return one


def _trigger(text: str, file: str, number: int) -> Instruction:
    """Read a trigger as a build on the image will: a stored text knows no escape directive."""
    found = list(_statements(Lines(text.encode(errors="replace"), file, number), file))
    if len(found) != 1:
        raise Malformed(file, number, "onbuild trigger should be a single expression")
    at = found[0]
    if at.kind == "ONBUILD":
        raise at.error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    one = grammar.read(at)
    if isinstance(one, From | Maintainer):
        raise at.error(f"{at.kind} isn't allowed as an ONBUILD trigger")
    return one


def _arguments(found: Iterable[tuple[Statement, Instruction | From]]) -> Iterator[Arg]:
    for at, one in found:
        if not isinstance(one, Arg):
            raise at.error(f"no build stage in current context: {at.kind} must come after a FROM")
        yield one


def _stages(found: Sequence[tuple[Statement, Instruction | From]], file: str) -> Iterator[Stage]:
    starts = [i for i, (_, one) in enumerate(found) if isinstance(one, From)]
    names: set[str] = set()
    if not starts:
        raise Malformed(file, 1, "No image was generated. Is your Dockerfile empty? It has no FROM")
    for index, (start, end) in enumerate(zip(starts, [*starts[1:], len(found)], strict=True)):
        at, origin = found[start]
        assert isinstance(origin, From)
        if origin.name and origin.name in names:
            raise at.error(f"{origin.name} stage name already used")
        names.add(origin.name)
        body = tuple(one for _, one in found[start + 1 : end] if not isinstance(one, From))
        yield Stage(index, origin.line, origin.source, origin.base, origin.name, origin.platform, body)
