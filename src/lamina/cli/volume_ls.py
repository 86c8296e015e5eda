"""`lamina volume ls`."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument
from .parser import FALSE, TRUE, Parser, pair
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.volumes import VolumeSummary

    Accepts = Callable[[VolumeSummary], bool]

HEADERS = {
    "Name": "VOLUME NAME",
    "Driver": "DRIVER",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Scope": "SCOPE",
    "Links": "LINKS",
    "Size": "SIZE",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Status": "STATUS",
}


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina volume ls [OPTIONS]", summary, ["lamina volume list"])
    conditions = 'Provide filter values (e.g. "dangling=true")'
    parser.values("-f", "--filter", value="filter", help=conditions, parse=pair)
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    parser.flag("-q", "--quiet", help="Only display volume names")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..render.table import Table

    filters = [_filter(text) for text in options.filter]
    found = [one for one in shell.engine.volumes() if all(accepts(one) for accepts in filters)]
    form = options.format or ("{{.Name}}" if options.quiet else "table")
    shell.table(Table(HEADERS, "{{.Driver}}\t{{.Name}}"), [_row(one) for one in found], form)
    return 0


def _filter(text: str) -> "Accepts":
    name, _, value = text.partition("=")
    filters: dict[str, Accepts] = {
        "dangling": lambda one: (value in TRUE) != bool(one.users),
        "driver": lambda _: value == "local",
        "label": lambda one: has_label(one.volume.labels or {}, value),
        "name": lambda one: value in one.volume.name,
    }
    if name not in filters:
        raise InvalidArgument(f"Invalid filter '{name}'")
    if name == "dangling" and value not in (*TRUE, *FALSE):
        raise InvalidArgument(f"Invalid filter 'dangling=[{value}]'")
    return filters[name]


def has_label(labels: dict[str, str], text: str) -> bool:
    """Tell whether labels have one: `name`, or `name=value`."""
    name, equals, value = text.partition("=")
    return name in labels and (not equals or labels[name] == value)


def _row(one: "VolumeSummary") -> dict[str, Any]:
    labels = one.volume.labels or {}
    return {
        "Availability": "N/A",
        "Driver": "local",
        "Group": "N/A",
        "Label": lambda name: labels.get(name, ""),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "Links": "N/A",
        "Mountpoint": one.volume.path,
        "Name": one.volume.name,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    }
