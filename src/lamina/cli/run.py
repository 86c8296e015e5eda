"""`lamina run`."""

import argparse
import contextlib
import os
import signal
import sys

from ..errors import InvalidArgument, LaminaError
from . import wishes
from .parser import Parser
from .shell import Shell, worded

FAILED = 125
"""What docker exits with when it is not the program that failed."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina run [OPTIONS] IMAGE [COMMAND] [ARG...]"
    parser = Parser(usage, summary, ["lamina container run"], help_short=False)
    wishes.add_options(parser)
    parser.arguments(1, None, rest=True)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: its status is the program's, or 125, 126 and 127 as docker has them."""
    from ..images.images import ImageNotFound
    from ..runtime.children import Streams
    from ..runtime.foreground import StartFailed

    wish = wishes.wish(options, shell)
    if wish.terminal and wish.interactive and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY")
    image = options.arguments[0]
    sys.stdout.flush()
    with open(os.devnull, "rb") as null:
        streams = Streams(0 if wish.interactive else null.fileno(), 1, 2)
        try:
            return shell.engine.run_container(image, wish, streams, _forward)
        except StartFailed as error:
            return error.exit_status  # the runtime has said why
        except ImageNotFound:
            shell.warn(f"Unable to find image '{_tagged(image)}' locally: pulling is not supported yet, load it first")
        except LaminaError as error:
            shell.warn(f"Error: {error}")
            return error.exit_status if error.exit_status != 1 else FAILED
        except OSError as error:
            shell.warn(f"Error: {worded(error)}")
    return FAILED


def _forward(pid: int) -> None:
    """Hand signals on to the container's process."""
    for number in _FORWARDED:
        signal.signal(number, lambda received, _: _kill(pid, received))


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, number)


def _tagged(name: str) -> str:
    from ..oci import reference

    return reference.parse(name).tagged().familiar
