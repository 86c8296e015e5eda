"""`lamina image prune`."""

import argparse

from . import pruning
from .parser import Parser
from .shell import Shell

ALL = "all images without at least one container associated to them"
DANGLING = "all dangling images"


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina image prune [OPTIONS]", summary)
    parser.flag("-a", "--all", help="Remove all unused images, not just dangling ones")
    pruning.add_options(parser, '"until=<timestamp>"')
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    conditions = pruning.conditions(options)
    if pruning.agreed(options, shell, f"This will remove {ALL if options.all else DANGLING}."):
        pruned = shell.engine.prune_images(conditions, every=options.all)
        pruning.show_images(shell, pruned)
        pruning.total(shell, pruned.space)
    return 0
