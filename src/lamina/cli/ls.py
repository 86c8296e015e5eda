"""`lamina ls`."""

import argparse

from ..errors import InvalidArgument
from . import files
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina ls [OPTIONS] IMAGE[:/PATH] | IMAGE PATH", summary)
    parser.flag("-l", "--long", help="Show mode, owner, group, size and time of each")
    parser.flag("-R", "--recursive", help="Also list what is in directories in it, by their paths")
    parser.arguments(1, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    image, path = files.split(options.arguments[0])
    if path and options.arguments[1:]:
        raise InvalidArgument(f"two paths: {path} and {options.arguments[1]}")
    path = path or "".join(options.arguments[1:]) or "/"
    for file in shell.engine.image_files(image, path, deep=options.recursive):
        name = files.shown(file.path if options.recursive else file.path.rpartition(b"/")[2])
        shell.line(files.long(file, name) if options.long else name)
    return 0
