"""`lamina images`."""

import argparse
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument
from .parser import Parser, pair
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.listing import ImageSummary

HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
_DEFAULT = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
_WITH_DIGEST = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina images [OPTIONS] [REPOSITORY[:TAG]]", summary, ["lamina image ls", "lamina image list"])
    parser.flag("-a", "--all", help="Show all images (default hides intermediate images)")
    parser.flag("--digests", help="Show digests")
    parser.values("-f", "--filter", value="filter", help="Filter output based on conditions provided", parse=pair)
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    parser.flag("--no-trunc", help="Don't truncate output")
    parser.flag("-q", "--quiet", help="Only show image IDs")
    parser.arguments(0, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..render.table import QUIET, Table

    images = list(_chosen(shell.engine.images(), options))
    patterns = options.arguments + [text.partition("=")[2] for text in options.filter if text.startswith("reference=")]
    rows = list(_rows(images, options, patterns))
    if options.quiet:
        rows = list({row["ID"]: row for row in rows}.values())
    default = _WITH_DIGEST if options.digests else _DEFAULT
    form = options.format or (QUIET if options.quiet else "table")
    shell.table(Table(HEADERS, default), rows, form)
    return 0


def _chosen(images: list["ImageSummary"], options: argparse.Namespace) -> Iterator["ImageSummary"]:
    """Yield the images that the options ask for."""
    filters = [_filter(text, images) for text in options.filter]
    if options.arguments:
        filters.append(_reference_filter(options.arguments[0]))
    for image in images:
        hidden = not (options.all or image.tags or image.digests) and image.has_children
        if not hidden and all(accepts(image) for accepts in filters):
            yield image


def _filter(text: str, images: list["ImageSummary"]) -> Any:
    name, _, value = text.partition("=")
    if name == "dangling":
        wanted = value in ("true", "1")
        return lambda image: (not image.tags and not image.has_children) == wanted
    if name == "label":
        key, has_value, wanted_value = value.partition("=")
        return lambda image: key in image.labels and (not has_value or image.labels[key] == wanted_value)
    if name == "reference":
        return _reference_filter(value)
    if name in ("before", "since"):
        created = _created(value, images)
        if name == "before":
            return lambda image: (image.created or 0) < created
        return lambda image: (image.created or 0) > created
    raise InvalidArgument(f"invalid filter '{name}': there are before, dangling, label, reference and since")


def _reference_filter(pattern: str) -> Any:
    return lambda image: any(_matches(text, [pattern]) for text in (*image.tags, *image.digests))


def _matches(name: str, patterns: list[str]) -> bool:
    """Tell whether a reference, or its repository, is what all patterns ask for."""
    from fnmatch import fnmatchcase

    repository = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
    return all(fnmatchcase(name, pattern) or fnmatchcase(repository, pattern) for pattern in patterns)


def _created(name: str, images: list["ImageSummary"]) -> int:
    from ..images.images import ImageNotFound

    for image in images:
        if name in image.tags or f"{name}:latest" in image.tags or image.id.removeprefix("sha256:").startswith(name):
            return image.created or 0
    raise ImageNotFound(name)


def _rows(
    images: Iterable["ImageSummary"], options: argparse.Namespace, patterns: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each name of an image that fits all patterns, and one for an image without names."""
    from ..oci import digest, times
    from ..render import units

    now = time.time()
    for image in images:
        tags = [text for text in image.tags if _matches(text, patterns)]
        digests = [text for text in image.digests if _matches(text, patterns)]
        by_repository: dict[str, str] = dict(text.split("@") for text in digests)
        names = [(*text.rsplit(":", 1), by_repository.get(text.rsplit(":", 1)[0], "<none>")) for text in tags]
        tagged = {name[0] for name in names}
        names += [(name, "<none>", value) for name, value in by_repository.items() if name not in tagged]
        for repository, tag, content in names or [("<none>", "<none>", "<none>")]:
            yield {
                "Containers": "N/A",
                "CreatedAt": times.spelled(image.created) if image.created is not None else "N/A",
                "CreatedSince": units.ago(now - image.created / 1e9) if image.created is not None else "N/A",
                "Digest": content,
                "ID": image.id if options.no_trunc else digest.short(image.id),
                "Repository": repository,
                "SharedSize": "N/A",
                "Size": units.size(image.size),
                "Tag": tag,
                "UniqueSize": "N/A",
                "VirtualSize": units.size(image.size),
            }
