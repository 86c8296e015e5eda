"""`lamina volume inspect`."""

import argparse
from typing import Any

from ..errors import LaminaError
from .inspect import shown
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina volume inspect [OPTIONS] VOLUME [VOLUME...]", summary)
    parser.option("-f", "--format", value="string", help="Format output using a custom template: 'json' or 'TEMPLATE'")
    parser.arguments(1, None)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: what is found is shown, and what is not makes it fail."""
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for name in options.arguments:
        try:
            found.append(shell.engine.inspect_volume(name))
        except LaminaError as error:
            missing.append(str(error))
    shell.out(shown(found, options.format))
    for text in missing:
        shell.warn(f"Error: {text}")
    return 1 if missing else 0
