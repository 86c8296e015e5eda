"""`lamina digest`."""

import argparse

from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina digest [OPTIONS] IMAGE[:TAG|@DIGEST]", summary)
    about = "Show the digest of one platform's manifest of an index: os/arch[/variant]"
    parser.option("--platform", value="string", help=about)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..content import choosing
    from ..oci import platform

    with registries.repository(shell, options.arguments[0]) as (repository, meant):
        found = repository.resolve(meant)
        if options.platform:
            found = choosing.choose(repository, found, platform.parse(options.platform))[-1]
    shell.line(found.digest)
    return 0
