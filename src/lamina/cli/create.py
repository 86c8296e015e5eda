"""`lamina create`."""

import argparse

from . import wishes
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina create [OPTIONS] IMAGE [COMMAND] [ARG...]"
    parser = Parser(usage, summary, ["lamina container create"], help_short=False)
    wishes.add_options(parser)
    parser.arguments(1, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    shell.line(shell.engine.create_container(options.arguments[0], wishes.wish(options, shell)))
    return 0
