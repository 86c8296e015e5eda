"""Devices of the host in a container, and which of them its control group lets it use.

Sources: OCI runtime-spec 1.0.2, config-linux.md "Devices"; moby, oci/{defaults,devices_linux}.go.
"""

import os
import stat
from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import InvalidArgument

_USUAL = ((1, 3), (1, 5), (1, 8), (1, 9), (5, 0), (5, 1))  # null zero random urandom tty console
_FUSE = (10, 229)
_OWN = frozenset(("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/.lxc"))  # noqa: S108 - a name


class Device(msgspec.Struct, frozen=True):
    """A device of the host at a place in the tree, or all devices of a directory; rights are some of `rwm`."""

    source: str
    destination: str
    rights: str = "rwm"


class NoDevice(InvalidArgument):
    """A path is no device."""


def nodes(devices: tuple[Device, ...]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the nodes of devices for the runtime, and what the control group allows of them.

    Raises:
        NoDevice: one is not there, or is something else.
    """
    found = [(node, device.rights) for device in devices for node in _gather(device)]
    return [node for node, _ in found], [
        _rule(True, node["type"], (node["major"], node["minor"]), rights) for node, rights in found
    ]


def everything() -> list[dict[str, Any]]:
    """Return the nodes of all devices of the host."""
    return list(_walk("/dev", "/dev"))


def usual() -> list[dict[str, Any]]:
    """Return what a control group allows every container."""
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [_rule(True, "c", number, "rwm") for number in _USUAL]
    return [*rules, _rule(False, "c", _FUSE, "rwm")]


def _rule(allow: bool, kind: str, number: tuple[int, int], rights: str) -> dict[str, Any]:
    return {"allow": allow, "type": kind, "major": number[0], "minor": number[1], "access": rights}


def _gather(device: Device) -> list[dict[str, Any]]:
    source = os.path.realpath(device.source)
    try:
        gather = _walk if os.path.isdir(source) else _alone
        found = list(gather(source, device.destination))
    except OSError as error:
        raise NoDevice(_wrong(device, "no such file or directory")) from error
    if not found:
        raise NoDevice(_wrong(device, "not a device node"))
    return found


def _wrong(device: Device, why: str) -> str:
    return f'error gathering device information while adding custom device "{device.source}": {why}'


def _walk(folder: str, destination: str) -> Iterator[dict[str, Any]]:
    for name in sorted(os.listdir(folder)):
        path, place = f"{folder}/{name}", f"{destination}/{name}"
        if path in _OWN or os.path.islink(path):
            continue
        if os.path.isdir(path):
            yield from _walk(path, place)
        elif node := _node(path, place):
            yield node


def _alone(path: str, destination: str) -> Iterator[dict[str, Any]]:
    if node := _node(path, destination):
        yield node


def _node(path: str, destination: str) -> dict[str, Any] | None:
    info = os.stat(path)
    if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
        return None
    return {
        "path": destination,
        "type": "c" if stat.S_ISCHR(info.st_mode) else "b",
        "major": os.major(info.st_rdev),
        "minor": os.minor(info.st_rdev),
        "fileMode": stat.S_IMODE(info.st_mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
    }
