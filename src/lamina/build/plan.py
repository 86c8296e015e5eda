"""Which stages a target needs, and how many steps they are."""

from typing import NamedTuple

from ..dockerfile import expand
from ..dockerfile.instructions import Copy, Dockerfile, Stage
from ..errors import InvalidArgument


class UnknownStage(InvalidArgument):
    """No stage has the name or the number asked for."""


class Plan(NamedTuple):
    """The stages to build, in the order of the file, the target last; and the number of steps that are shown."""

    stages: list[Stage]
    steps: int


def plan(file: Dockerfile, target: str, arguments: dict[str, str]) -> Plan:
    """Return what is to be built.

    Args:
        file: the Dockerfile.
        target: name or number of the last stage wanted; empty for the file's last.
        arguments: what FROM lines see.

    Raises:
        UnknownStage: there is no such target.
    """
    stages = [expand.stage(stage, arguments, file.escape) for stage in file.stages]
    last = find(stages, target) if target else stages[-1]
    if last is None:
        raise UnknownStage(f'target stage "{target}" could not be found')
    needed = {last.index}
    for stage in reversed(stages[: last.index + 1]):
        if stage.index in needed:
            needed.update(other.index for other in _uses(stage, stages[: stage.index]))
    wanted = [stage for stage in stages if stage.index in needed]
    return Plan(wanted, len(file.arguments) + sum(1 + len(stage.instructions) for stage in wanted))


def find(stages: list[Stage], text: str) -> Stage | None:
    """Return the stage of a name or a number, the last of several."""
    named = [stage for stage in stages if stage.name and stage.name == text.lower()]
    if named:
        return named[-1]
    return next((stage for stage in stages if text.isdigit() and stage.index == int(text)), None)


def _uses(stage: Stage, before: list[Stage]) -> list[Stage]:
    names = [stage.base] if not stage.base.isdigit() else []
    names += [one.origin for one in stage.instructions if isinstance(one, Copy) and one.origin]
    return [found for found in (find(before, name) for name in names) if found is not None]
