"""`lamina stop`."""

import argparse
import functools

from .each import each
from .parser import Parser, number
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina stop [OPTIONS] CONTAINER [CONTAINER...]", summary, ["lamina container stop"])
    add_options(parser)
    return parser


def add_options(parser: Parser) -> None:
    """Add the options that say how a container is stopped."""
    parser.option("-s", "--signal", value="string", help="Signal to send to the container")
    patience = "Seconds to wait before killing the container; -1 waits without end"
    parser.option("-t", "--timeout", "--time", value="int", parse=number, default=None, help=patience)
    parser.arguments(1, None)


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    stop = functools.partial(shell.engine.stop_container, timeout=options.timeout, signal=options.signal)
    return each(shell, options.arguments, stop)
