"""What a person at a terminal has of a container: its streams, its size, keys to leave it, and signals."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .parser import Parser

if TYPE_CHECKING:
    from ..runtime.attach import Attachment

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def add_options(parser: Parser) -> None:
    """Add the options of commands that show a container's streams."""
    parser.option("--detach-keys", value="string", help="Override the key sequence for detaching a container")
    parser.flag("--sig-proxy", help="Proxy received signals to the process", default=True)


def look(attachment: "Attachment", *, terminal: bool, stdin: bool, detach_keys: str) -> bool:
    """Show a container's streams until they end, or the keys are typed; return whether they have ended."""
    from ..runtime import attach
    from ..runtime.children import Streams

    with raw(terminal and stdin), _resized(attachment, terminal):
        typed = attach.keys(detach_keys or attach.DETACH_KEYS) if stdin and (terminal or detach_keys) else b""
        return attachment.copy(Streams(0, 1, 2), stdin=stdin, keys=typed)


@contextlib.contextmanager
def raw(wanted: bool) -> Iterator[None]:
    """Hand every key on as it is typed, if standard input is a terminal."""
    if not wanted or not os.isatty(0):
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSANOW)  # what was typed before is not lost
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resized(attachment: "Attachment", terminal: bool) -> Iterator[None]:
    """Keep a container's terminal as large as the one we are on."""
    if not terminal or not sys.stdout.isatty():
        yield
        return

    import shutil

    def resize(*_: object) -> None:
        columns, rows = shutil.get_terminal_size()
        attachment.resize(rows, columns)

    before = signal.signal(signal.SIGWINCH, resize)
    try:
        resize()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def forward(send: Callable[[int], object]) -> None:
    """Hand signals on to a container."""
    for number in _FORWARDED:
        signal.signal(number, lambda received, _: send(received))


def kill(pid: int, number: int) -> None:
    """Send a signal to a process; one that has ended by itself is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
