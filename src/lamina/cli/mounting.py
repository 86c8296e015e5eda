"""The words of `--mount` and `--volume` (docker/cli, opts/mount.go)."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .parser import FALSE, TRUE, pairs

if TYPE_CHECKING:
    from ..containers.mounts import Asked

Fields = dict[str, Any]
"""Fields of an `Asked`."""

_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_ALONE = ("readonly", "volume-nocopy", "bind-nonrecursive")


def mount(text: str) -> Fields:
    """Return what `type=bind,source=...,target=...` asks for; ValueError says why it cannot be read."""
    found: Fields = {"kind": "volume", "target": "", "groups": set()}
    for part in _parts(text):
        word, equals, value = part.partition("=")
        name = _NAMES.get(word.lower(), word.lower())
        if not equals and name not in _ALONE:
            raise ValueError(f"invalid field '{part}' must be a key=value pair")
        reader = _READERS.get(name)
        if reader is None:
            raise ValueError(f"unexpected key '{word.lower()}' in '{part}'")
        try:
            reader(found, value if equals else "true")
        except ValueError as error:
            raise ValueError(f"invalid value for {word.lower()}: {value}") from error
        found["groups"].add(name.partition("-")[0])
    for group in ("bind", "volume", "tmpfs"):
        if group in found["groups"] and found["kind"] != group:
            raise ValueError(f"cannot mix '{group}-*' options with mount type '{found['kind']}'")
    if not found["target"]:
        raise ValueError("target is required")
    return found


def asked(fields: Fields) -> "Asked":
    """Return the wish that the fields are."""
    from ..containers.mounts import Asked

    given = {name: value for name, value in fields.items() if name != "groups"}
    has = {f"has_{group}_options": group in fields["groups"] for group in ("bind", "volume")}
    return Asked(must_exist=True, **{**given, **has})


def absolute(text: str) -> str:
    """Return a `source:destination` whose source is absolute: `.` and `..` are meant from here.

    Raises:
        BadOption: a part of it is empty.
    """
    from .granting import BadOption

    source, colon, rest = text.partition(":")
    if not all(text.split(":")):
        raise BadOption(f"invalid spec: {text}: empty section between colons")
    return os.path.abspath(source) + colon + rest if source.startswith(".") else text


def _parts(text: str) -> list[str]:
    """Return the fields of a line of comma-separated values."""
    import csv

    rows = list(csv.reader([text], strict=True)) if '"' in text else [text.split(",")]
    return rows[0] if rows else []


def _boolean(text: str) -> bool:
    if text not in (*TRUE, *FALSE):
        raise ValueError(text)
    return text in TRUE


def _size(text: str) -> int:
    from ..errors import InvalidArgument
    from ..render import units

    try:
        return units.parse_size(text)
    except InvalidArgument as error:
        raise ValueError(text) from error


def _set(name: str, parse: Callable[[str], Any] = str) -> Callable[[Fields, str], None]:
    return lambda found, text: found.__setitem__(name, parse(text))


def _add(name: str) -> Callable[[Fields, str], None]:
    return lambda found, text: found.setdefault(name, {}).update(pairs([text]))


_READERS: dict[str, Callable[[Fields, str], None]] = {
    "type": _set("kind", str.lower),
    "source": _set("source", lambda text: os.path.abspath(text) if text == "." or text.startswith("./") else text),
    "target": _set("target"),
    "readonly": _set("readonly", _boolean),
    "consistency": _set("consistency", str.lower),
    "bind-propagation": _set("propagation", str.lower),
    "bind-nonrecursive": _set("recursive", lambda text: not _boolean(text)),
    "volume-nocopy": _set("nocopy", _boolean),
    "volume-label": _add("labels"),
    "volume-driver": _set("driver"),
    "volume-opt": _add("options"),
    "tmpfs-size": _set("size", _size),
    "tmpfs-mode": _set("permissions", lambda text: int(text, 8)),
}
