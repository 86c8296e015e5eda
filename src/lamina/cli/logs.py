"""`lamina logs`."""

import argparse
import sys
from typing import TYPE_CHECKING

from .moments import moment
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
    wanted = Wanted(tail, moment(options.since, "since"), moment(options.until, "until"))
    for entry in shell.engine.logs(name, wanted, follow=options.follow):
        stream = sys.stderr if entry.stream == "stderr" else sys.stdout
        stream.buffer.write(_line(entry, timestamps=options.timestamps))
        stream.buffer.flush()
    return 0


def _line(entry: "Entry", *, timestamps: bool) -> bytes:
    from ..oci import times

    return f"{times.rfc3339(entry.when)} ".encode() + entry.data if timestamps else entry.data
