"""`lamina tag`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", summary, ["lamina image tag"])
    parser.arguments(2, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    shell.engine.tag(*options.arguments)
    return 0
