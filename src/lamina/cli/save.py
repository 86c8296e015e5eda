"""`lamina save`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina save [OPTIONS] IMAGE [IMAGE...]", summary, ["lamina image save"])
    parser.option("-o", "--output", value="string", help="Write to a file, instead of STDOUT")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    with shell.output(options.output, "save") as file:
        shell.engine.save(options.arguments, file)
    return 0
