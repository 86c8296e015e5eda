"""`lamina container prune`."""

import argparse

from . import pruning
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina container prune [OPTIONS]", summary)
    pruning.add_options(parser, '"until=<timestamp>"')
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    conditions = pruning.conditions(options)
    if pruning.agreed(options, shell, "This will remove all stopped containers."):
        pruned = shell.engine.prune_containers(conditions)
        pruning.show(shell, "Containers", pruned)
        pruning.total(shell, pruned.space)
    return 0
