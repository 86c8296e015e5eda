"""`lamina events`."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from .moments import moment
from .parser import Parser, pair
from .shell import Shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..store.journal import Event


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina events [OPTIONS]", summary, ["lamina system events"])
    parser.values("-f", "--filter", value="filter", help="Filter output based on conditions provided", parse=pair)
    parser.option("--format", value="string", help="Format output using a custom template: 'json' or 'TEMPLATE'")
    parser.option("--since", value="string", help="Show all events created since timestamp")
    parser.option("--until", value="string", help="Stream events until this timestamp")
    parser.arguments(0, 0)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: it goes on until `--until`, or for ever."""
    filters: dict[str, list[str]] = {}
    for text in options.filter:
        name, _, value = text.partition("=")
        filters.setdefault(name, []).append(value)
    since = moment(options.since, "since") if options.since else None
    found = shell.engine.events(since=since, until=moment(options.until, "until"), filters=filters)
    show = _shown(options.format)
    for event in found:
        shell.line(show(event))
        sys.stdout.flush()
    return 0


def _shown(form: str) -> "Callable[[Event], str]":
    """Return what spells an event in a format."""
    if not form:
        return _line
    if form in ("json", "{{json .}}"):
        return _json
    from ..render.template import parse, unescape

    template = parse(unescape(form))
    return lambda event: template.render(_fields(event))


def _line(event: "Event") -> str:
    """Return an event as docker prints it, with nine digits of a second."""
    from ..oci import times

    begin = times.rfc3339(event.time // 10**9 * 10**9).removesuffix("Z")
    attributes = ", ".join(f"{name}={value}" for name, value in sorted(event.attributes.items()))
    ending = f" ({attributes})" if attributes else ""
    return f"{begin}.{event.time % 10**9:09}Z {event.type} {event.action} {event.id}{ending}"


def _fields(event: "Event") -> dict[str, Any]:
    """Return an event with the names that docker's templates have for its parts."""
    from ..render.template import StringMap

    is_old = event.type in ("container", "image")  # these alone have the fields of Docker's first years
    return {
        "Status": event.action if is_old else "",
        "ID": event.id if is_old else "",
        "From": event.attributes.get("image", "") if event.type == "container" else "",
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": StringMap(event.attributes)},
        "Scope": "local",
        "Time": event.time // 10**9,
        "TimeNano": event.time,
    }


def _json(event: "Event") -> str:
    """Return an event as Docker's API has it."""
    import msgspec

    fields = _fields(event)
    old = {name.lower(): value for name in ("Status", "ID", "From") if (value := fields[name])}
    new = {name: fields[name] for name in ("Type", "Action", "Actor")}
    new["Actor"]["Attributes"] = dict(sorted(event.attributes.items()))
    last = {"scope": "local", "time": fields["Time"], "timeNano": fields["TimeNano"]}
    return msgspec.json.encode({**old, **new, **last}).decode()
