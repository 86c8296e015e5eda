"""`lamina history`."""

import argparse
import time

from .parser import Parser
from .shell import Shell

HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_DEFAULT = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
_EXACT = _DEFAULT.replace("CreatedSince", "CreatedAt")
_WIDTH = 45


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina history [OPTIONS] IMAGE", summary, ["lamina image history"])
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    parser.flag("-H", "--human", default=True, help="Print sizes and dates in human readable format")
    parser.flag("--no-trunc", help="Don't truncate output")
    parser.flag("-q", "--quiet", help="Only show image IDs")
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..oci import digest, times
    from ..render import units
    from ..render.table import QUIET, Table

    now = time.time()
    rows = []
    for row in shell.engine.history(options.arguments[0]):
        created_by = row.created_by.replace("\t", " ")
        if not options.no_trunc and len(created_by) > _WIDTH:
            created_by = created_by[: _WIDTH - 1] + "…"
        at = times.rfc3339(row.created - row.created % 10**9) if row.created is not None else ""
        since = units.ago(now - row.created / 1e9) if row.created is not None else "N/A"
        rows.append(
            {
                "Comment": row.comment,
                "CreatedAt": at,
                "CreatedBy": created_by,
                "CreatedSince": since if options.human else at,
                "ID": (row.id if options.no_trunc else digest.short(row.id)) or "<missing>",
                "Size": units.size(row.size) if options.human else str(row.size),
            }
        )
    form = options.format or (QUIET if options.quiet else "table")
    shell.table(Table(HEADERS, _DEFAULT if options.human else _EXACT), rows, form)
    return 0
