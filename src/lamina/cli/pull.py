"""`lamina pull`."""

import argparse

from . import progress
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina pull [OPTIONS] NAME[:TAG|@DIGEST]", summary, ["lamina image pull"])
    parser.flag("-a", "--all-tags", help="Download all tagged images in the repository")
    parser.option("--platform", value="string", help="Set platform if server is multi-platform capable")
    progress.add_options(parser)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..events import Status
    from ..oci import reference

    text = options.arguments[0]
    named = reference.parse(text)
    with progress.told(options, shell) as report:
        shell.engine.report = report
        if not (named.tag or named.digest or options.all_tags):
            report(Status(f"Using default tag: {reference.DEFAULT_TAG}"))
        shell.engine.pull(text, platform=options.platform, every=options.all_tags)
    if options.progress != "json":
        shell.line(str(named if options.all_tags else named.tagged()))
    return 0
