"""`lamina manifest create`."""

import argparse

from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina manifest create [OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]", summary)
    parser.flag("-a", "--amend", help="Amend an existing manifest list")
    registries.insecure(parser)
    parser.arguments(2, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..oci import reference
    from ..remote import drafts

    name, *parts = (reference.parse(text).tagged() for text in options.arguments)
    kept = registries.drafts(shell)
    draft = kept.begin(name, amend=options.amend)
    with registries.client(shell, name.domain if options.insecure else "") as client:
        for one in parts:
            draft = draft.with_part(drafts.part(client, one))
    kept.put(draft)
    shell.line(f"Created manifest list {name}")
    return 0
