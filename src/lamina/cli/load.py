"""`lamina load`."""

import argparse
import os

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina load [OPTIONS]", summary, ["lamina image load"])
    parser.option("-i", "--input", value="string", help="Read from tar archive file or folder, instead of STDIN")
    parser.option("--platform", value="string", help="Load only the given platform of an index: os/arch[/variant]")
    parser.flag("-q", "--quiet", help="Suppress the load output")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..errors import InvalidArgument

    shell.quiet = options.quiet
    path = options.input or "-"
    if path == "-" and os.isatty(0):
        raise InvalidArgument("requested load from stdin, but stdin is empty")
    if os.path.isdir(path):
        loaded = shell.engine.load_folder(path, options.platform)
    else:
        with shell.input(path) as file:
            loaded = shell.engine.load(file, "stdin" if path == "-" else path, options.platform)
    for image in loaded:
        for name in image.names:
            shell.line(f"Loaded image: {name}")
        if not image.names:
            shell.line(f"Loaded image ID: {image.image_id}")
    return 0
