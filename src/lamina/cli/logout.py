"""`lamina logout`."""

import argparse

from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina logout [SERVER]", summary)
    parser.arguments(0, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..remote.credentials import key

    host = registries.host_of("".join(options.arguments))
    if registries.keychain(shell).erase(host):
        shell.line(f"Removing login credentials for {key(host)}")
    else:
        shell.line(f"Not logged in to {key(host)}")
    return 0
