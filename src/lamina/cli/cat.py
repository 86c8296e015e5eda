"""`lamina cat`."""

import argparse
import sys

from ..errors import InvalidArgument
from . import files
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina cat IMAGE:/PATH [IMAGE:/PATH...] | IMAGE PATH [PATH...]", summary)
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..streams import copy

    for image, path in _places(options.arguments):
        with shell.engine.open_file(image, path) as file:
            copy(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return 0


def _places(arguments: list[str]) -> list[tuple[str, str]]:
    """Return images and paths: an argument has both, or is a path in the image that the first one names."""
    image, path = files.split(arguments[0])
    if path:
        places = [files.split(text) for text in arguments]
        if bad := next((text for text, path in places if not path), ""):
            raise InvalidArgument(f"{bad} names no file: IMAGE:/PATH does")
        return places
    if not arguments[1:]:
        raise InvalidArgument(f"{image} names no file: IMAGE:/PATH does")
    return [(image, path) for path in arguments[1:]]
