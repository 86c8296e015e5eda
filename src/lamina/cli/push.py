"""`lamina push`."""

import argparse
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import progress
from .parser import Parser, number
from .shell import Shell

if TYPE_CHECKING:
    from ..transfer.outgoing import Compression


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina push [OPTIONS] NAME[:TAG]", summary, ["lamina image push"])
    parser.flag("-a", "--all-tags", help="Push all tags of an image to the repository")
    parser.option("--compression", value="string", help="Compress layers anew: gzip or zstd")
    level = "Level of the compression: 0 to 3 for gzip, 1 to 19 for zstd"
    parser.option("--compression-level", value="int", help=level, default=None, parse=number)
    progress.add_options(parser)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..events import Status
    from ..oci import reference

    text = options.arguments[0]
    named = reference.parse(text)
    compression = _compression(options)
    with progress.told(options, shell) as report:
        shell.engine.report = report
        if not (named.tag or named.digest or options.all_tags):
            report(Status(f"Using default tag: {reference.DEFAULT_TAG}"))
        shell.engine.push(text, every=options.all_tags, compression=compression)
    if options.quiet:
        shell.line(str(named if options.all_tags else named.tagged()))
    return 0


def _compression(options: argparse.Namespace) -> "Compression":
    from ..packing import LEVELS
    from ..transfer.outgoing import Compression

    name, level = options.compression, options.compression_level
    if name and name not in LEVELS:
        raise InvalidArgument(f"invalid compression {name!r}: there are {', '.join(LEVELS)}")
    if level is not None:
        name = name or "gzip"
        if level not in LEVELS[name]:
            raise InvalidArgument(
                f"invalid level {level} of {name}: it is {LEVELS[name].start} to {LEVELS[name].stop - 1}"
            )
    return Compression(name, level)
