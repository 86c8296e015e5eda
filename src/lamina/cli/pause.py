"""`lamina pause`."""

import argparse

from .each import each
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina pause CONTAINER [CONTAINER...]", summary, ["lamina container pause"])
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    return each(shell, options.arguments, shell.engine.pause_container)
