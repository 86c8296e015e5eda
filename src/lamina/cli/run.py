"""`lamina run`."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ..errors import InvalidArgument, LaminaError
from . import pulling, terminals, wishes
from .parser import Parser
from .shell import Shell, worded

if TYPE_CHECKING:
    from ..containers.settings import Wish

FAILED = 125
"""What docker exits with when it is not the program that failed."""


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina run [OPTIONS] IMAGE [COMMAND] [ARG...]"
    parser = Parser(usage, summary, ["lamina container run"], help_short=False)
    wishes.add_options(parser)
    pulling.add_options(parser)
    parser.flag("-d", "--detach", help="Run container in background and print container ID")
    parser.arguments(1, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: its status is the program's, or 125, 126 and 127 as docker has them."""
    from ..runtime.bundle import StartFailed

    wish = wishes.wish(options, shell)
    if wish.terminal and wish.interactive and not options.detach and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    image = options.arguments[0]
    sys.stdout.flush()
    go = _detached if options.detach else _foreground
    try:
        return pulling.with_image(options, shell, lambda: go(image, wish, shell))
    except StartFailed as error:
        if options.detach:
            shell.warn(f"Error: {error}")  # else the runtime has said why
        return error.exit_status
    except LaminaError as error:
        shell.warn(f"Error: {error}")
        return error.exit_status if error.exit_status != 1 else FAILED
    except OSError as error:
        shell.warn(f"Error: {worded(error)}")
    return FAILED


def _foreground(image: str, wish: "Wish", shell: Shell) -> int:
    from ..runtime.children import Streams

    with open(os.devnull, "rb") as null:
        streams = Streams(0 if wish.interactive else null.fileno(), 1, 2)
        return shell.engine.run_container(image, wish, streams, _forward)


def _detached(image: str, wish: "Wish", shell: Shell) -> int:
    container = shell.engine.create_container(image, wish)
    try:
        shell.engine.start_container(container)
    except LaminaError:
        if wish.auto_remove:
            shell.engine.remove_container(container)
        raise
    shell.line(container)
    return 0


def _forward(pid: int) -> None:
    terminals.forward(lambda number: terminals.kill(pid, number))
