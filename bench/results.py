"""Results as a file of JSON: every figure, and what to know about the machine beside them.

{
  "format": 1,
  "date": "2026-01-31T12:00:00+00:00",
  "commit": "4f2c…", "-dirty" after it where files were changed since,
  "rounds": 5,
  "machine": {"processor": …, "processors": 2, "memory": …, "kernel": …, "disk": …, "versions": {"podman": …}, …},
  "rows": [
    {"name": "load", "about": "load app", "unit": "s", "rounds": {"lamina": [0.5, 0.4], …}, "absent": {…},
     "targets": [{"bound": 0.2, "of": "better", "unit": ""}], "more": false,
     "axis": "layers", "at": 50, "growth": 1.1,             of a series: see `report.Row`
     "median": {"lamina": 0.45, …}, "ratio": 0.1, "met": true}        told for readers, not read back
  ]
}
"""

import os
from typing import Any

import msgspec

from lamina.files import replacing

from .report import Row

FORMAT = 1


class Results(msgspec.Struct):
    """All figures of one run."""

    date: str
    commit: str
    rounds: int
    machine: dict[str, Any]
    rows: list[Row]
    format: int = FORMAT


def write(results: Results, path: str) -> None:
    """Write a file, whole or not at all; its folder is made."""
    found = msgspec.to_builtins(results)
    for row, values in zip(results.rows, found["rows"], strict=True):
        values["median"] = {who: row.median(who) for who in row.rounds}
        values["ratio"], values["met"] = row.ratio, row.met
    save(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n", path)


def save(data: bytes, path: str) -> None:
    """Write a file, whole or not at all; its folder is made."""
    path = os.path.abspath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path) as file:
        file.write(data)


def read(path: str) -> Results:
    """Read a file that `write` has written.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or one of another format.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        found = msgspec.json.decode(data, type=Results)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no results of bench: {error}") from error
    if found.format != FORMAT:
        raise ValueError(f"{path}: results of format {found.format}, not {FORMAT}")
    return found
