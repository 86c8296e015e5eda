"""`lamina tags`."""

import argparse
from itertools import islice

from ..errors import InvalidArgument
from . import registries
from .parser import Parser, number
from .shell import Shell

_PAGE = 1000
"""The most tags that registries give at a time."""


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina tags [OPTIONS] REPOSITORY", summary)
    parser.option("--last", value="string", help="List the tags after this one, in the registry's order")
    parser.option("-n", "--limit", value="int", help="List so many tags (0: all)", default=0, parse=number)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..oci import reference
    from ..remote.registry import Registry

    named = reference.parse(options.arguments[0])
    if named.tag or named.digest:
        raise InvalidArgument(f"{options.arguments[0]!r} names an image, not a repository: leave the tag away")
    if options.limit < 0:
        raise InvalidArgument(f"invalid limit {options.limit}: it is 0 or more")
    with registries.client(shell) as client:
        found = Registry(named, client).tags(min(options.limit or _PAGE, _PAGE), options.last)
        for tag in islice(found, options.limit or None):
            shell.line(tag)
    return 0
