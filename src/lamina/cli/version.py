"""`lamina version`."""

import argparse

from .. import __version__
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina version [OPTIONS]", summary)
    parser.option("-f", "--format", value="string", help="Format output: 'json' or '{{.Version}}'")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    if not options.format:
        shell.line(f"lamina version {__version__}")
        return 0
    from ..render.template import parse

    row = {"Version": __version__}
    form = "{{json .}}" if options.format == "json" else options.format
    shell.line(parse(form).render(row))
    return 0
