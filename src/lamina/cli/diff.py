"""`lamina diff`."""

import argparse
import os

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina diff CONTAINER", summary, ["lamina container diff"])
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    for change in shell.engine.diff(options.arguments[0]):
        shell.line(f"{change.kind.letter} /{os.fsdecode(change.path)}")
    return 0
