"""`lamina system df`."""

import argparse
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument
from . import images, ps
from .parser import Parser
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.usage import ImageUsage, Usage

HEADERS = {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"}
_DEFAULT = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"
_IMAGES = "\t".join(
    f"{{{{.{name}}}}}"
    for name in ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
)
_CONTAINERS = (
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}"
)
_VOLUME_HEADERS = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina system df [OPTIONS]", summary)
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    parser.flag("-v", "--verbose", help="Show detailed information on space usage")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..render.table import Table

    if options.verbose and options.format:
        raise InvalidArgument("--verbose and --format exclude each other")
    usage = shell.engine.usage()
    if options.verbose:
        _details(usage, shell)
    else:
        shell.table(Table(HEADERS, _DEFAULT), _rows(usage), options.format or "table")
    return 0


def _rows(usage: "Usage") -> Iterator[dict[str, Any]]:
    live = sum(one.state.status in ("running", "paused", "restarting") for one in usage.containers)
    written = sum(one.size or 0 for one in usage.containers)
    volumes = sum(one.size for one in usage.volumes)
    used = sum(bool(one.volume.users) for one in usage.volumes)
    active = sum(bool(one.containers) for one in usage.images)
    yield _row("Images", len(usage.images), active, usage.layers_size, usage.layers_reclaimable)
    yield _row("Containers", len(usage.containers), live, written, usage.containers_reclaimable)
    yield _row("Local Volumes", len(usage.volumes), used, volumes, usage.volumes_reclaimable)
    yield _row("Build Cache", 0, 0, 0, 0)  # what builds have made is images


def _row(kind: str, count: int, active: int, size: int, reclaimable: int) -> dict[str, Any]:
    from ..render import units

    back = units.size(reclaimable)
    return {
        "Active": str(active),
        "Reclaimable": f"{back} ({reclaimable * 100 // size}%)" if size else back,
        "Size": units.size(size),
        "TotalCount": str(count),
        "Type": kind,
    }


def _details(usage: "Usage", shell: Shell) -> None:
    from ..render import units
    from ..render.table import Table

    shell.out("Images space usage:\n\n")
    headers = images.HEADERS | {"SharedSize": "SHARED SIZE", "UniqueSize": "UNIQUE SIZE", "Containers": "CONTAINERS"}
    shell.table(Table(headers, _IMAGES), [row for one in usage.images for row in _image(one)], "table")
    shell.out("\nContainers space usage:\n\n")
    rows = [ps.row(one, truncated=True) for one in usage.containers]
    written = {one.record.id[:12]: units.size(one.size or 0) for one in usage.containers}
    shell.table(Table(ps.HEADERS, _CONTAINERS), [row | {"Size": written[row["ID"]]} for row in rows], "table")
    shell.out("\nLocal Volumes space usage:\n\n")
    volumes = [
        {"Name": one.volume.volume.name, "Links": str(len(one.volume.users)), "Size": units.size(one.size)}
        for one in usage.volumes
    ]
    shell.table(Table(_VOLUME_HEADERS, "{{.Name}}\t{{.Links}}\t{{.Size}}"), volumes, "table")
    shell.out("\nBuild cache usage: 0B\n")


def _image(one: "ImageUsage") -> Iterator[dict[str, Any]]:
    from ..oci import digest
    from ..render import units

    image = one.image
    for text in image.tags or ["<none>:<none>"]:
        repository, _, tag = text.rpartition(":")
        yield {
            "Containers": str(one.containers),
            "CreatedSince": units.ago(time.time() - image.created / 1e9) if image.created is not None else "N/A",
            "ID": digest.short(image.id),
            "Repository": repository,
            "SharedSize": units.size(one.shared),
            "Size": units.size(image.size),
            "Tag": tag,
            "UniqueSize": units.size(one.unique),
        }
