"""`lamina rm`."""

import argparse

from ..errors import LaminaError
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina rm [OPTIONS] CONTAINER [CONTAINER...]"
    parser = Parser(usage, summary, ["lamina container rm", "lamina container remove"])
    parser.flag("-f", "--force", help="Force the removal of a running container (uses SIGKILL)")
    parser.flag("-v", "--volumes", help="Remove anonymous volumes associated with the container")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: what can go goes, and what cannot makes it fail."""
    status = 0
    for name in options.arguments:
        try:
            shell.engine.remove_container(name, force=options.force, volumes=options.volumes)
        except LaminaError as error:
            if not (options.force and error.http_status == 404):
                status = 1
            shell.warn(f"Error: {error}")
        else:
            shell.line(name)
    return status
