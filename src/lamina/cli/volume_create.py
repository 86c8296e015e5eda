"""`lamina volume create`."""

import argparse

from ..errors import InvalidArgument, NotSupported
from .parser import Parser, pairs
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina volume create [OPTIONS] [VOLUME]", summary)
    parser.option("-d", "--driver", value="string", default="local", help="Specify volume driver name: local")
    parser.values("--label", value="list", help="Set metadata for a volume")
    parser.option("--name", value="string", help="Specify volume name")
    parser.values("-o", "--opt", value="map", help="Set driver specific options: there are none")
    parser.arguments(0, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    if options.name and options.arguments:
        raise InvalidArgument("conflicting options: either specify --name or provide positional arg, not both")
    name = options.name or next(iter(options.arguments), "")
    if options.driver != "local":
        what = f'error looking up volume plugin {options.driver}: plugin "{options.driver}" not found'
        raise NotSupported(f"create {name}: {what}")
    if options.opt:
        raise NotSupported("options of volume drivers are not supported: bind a mounted directory instead")
    shell.line(shell.engine.create_volume(name, pairs(options.label)))
    return 0
