"""`lamina rename`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina rename CONTAINER NEW_NAME", summary, ["lamina container rename"])
    parser.arguments(2, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    shell.engine.rename_container(*options.arguments)
    return 0
