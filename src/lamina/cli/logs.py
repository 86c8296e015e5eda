"""`lamina logs`."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from ..errors import InvalidArgument, LaminaError
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..containers.logs import Entry


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina logs [OPTIONS] CONTAINER", summary, ["lamina container logs"])
    parser.flag("-f", "--follow", help="Follow log output")
    since = 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'
    parser.option("--since", value="string", help=since)
    parser.option(
        "-n", "--tail", value="string", help="Number of lines to show from the end of the logs", default="all"
    )
    parser.flag("-t", "--timestamps", help="Show timestamps")
    parser.option("--until", value="string", help=since.replace("since", "before a"))
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..containers.logs import Wanted

    (name,) = options.arguments
    tail = int(options.tail) if options.tail.isdecimal() else None
    wanted = Wanted(tail, _moment(options.since, "since"), _moment(options.until, "until"))
    for entry in shell.engine.logs(name, wanted, follow=options.follow):
        stream = sys.stderr if entry.stream == "stderr" else sys.stdout
        stream.buffer.write(_line(entry, timestamps=options.timestamps))
        stream.buffer.flush()
    return 0


def _line(entry: "Entry", *, timestamps: bool) -> bytes:
    from ..oci import times

    return f"{times.rfc3339(entry.when)} ".encode() + entry.data if timestamps else entry.data


def _moment(text: str, option: str) -> int:
    """Return the instant that a time, a number of seconds since 1970, or a duration before now says."""
    if not text:
        return 0
    from ..dockerfile import duration
    from ..oci import times

    try:
        return int(float(text) * 1e9)
    except ValueError:
        pass
    try:
        return time.time_ns() - duration.nanoseconds(text)
    except LaminaError:
        pass
    full = text if "T" in text else f"{text}T00:00:00"
    try:
        return times.parse_rfc3339(full if full[-1:] == "Z" or full[-6:-5] in ("+", "-") else f"{full}Z")
    except LaminaError as error:
        raise InvalidArgument(
            f'invalid value for "{option}": failed to parse value as time or duration: {text}'
        ) from error
