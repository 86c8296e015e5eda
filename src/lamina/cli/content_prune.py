"""`lamina content prune`."""

import argparse

from . import pruning
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina content prune [OPTIONS]", summary)
    parser.flag("-a", "--all", help="Remove all layers that are kept, not just those beyond their bounds")
    parser.flag("-f", "--force", help="Do not prompt for confirmation")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    which = "all layers that are kept" if options.all else "layers that are kept beyond their bounds"
    if pruning.agreed(options, shell, f"This will remove manifests without an image, and {which}."):
        gone = shell.engine.prune_content(every=options.all)
        if gone:
            shell.out("Deleted content:\n" + "".join(f"{kept.digest}\n" for kept in gone) + "\n")
        pruning.total(shell, sum(kept.size for kept in gone))
    return 0
