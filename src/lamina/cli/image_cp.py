"""`lamina image cp`."""

import argparse
import os
import sys

from ..errors import InvalidArgument
from . import files
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina image cp [OPTIONS] IMAGE:/SRC_PATH DEST_PATH|-", summary)
    parser.flag("-a", "--archive", help="Archive mode (copy all uid/gid information)")
    parser.flag("-L", "--follow-link", help="Always follow symbol link in SRC_PATH")
    parser.arguments(2, 2)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    source, target = options.arguments
    image, path = files.split(source)
    if not path:
        raise InvalidArgument(f"{source} names no file: IMAGE:/PATH does")
    copy(shell, image, path, target, options)
    return 0


def copy(shell: Shell, image: str, path: str, to: str, options: argparse.Namespace) -> None:
    """Copy a file or directory of an image to the host, or as a tar to stdout."""
    if to == "-":
        if sys.stdout.isatty():
            raise InvalidArgument("cowardly refusing to write a tar to a terminal: redirect it")
        for piece in shell.engine.archive_files(image, path, follow=options.follow_link):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    owner = None if options.archive else (os.geteuid(), os.getegid())
    with files.host() as host:
        shell.engine.copy_files(image, path, files.host_place(host, to, follow=True), owner, follow=options.follow_link)
