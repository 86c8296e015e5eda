"""`lamina tree`."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.forest import Position
    from ..render.forest import Node


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina tree [OPTIONS]", summary, ["lamina image tree"])
    parser.flag("--ascii", help="Draw with ASCII characters only")
    parser.option("--svg", value="string", help="Write a picture to a file instead; - is STDOUT")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    if options.svg not in ("", "-"):
        shell.require_folder(options.svg)
    trees = _trees(shell.engine.forest())
    if options.svg:
        from ..files import replace
        from ..render import forest_svg

        picture = forest_svg.draw(trees)
        if options.svg == "-":
            shell.out(picture)
        else:
            replace(os.path.abspath(options.svg), picture.encode())
        return 0
    from ..render import forest

    unicode = not options.ascii and (sys.stdout.encoding or "").lower().startswith("utf")
    shell.out(forest.draw(trees, unicode=unicode, bold=sys.stdout.isatty()))
    return 0


def _trees(positions: "list[Position]") -> "list[Node]":
    """Return the trees that the positions are; each position comes after the one that it stands on."""
    from ..render.forest import Node

    above: dict[int, list[Node]] = {}
    for at in range(len(positions) - 1, -1, -1):
        one = positions[at]
        children = tuple(reversed(above.pop(at, [])))
        node = Node(one.id, one.size, one.names, one.kind, one.created_by, children)
        above.setdefault(one.parent, []).append(node)
    return above.get(-1, [])[::-1]
