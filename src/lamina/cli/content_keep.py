"""`lamina content keep`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina content keep [OPTIONS]", summary)
    parser.option("--layers", value="bytes", help="Layers as they came, up to so many bytes", default=None, parse=_size)
    parts = "Layers that came in part, up to so many bytes"
    parser.option("--partial", value="bytes", help=parts, default=None, parse=_size)
    age = "How long to keep layers that came in part, such as 168h"
    parser.option("--partial-age", value="duration", help=age, default=None, parse=_age)
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: set what is given, and show how it is then."""
    from ..render import units

    policy = shell.engine.keep_content(options.layers, options.partial, options.partial_age)
    shell.line(f"layers: {units.size(policy.layers)}")
    shell.line(f"partial: {units.size(policy.partial)}")
    shell.line(f"partial age: {policy.age / 3600:g}h")
    return 0


def _size(text: str) -> int:
    from ..errors import InvalidArgument
    from ..render import units

    try:
        return units.parse_size(text)
    except InvalidArgument as error:
        raise ValueError(str(error)) from error


def _age(text: str) -> int:
    from . import spellings

    return spellings.duration(text) // 1_000_000_000
