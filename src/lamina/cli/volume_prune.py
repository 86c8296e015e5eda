"""`lamina volume prune`."""

import argparse

from . import pruning
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina volume prune [OPTIONS]", summary)
    parser.flag("-a", "--all", help="Remove all unused volumes, not just anonymous ones")
    pruning.add_options(parser, '"label=<label>"')
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    conditions = pruning.conditions(options, until=False)
    which = "all" if options.all else "anonymous"
    if pruning.agreed(options, shell, f"This will remove {which} local volumes not used by at least one container."):
        pruned = shell.engine.prune_volumes(conditions, every=options.all)
        pruning.show(shell, "Volumes", pruned)
        pruning.total(shell, pruned.space)
    return 0
