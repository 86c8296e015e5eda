"""Capabilities by name: which there are, which a container has (capabilities(7); moby, oci/caps)."""

import functools
from collections.abc import Iterable

from ..errors import InvalidArgument, PermissionDenied

ALL = "ALL"
"""What stands for every capability."""

_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_DEFAULT = """
CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
AUDIT_WRITE
"""

NAMES = tuple(f"CAP_{name}" for name in _NAMES.split())
"""All of them, in the order of their numbers."""

DEFAULT = tuple(f"CAP_{name}" for name in _DEFAULT.split())
"""What a container has if nothing else is asked for."""


class UnknownCapability(InvalidArgument):
    """There is no capability of this name."""


def named(text: str, option: str) -> str:
    """Return the full name of a capability, `CAP_…`, or `ALL`.

    Args:
        text: its name in either case, with or without the prefix.
        option: where it stands, for the message.

    Raises:
        UnknownCapability: there is none.
    """
    name = text.upper()
    if name == ALL:
        return ALL
    name = name if name.startswith("CAP_") else f"CAP_{name}"
    if name not in NAMES:
        raise UnknownCapability(f'invalid {option}: unknown capability: "{name}"')
    return name


def chosen(add: Iterable[str], drop: Iterable[str]) -> tuple[str, ...]:
    """Return what a container has; names are full. All capabilities are all that we have ourselves.

    `ALL` makes the other list the exception, as in Docker: `--cap-drop ALL --cap-add CHOWN` leaves just that.

    Raises:
        PermissionDenied: a capability is to be added that we do not have ourselves.
    """
    added, dropped = tuple(add), tuple(drop)
    if lacking := [name for name in added if name != ALL and name not in ours()]:
        raise PermissionDenied(f"cannot add {lacking[0]}: this process does not have it itself")
    if ALL in added:
        return tuple(name for name in ours() if name not in dropped)
    base = () if ALL in dropped else tuple(name for name in DEFAULT if name not in dropped)
    return tuple(dict.fromkeys((*base, *added)))


@functools.cache
def ours() -> tuple[str, ...]:
    """Return the capabilities that this process may give away."""
    with open("/proc/self/status", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file)
    held = int(fields[b"CapPrm"], 16) & int(fields[b"CapBnd"], 16)
    return tuple(name for at, name in enumerate(NAMES) if held >> at & 1)
