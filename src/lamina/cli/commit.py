"""`lamina commit`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]"
    parser = Parser(usage, summary, ["lamina container commit"])
    parser.option("-a", "--author", value="string", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")')
    parser.values("-c", "--change", value="list", help="Apply Dockerfile instruction to the created image")
    parser.option("-m", "--message", value="string", help="Commit message")
    parser.flag("-p", "--pause", help="Pause container during commit", default=True)
    parser.arguments(1, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..engine.containers import Wording

    container, *names = options.arguments
    wording = Wording("".join(names), options.message, options.author, tuple(options.change))
    shell.line(shell.engine.commit(container, wording, pause=options.pause))
    return 0
