"""`lamina system check`."""

import argparse

from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina system check [OPTIONS]", summary)
    parser.flag("--fast", help="Look at descriptions and links only; do not read the layers")
    parser.flag("--repair", help="Restore what can be restored, and move the rest to a quarantine, before the check")
    parser.flag("-q", "--quiet", help="Print nothing but problems")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: 0 if all is well, 1 if something is wrong."""
    shell.quiet = True
    problems = 0
    if options.repair:
        for what in shell.engine.repair():
            shell.line(what)
    for problem in shell.engine.check(content=not options.fast):
        shell.line(problem)
        problems += 1
    if problems:
        shell.warn(f"{problems} problem{'s' * (problems != 1)} found in {shell.root}")
    elif not options.quiet:
        shell.line(f"no problem found in {shell.root}")
    return 1 if problems else 0
