"""`lamina manifest rm`."""

import argparse

from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina manifest rm MANIFEST_LIST [MANIFEST_LIST...]", summary)
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..oci import reference

    for text in options.arguments:
        registries.drafts(shell).remove(reference.parse(text).tagged())
    return 0
