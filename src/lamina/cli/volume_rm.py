"""`lamina volume rm`."""

import argparse

from ..errors import LaminaError
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina volume rm [OPTIONS] VOLUME [VOLUME...]"
    parser = Parser(usage, summary, ["lamina volume remove"])
    parser.flag("-f", "--force", help="Say nothing of volumes that are not there")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: what can go goes, and what cannot makes it fail."""
    status = 0
    for name in options.arguments:
        try:
            shell.engine.remove_volume(name)
        except LaminaError as error:
            if not (options.force and error.http_status == 404):
                shell.warn(f"Error: {error}")
                status = 1
                continue
        shell.line(name)
    return status
