"""`lamina export`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina export [OPTIONS] CONTAINER", summary, ["lamina container export"])
    parser.option("-o", "--output", value="string", help="Write to a file, instead of STDOUT")
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..containers.files import export

    with shell.engine.files(options.arguments[0], "export") as root, shell.output(options.output, "export") as file:
        for piece in export(root):
            file.write(piece)
    return 0
