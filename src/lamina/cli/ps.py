"""`lamina ps`."""

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, NotFound
from .parser import FALSE, TRUE, Parser, number, pair
from .shell import Shell

if TYPE_CHECKING:
    from ..engine.containers import ContainerSummary

    Accepts = Callable[[ContainerSummary], bool]

HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "State": "STATE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
    "LocalVolumes": "LOCAL VOLUMES",
}
_DEFAULT = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_HEALTH = ("none", "starting", "healthy", "unhealthy")
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_COMMAND_WIDTH = 20
_MOUNT_WIDTH = 15


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina ps [OPTIONS]", summary, ["lamina container ls", "lamina container list"])
    parser.flag("-a", "--all", help="Show all containers (default shows just running)")
    parser.values("-f", "--filter", value="filter", help="Filter output based on conditions provided", parse=pair)
    parser.option("--format", value="string", help="Format output: 'table', 'table TEMPLATE', 'json' or 'TEMPLATE'")
    last = "Show n last created containers (includes all states)"
    parser.option("-n", "--last", value="int", parse=number, default=-1, help=last)
    parser.flag("-l", "--latest", help="Show the latest created container (includes all states)")
    parser.flag("--no-trunc", help="Don't truncate output")
    parser.flag("-q", "--quiet", help="Only display container IDs")
    parser.flag("-s", "--size", help="Display total file sizes")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    from ..render.table import QUIET, Table

    found = shell.engine.containers(sizes=options.size or any(word in options.format for word in (".Size", "json")))
    filters = _filters(options.filter, found)
    last = 1 if options.latest else options.last
    is_status = any(text.startswith("status=") for text in options.filter)
    if not (options.all or is_status or last > 0):
        found = [one for one in found if one.state.status in ("running", "paused", "restarting")]
    found = [one for one in found if all(any(accepts(one) for accepts in each) for each in filters)]
    rows = [row(one, truncated=not options.no_trunc) for one in (found[:last] if last > 0 else found)]
    default = _DEFAULT + "\t{{.Size}}" if options.size else _DEFAULT
    form = options.format or (QUIET if options.quiet else "table")
    shell.table(Table(HEADERS, default), rows, form)
    return 0


def _filters(texts: "list[str]", every: "list[ContainerSummary]") -> "list[list[Accepts]]":
    """Return what the filters mean: of each list one must accept a container, as of those of one name; labels all."""
    found: dict[str, list[Accepts]] = {}
    for text in texts:
        name, _, value = text.partition("=")
        found.setdefault(text if name in ("label", "volume") else name, []).append(_filter(name, value, every))
    return list(found.values())


def _filter(name: str, value: str, every: "list[ContainerSummary]") -> "Accepts":
    allowed = {"health": _HEALTH, "status": _STATES, "is-task": (*TRUE, *FALSE)}.get(name)
    if allowed and value not in allowed:
        raise InvalidArgument(f"invalid filter '{name}={value}': there are {', '.join(allowed)}")
    if name in ("before", "since"):
        return _by_age(name, value, every)
    if name == "expose":
        return _exposes(value)
    filters: dict[str, Accepts] = {
        "id": lambda one: one.record.id.startswith(value),
        "name": lambda one: value.removeprefix("/") in one.record.name,
        "status": lambda one: one.state.status == value,
        "exited": lambda one: one.state.status == "exited" and str(one.state.exit_code) == value,
        "ancestor": lambda one: _is_ancestor(one, value),
        "label": lambda one: _has_label(one, value),
        "volume": lambda one: any(value in (at.name, at.source, at.destination) for at in one.record.mounts),
        "network": lambda one: one.record.host.network == value,
        "health": lambda one: (one.health or "none") == value,
        "is-task": lambda _: value in FALSE,  # swarms have tasks
        "publish": lambda _: False,  # no network has ports to publish
    }
    if name not in filters:
        raise InvalidArgument(
            f"invalid filter '{name}': there are {', '.join(sorted((*filters, 'before', 'expose', 'since')))}"
        )
    return filters[name]


