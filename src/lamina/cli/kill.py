"""`lamina kill`."""

import argparse
import functools

from .each import each
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina kill [OPTIONS] CONTAINER [CONTAINER...]", summary, ["lamina container kill"])
    parser.option("-s", "--signal", value="string", help="Signal to send to the container", default="KILL")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    return each(shell, options.arguments, functools.partial(shell.engine.kill_container, signal=options.signal))
