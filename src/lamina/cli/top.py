"""`lamina top`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina top CONTAINER [ps OPTIONS]", summary, ["lamina container top"])
    parser.arguments(1, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    name, *words = options.arguments
    shell.out(shell.engine.processes(name, words))
    return 0
