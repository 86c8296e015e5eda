"""`lamina referrers`."""

import argparse

from . import registries
from .parser import Parser
from .shell import Shell

HEADERS = {"Digest": "DIGEST", "ArtifactType": "ARTIFACT TYPE", "Size": "SIZE", "MediaType": "MEDIA TYPE"}


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina referrers [OPTIONS] IMAGE[:TAG|@DIGEST]", summary)
    parser.option("--artifact-type", value="string", help="List those of this type alone")
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..remote import referrers
    from ..render.table import Table
    from ..render.units import size

    with registries.repository(shell, options.arguments[0]) as (repository, meant):
        subject = repository.resolve(meant).digest
        rows = [
            {
                "Digest": found.digest,
                "ArtifactType": found.artifact_type,
                "Size": size(found.size),
                "MediaType": found.media_type,
                "Annotations": found.annotations or {},
            }
            for found in referrers.of(repository, subject, options.artifact_type)
        ]
    shell.table(Table(HEADERS, "{{.Digest}}\t{{.ArtifactType}}\t{{.Size}}"), rows, options.format or "table")
    return 0
