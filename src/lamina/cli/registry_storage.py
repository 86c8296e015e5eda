"""The storage that a command looks after, by its folder or by the configuration of its server."""

import argparse
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import registry_parts
from .parser import Parser

if TYPE_CHECKING:
    from ..registry.filesystem import Filesystem


def add_options(parser: Parser) -> None:
    """Add the options that say where it is."""
    parser.option("--config", value="string", help="Configuration of the registry's server")
    parser.option("--storage", value="string", help="Folder of the registry (default /var/lib/registry)")


def folder(options: argparse.Namespace) -> str:
    """Return the storage's folder.

    Raises:
        InvalidArgument: there is none.
    """
    import os

    registry_parts.need()
    from ..registry import configuration, paths
    from ..registry.settings import Settings

    settings = configuration.read(options.config) if options.config else Settings()
    found: str = options.storage or settings.storage
    if not os.path.isdir(os.path.join(found, paths.ROOT)) and not os.path.isdir(os.path.join(found, paths.OWN)):
        raise InvalidArgument(f"{found} is no registry's folder: it has neither {paths.ROOT} nor {paths.OWN}")
    return found


def open_storage(options: argparse.Namespace) -> "Filesystem":
    """Return the storage."""
    from ..registry.filesystem import Filesystem

    return Filesystem(folder(options))
