"""`lamina manifest push`."""

import argparse

from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina manifest push [OPTIONS] MANIFEST_LIST", summary)
    parser.flag("-p", "--purge", help="Remove the local manifest list after push")
    registries.insecure(parser)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..oci import reference
    from ..remote import drafts

    name = reference.parse(options.arguments[0]).tagged()
    kept = registries.drafts(shell)
    draft = kept.get(name)
    with registries.client(shell, name.domain if options.insecure else "") as client:
        shell.line(drafts.publish(client, draft).digest)
    if options.purge:
        kept.remove(name)
    return 0
