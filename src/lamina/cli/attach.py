"""`lamina attach`."""

import argparse
from typing import TYPE_CHECKING

from . import terminals
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..containers.records import Record
    from ..runtime.attach import Attachment


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina attach [OPTIONS] CONTAINER", summary, ["lamina container attach"])
    terminals.add_options(parser)
    parser.flag("--no-stdin", help="Do not attach STDIN")
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: its status is the container's."""
    record = shell.engine.container(options.arguments[0])
    stdin = not options.no_stdin and record.config.open_stdin
    with shell.engine.waiting(record.id) as until_end, shell.engine.attach_container(record.id) as attachment:
        return until_end() if look(shell, attachment, record, options, stdin=stdin) else 0


def look(shell: Shell, attachment: "Attachment", record: "Record", options: argparse.Namespace, *, stdin: bool) -> bool:
    """Show a container's streams to their end, or until the detach keys; return whether they have ended."""
    terminal = record.config.tty
    if options.sig_proxy and not terminal:
        pid = shell.engine.process(record.id)
        terminals.forward(lambda number: terminals.kill(pid, number))
    ended = terminals.look(attachment, terminal=terminal, stdin=stdin, detach_keys=options.detach_keys)
    if not ended:
        shell.warn("read escape sequence")
    return ended
