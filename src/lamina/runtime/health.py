"""How a container's health is, as the prober notes it for everybody to read.

<run root>/health/<name>/         made at the container's start, removed with the container
  health.json                     what is known by now
  plan.json                       what the prober is to do
  process.json                    what a probe runs, as the runtime takes it
  pid, log                        of the last probe

It is below a folder that the machine's start empties: health is about what runs, and is known anew at each start.
"""

import contextlib
import os

import msgspec

from ..decoding import NOT_JSON
from ..files import remove_tree

STARTING, HEALTHY, UNHEALTHY, NONE = "starting", "healthy", "unhealthy", "none"
"""How a container may be; NONE is that of one without a check."""

RETRIES = 3
"""Failures in a row after which a container is unhealthy, if it does not say."""

KEPT = 5
"""Results that are kept."""


class Result(msgspec.Struct, frozen=True, rename="pascal"):
    """What came of a probe: RFC 3339 times, its exit status (-1 if it had none), the beginning of its output."""

    start: str
    end: str
    exit_code: int
    output: str = ""


class Health(msgspec.Struct, frozen=True, rename="pascal"):
    """Docker's State.Health: `failing_streak` failures in a row, and the last results, the newest last."""

    status: str = STARTING
    failing_streak: int = 0
    log: list[Result] = []


def after(health: Health, result: Result, *, retries: int = RETRIES, excused: bool = False) -> Health:
    """Return how a container is after one more probe.

    Args:
        health: how it was.
        result: of the probe.
        retries: failures in a row that make it unhealthy.
        excused: it has just been started: a failure does not count, unless it was healthy once.
    """
    log = [*health.log, result][-KEPT:]
    if result.exit_code == 0:
        return Health(HEALTHY, 0, log)
    if excused and health.status == STARTING:
        return msgspec.structs.replace(health, log=log)
    streak = health.failing_streak + 1
    return Health(UNHEALTHY if streak >= retries else health.status, streak, log)


def folder(run_root: str, name: str) -> str:
    """Return the folder of a container's health."""
    return os.path.join(run_root, "health", name)


def read(run_root: str, name: str) -> Health | None:
    """Return how a container is; None where nobody has noted it."""
    try:
        with open(os.path.join(folder(run_root, name), "health.json"), "rb") as file:
            return msgspec.json.decode(file.read(), type=Health)
    except (OSError, *NOT_JSON):
        return None


def write(path: str, value: msgspec.Struct | dict[str, object]) -> None:
    """Write a file of the folder, whole or not at all; it need not outlive the machine."""
    with open(f"{path}.new", "wb") as file:
        file.write(msgspec.json.encode(value))
    os.rename(f"{path}.new", path)


def remove(run_root: str, name: str) -> None:
    """Remove all of it. Out of the way first: a prober that is about to write finds no folder."""
    path = folder(run_root, name)
    away = f"{path}.{os.urandom(4).hex()}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, away)
        remove_tree(away)
