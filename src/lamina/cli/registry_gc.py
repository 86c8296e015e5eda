"""`lamina registry gc`."""

import argparse

from . import registry_storage
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina registry gc [OPTIONS]", summary)
    registry_storage.add_options(parser)
    parser.option("--age", value="duration", help="Keep what is newer (default 1h)", default=3600.0, parse=_age)
    parser.flag("--dry-run", help="Tell what would go, and remove nothing")
    parser.flag("-q", "--quiet", help="Print the totals only")
    parser.flag("--untagged", help="Remove manifests that no tag leads to, and what tags stood for before")
    parser.option(
        "--uploads",
        value="duration",
        help="Forget uploads older than that (default 168h)",
        default=604800.0,
        parse=_age,
    )
    parser.arguments(0, 0)
    return parser


def _age(text: str) -> float:
    from ..errors import InvalidArgument
    from ..registry.configuration import seconds

    try:
        return seconds(text)
    except InvalidArgument as error:
        raise ValueError(str(error)) from error


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command; pushes through servers of lamina may go on meanwhile."""
    import asyncio

    storage = registry_storage.open_storage(options)
    from ..registry.collection import Collected, Collection, purge

    report = (lambda _: None) if options.quiet else shell.line

    async def collect() -> Collected:
        uploads = await purge(storage, options.uploads, dry=options.dry_run, report=report)
        collection = Collection(storage, options.age, untagged=options.untagged, dry=options.dry_run, report=report)
        collection.found.uploads = uploads
        return await collection.run()

    found = asyncio.run(collect())
    from ..render import units

    shell.line(
        f"{'would remove' if options.dry_run else 'removed'} {found.manifests} manifests, {found.blobs} blobs "
        f"({units.size(found.size)}), {found.links} links to nothing, {found.uploads} uploads"
    )
    return 0