def _by_age(name: str, value: str, every: "list[ContainerSummary]") -> "Accepts":
    """Return what accepts containers that were made before, or after, another one."""
    text = value.removeprefix("/")
    found = [one.record for one in every if text == one.record.name or (text and one.record.id.startswith(text))]
    if len(found) != 1:
        raise NotFound(f"no such container {value}")
    (other,) = found
    if name == "before":
        return lambda one: one.record.created < other.created
    return lambda one: one.record.created > other.created


def _exposes(text: str) -> "Accepts":
    """Return what accepts containers that expose `PORT`, `PORT/udp` or one of a range of ports."""
    ports, _, protocol = text.partition("/")
    first, _, last = ports.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise InvalidArgument(f"invalid filter 'expose={text}': expected a port, or a range of ports")
    wanted = {f"{port}/{protocol or 'tcp'}" for port in range(int(first), min(int(last or first), 65535) + 1)}
    return lambda one: not wanted.isdisjoint(one.record.config.exposed_ports or {})


def _is_ancestor(one: "ContainerSummary", name: str) -> bool:
    digest = name.removeprefix("sha256:")
    return one.record.image in (name, f"{name}:latest") or one.record.image_id.removeprefix("sha256:").startswith(
        digest
    )


def _has_label(one: "ContainerSummary", text: str) -> bool:
    name, equals, value = text.partition("=")
    labels = one.record.config.labels or {}
    return name in labels and (not equals or labels[name] == value)


def row(one: "ContainerSummary", *, truncated: bool) -> dict[str, Any]:
    """Return a container's row of a list."""
    from ..oci import times
    from ..render import units
    from ..render.template.verbs import quote

    record, now = one.record, time.time()
    created = times.parse_rfc3339(record.created)
    command = _command(record.command)
    if truncated and len(command) > _COMMAND_WIDTH:
        command = command[: _COMMAND_WIDTH - 1] + "…"
    labels = record.config.labels or {}
    return {
        "Command": quote(command),
        "CreatedAt": times.spelled(created),
        "ID": record.id[:12] if truncated else record.id,
        "Image": one.image or record.image,
        "Label": lambda name: labels.get(name, ""),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "LocalVolumes": str(sum(point.kind == "volume" for point in record.mounts)),
        "Mounts": ",".join(_mounts(one, whole=not truncated)),
        "Names": record.name,
        "Networks": record.host.network,
        "Ports": "",
        "RunningFor": units.ago(now - created / 1e9),
        "Size": _size(one),
        "State": one.state.status,
        "Status": _status(one, now),
    }


def _mounts(one: "ContainerSummary", *, whole: bool) -> list[str]:
    """Return the names and sources of a container's mounts, long ones shortened unless the whole is wanted."""
    names = [point.name or point.source for point in one.record.mounts]
    return [name if whole or len(name) <= _MOUNT_WIDTH else name[: _MOUNT_WIDTH - 1] + "…" for name in names]


def _command(words: list[str]) -> str:
    """Return a program and its arguments; those with a space are quoted, as in Docker."""
    program, *arguments = words
    return " ".join([program, *(f"'{word}'" if " " in word else word for word in arguments)])


def _size(one: "ContainerSummary") -> str:
    from ..render import units

    if one.size is None or one.base_size is None:
        return "0B"
    return f"{units.size(one.size)} (virtual {units.size(one.size + one.base_size)})"


def _status(one: "ContainerSummary", now: float) -> str:
    """Return a state in docker's words."""
    from ..oci import times
    from ..render import units

    state = one.state
    if state.status == "created":
        return "Created"
    if state.status in ("running", "paused"):
        up = f"Up {units.ago(now - times.parse_rfc3339(state.started) / 1e9).removesuffix(' ago')}"
        if state.status == "paused":
            return f"{up} (Paused)"
        how = "health: starting" if one.health == "starting" else one.health
        return f"{up} ({how})" if how else up
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {units.ago(now - times.parse_rfc3339(state.finished) / 1e9)}"
    if not state.finished:
        return f"Exited ({state.exit_code})"
    return f"Exited ({state.exit_code}) {units.ago(now - times.parse_rfc3339(state.finished) / 1e9)}"
