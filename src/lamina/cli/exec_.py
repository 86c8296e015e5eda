"""`lamina exec`."""

import argparse
import os
import sys

from ..errors import InvalidArgument
from . import terminals, wishes
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina exec [OPTIONS] CONTAINER COMMAND [ARG...]"
    parser = Parser(usage, summary, ["lamina container exec"])
    parser.flag("-d", "--detach", help="Detached mode: run command in the background")
    parser.values("-e", "--env", value="list", help="Set environment variables")
    parser.values("--env-file", value="list", help="Read in a file of environment variables")
    parser.flag("-i", "--interactive", help="Keep STDIN open even if not attached")
    parser.flag("-t", "--tty", help="Allocate a pseudo-TTY")
    parser.option("-u", "--user", value="string", help='Username or UID (format: "<name|uid>[:<group|gid>]")')
    parser.option("-w", "--workdir", value="string", help="Working directory inside the container")
    parser.arguments(2, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: its status is the program's, or 126 and 127 as docker has them."""
    from ..containers.inside import Inside
    from ..runtime.bundle import StartFailed
    from ..runtime.children import Streams

    if options.tty and options.interactive and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    name, *command = options.arguments
    wish = Inside(command, wishes.environment(options, shell), options.user, options.workdir, options.tty)
    sys.stdout.flush()
    with open(os.devnull, "r+b") as null:
        nothing = null.fileno()
        stdin = 0 if options.interactive else nothing
        streams = Streams(nothing, nothing, nothing) if options.detach else Streams(stdin, 1, 2)
        try:
            return shell.engine.execute(name, wish, streams, detach=options.detach, started=_forward)
        except StartFailed as error:
            return error.exit_status  # the runtime has said why


def _forward(pid: int) -> None:
    terminals.forward(lambda number: terminals.kill(pid, number))
