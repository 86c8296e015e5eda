"""`lamina registry check`."""

import argparse

from . import registry_storage
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina registry check [OPTIONS]", summary)
    registry_storage.add_options(parser)
    parser.flag("--repair", help="Remove what is damaged or leads nowhere, and restore tags from their history")
    parser.flag("-q", "--quiet", help="Print nothing but problems")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: 0 if all is well or repaired, 1 if something is wrong."""
    import asyncio

    storage = registry_storage.open_storage(options)
    from ..registry.checking import check

    async def count() -> int:
        problems = 0
        async for problem in check(storage, repair=options.repair):
            shell.line(problem)
            problems += 1
        return problems

    problems = asyncio.run(count())
    if problems:
        shell.warn(f"{problems} problem{'s' * (problems != 1)} found in {registry_storage.folder(options)}")
    elif not options.quiet:
        shell.line(f"no problem found in {registry_storage.folder(options)}")
    return 1 if problems and not options.repair else 0
