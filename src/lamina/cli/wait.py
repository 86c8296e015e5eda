"""`lamina wait`."""

import argparse

from .each import each
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina wait CONTAINER [CONTAINER...]", summary, ["lamina container wait"])
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""

    def wait(name: str) -> int:
        with shell.engine.waiting(name) as until_end:
            return until_end()

    return each(shell, options.arguments, wait)
