"""`lamina system migrate`."""

import argparse

from ..errors import InvalidArgument
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina system migrate [OPTIONS]", summary)
    parser.option("--to", value="string", help="The new storage driver: erofs, overlay2 or vfs")
    parser.flag("-q", "--quiet", help="Print nothing but errors")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    if not options.to:
        raise InvalidArgument("which storage driver? Name one by --to")
    shell.quiet = options.quiet
    layers = shell.engine.migrate(options.to)
    if not options.quiet:
        shell.line(f"{shell.root} has the storage driver {options.to}, and {layers} layer{'s' * (layers != 1)}")
    if shell.driver not in ("", options.to):
        what = f"--storage-driver or LAMINA_STORAGE_DRIVER asks for {shell.driver}"
        shell.warn(f"WARNING: {what}: as long as it does, this store is refused")
    return 0
