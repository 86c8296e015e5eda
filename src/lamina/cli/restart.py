"""`lamina restart`."""

import argparse

from . import stop
from .each import each
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina restart [OPTIONS] CONTAINER [CONTAINER...]", summary, ["lamina container restart"])
    stop.add_options(parser)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""

    def restart(name: str) -> None:
        shell.engine.restart_container(name, options.timeout, options.signal)

    return each(shell, options.arguments, restart)
