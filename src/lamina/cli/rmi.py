"""`lamina rmi`."""

import argparse

from ..errors import LaminaError
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina rmi [OPTIONS] IMAGE [IMAGE...]", summary, ["lamina image rm", "lamina image remove"])
    parser.flag("-f", "--force", help="Force removal of the image")
    parser.flag("--no-prune", help="Do not delete untagged parents")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: what can go goes, and what cannot makes it fail."""
    status = 0
    for name in options.arguments:
        try:
            removed = shell.engine.remove_image(name, force=options.force, prune=not options.no_prune)
        except LaminaError as error:
            shell.warn(f"Error: {error}")
            status = 0 if options.force and error.http_status == 404 else 1
            continue
        for one in removed:
            shell.line(f"Untagged: {one.untagged}" if one.untagged else f"Deleted: {one.deleted}")
    return status
