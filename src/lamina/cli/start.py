"""`lamina start`."""

import argparse

from ..errors import InvalidArgument
from . import attach, terminals
from .each import each
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina start [OPTIONS] CONTAINER [CONTAINER...]", summary, ["lamina container start"])
    parser.flag("-a", "--attach", help="Attach STDOUT/STDERR and forward signals")
    parser.flag("-i", "--interactive", help="Attach container's STDIN")
    terminals.add_options(parser)
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command; attached, its status is the container's."""
    if not (options.attach or options.interactive):
        return each(shell, options.arguments, shell.engine.start_container)
    if len(options.arguments) > 1:
        raise InvalidArgument("you cannot start and attach multiple containers at once")
    record = shell.engine.container(options.arguments[0])
    stdin = options.interactive and record.config.open_stdin
    with shell.engine.waiting(record.id) as until_end, shell.engine.start_attached(record.id) as attachment:
        return until_end() if attach.look(shell, attachment, record, options, stdin=stdin) else 0
