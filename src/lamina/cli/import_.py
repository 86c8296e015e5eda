"""`lamina import`."""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    usage = "lamina import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]"
    parser = Parser(usage, summary, ["lamina image import"])
    parser.values("-c", "--change", value="list", help="Apply Dockerfile instruction to the created image")
    parser.option("-m", "--message", value="string", help="Set commit message for imported image")
    parser.arguments(1, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..engine.containers import Wording

    source, *names = options.arguments
    origin = source if source.startswith(("http://", "https://")) else "-"
    message = options.message or f"Imported from {origin}"
    with _opened(source, shell) as file:
        shell.line(shell.engine.import_image(file, Wording("".join(names), message, changes=tuple(options.change))))
    return 0


@contextlib.contextmanager
def _opened(source: str, shell: Shell) -> Iterator[BinaryIO]:
    if source.startswith(("http://", "https://")):
        from ..build.archives import fetch

        with tempfile.TemporaryFile() as file:
            fetch(source, file, "")
            yield file
    else:
        with shell.input(source) as stream:
            yield stream
