"""`lamina content ls`."""

import argparse
import time
from typing import TYPE_CHECKING, Any

from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..transfer.kept import Kept

HEADERS = {
    "Digest": "DIGEST",
    "Kind": "KIND",
    "MediaType": "MEDIA TYPE",
    "Size": "SIZE",
    "InUse": "IN USE",
    "CreatedSince": "CREATED",
}


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina content ls [OPTIONS]", summary, ["lamina content list"])
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    parser.flag("-q", "--quiet", help="Only display digests")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..render.table import Table

    form = options.format or ("{{.Digest}}" if options.quiet else "table")
    rows = [_row(kept) for kept in shell.engine.content()]
    default = "{{.Digest}}\t{{.Kind}}\t{{.Size}}\t{{.InUse}}\t{{.CreatedSince}}"
    shell.table(Table(HEADERS, default), rows, form)
    return 0


def _row(kept: "Kept") -> dict[str, Any]:
    from ..render import units

    return {
        "Digest": kept.digest,
        "Kind": kept.kind,
        "MediaType": kept.media_type,
        "Size": units.size(kept.size),
        "InUse": "yes" if kept.in_use else "no",
        "CreatedSince": units.ago(max(0.0, time.time() - kept.changed)),
    }
