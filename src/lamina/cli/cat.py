"""`lamina cat`."""

import argparse
import sys

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina cat IMAGE PATH [PATH...]", summary)
    parser.arguments(2, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    image, *paths = options.arguments
    for path in paths:
        for piece in shell.engine.image_file(image, path):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return 0
