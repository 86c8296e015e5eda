"""`lamina manifest inspect`."""

import argparse
import json
import sys

from . import registries
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina manifest inspect [OPTIONS] IMAGE[:TAG|@DIGEST]", summary)
    parser.option("--platform", value="string", help="Show one platform's manifest of an index: os/arch[/variant]")
    parser.flag("--raw", help="Print the very bytes that the registry has")
    registries.insecure(parser)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..content import choosing
    from ..oci import platform

    with registries.repository(shell, options.arguments[0], insecure=options.insecure) as (repository, meant):
        found, raw = repository.fetch(meant)
        if options.platform:
            found = choosing.choose(repository, found, platform.parse(options.platform))[-1]
            _, raw = repository.fetch(found.digest)
    if options.raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
    else:
        shell.line(json.dumps(json.loads(raw), indent=4, ensure_ascii=False))
    return 0
