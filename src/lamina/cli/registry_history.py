"""`lamina registry history`."""

import argparse

from ..errors import InvalidArgument, NotFound
from . import registry_storage
from .parser import Parser
from .shell import Shell


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina registry history [OPTIONS] REPOSITORY:TAG", summary)
    registry_storage.add_options(parser)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: a line for each manifest that the tag stood for, the newest first, `*` at the current one."""
    import asyncio

    storage = registry_storage.open_storage(options)
    from ..oci import times
    from ..registry import checking, names
    from ..registry.codes import ManifestUnknown
    from ..registry.repository import Cache, Repository

    name, colon, tag = options.arguments[0].rpartition(":")
    if not colon:
        raise InvalidArgument(f"{options.arguments[0]!r} names no tag: expected REPOSITORY:TAG")
    repository = Repository(storage, names.repository(name), Cache())

    async def rows() -> list[str]:
        try:
            current = await repository.resolve(names.tag(tag))
        except ManifestUnknown as error:
            raise NotFound(f"{name} has no tag {tag} in {registry_storage.folder(options)}") from error
        found = reversed(await checking.history(repository, tag))
        return [f"{times.spelled(int(at * 10**9))}  {digest}{' *' * (digest == current)}" for at, digest in found]

    for row in asyncio.run(rows()):
        shell.line(row)
    return 0
