"""`lamina create`."""

import argparse

from . import pulling, wishes
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina create [OPTIONS] IMAGE [COMMAND] [ARG...]"
    parser = Parser(usage, summary, ["lamina container create"], help_short=False)
    wishes.add_options(parser)
    pulling.add_options(parser)
    parser.arguments(1, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    wish = wishes.wish(options, shell)
    create = lambda: shell.engine.create_container(options.arguments[0], wish)  # noqa: E731
    shell.line(pulling.with_image(options, shell, create))
    return 0
