"""Which system calls a process may make: the default policy, or one of the user's, for a set of capabilities.

`seccomp.json` beside this module is the default, and a pattern for one's own: both are profiles as Docker has them,
which say when a rule counts (moby, profiles/seccomp). The runtime gets those that do (OCI runtime-spec 1.0.2,
config-linux.md "Seccomp").
"""

import os
from collections.abc import Collection
from typing import Any

import msgspec

from ..decoding import NOT_JSON
from ..errors import FailedPrecondition, InvalidArgument
from ..files import libc
from .values import UNCONFINED

_FILE = os.path.join(os.path.dirname(__file__), "seccomp.json")
_KERNEL = "/proc/sys/kernel/seccomp"
_PR_GET_SECCOMP, _X32_GETPID = 21, 0x40000000 + 39
_X32 = "SCMP_ARCH_X32"

_MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("386", "SCMP_ARCH_X86"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
}


class BadPolicy(InvalidArgument):
    """A policy of system calls cannot be read."""

    exit_status = 125


class NoSeccomp(FailedPrecondition):
    """The kernel cannot confine system calls."""

    exit_status = 125


class _When(msgspec.Struct, frozen=True, rename="camel"):
    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str = ""


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    action: str
    names: list[str] | None = None
    name: str = ""
    args: list[dict[str, Any]] | None = None
    errno_ret: int | None = None
    includes: _When | None = None
    excludes: _When | None = None


class _Family(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class _Profile(msgspec.Struct, frozen=True, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[_Family] | None = None
    flags: list[str] | None = None
    syscalls: list[_Rule] | None = None


def check(policy: str) -> None:
    """Refuse a policy that cannot be kept.

    Raises:
        BadPolicy: it cannot be read.
        NoSeccomp: the kernel knows no policies, and one was asked for.
    """
    if policy not in ("", UNCONFINED):
        _parse(policy.encode())
        if not os.path.isdir(_KERNEL):
            raise NoSeccomp("seccomp is not enabled in your kernel, cannot run a custom seccomp profile")


def document(policy: str, capabilities: Collection[str]) -> dict[str, Any] | None:
    """Return what `linux.seccomp` says of a policy; None if it lets everything through, or the kernel knows none.

    Args:
        policy: the JSON text of a profile; empty for the default.
        capabilities: full names of what the process has.

    Raises:
        BadPolicy: it cannot be read.
    """
    if policy == UNCONFINED or not os.path.isdir(_KERNEL):
        return None
    profile = _parse(policy.encode() if policy else _default())
    return _without_none(
        defaultAction=profile.default_action,
        defaultErrnoRet=profile.default_errno_ret,
        architectures=_architectures(profile),
        flags=profile.flags,
        syscalls=[_rule(rule) for rule in profile.syscalls or () if _counts(rule, capabilities)],
    )


def _default() -> bytes:
    with open(_FILE, "rb") as file:
        return file.read()


def _parse(raw: bytes) -> _Profile:
    try:
        profile = msgspec.json.decode(raw, type=_Profile)
    except NOT_JSON as error:
        raise BadPolicy(f"Decoding seccomp profile failed: {error}") from error
    if profile.architectures and profile.arch_map:
        raise BadPolicy("both 'architectures' and 'archMap' are specified in the seccomp profile, use only 'archMap'")
    if any(bool(rule.name) == bool(rule.names) for rule in profile.syscalls or ()):
        raise BadPolicy("a rule of the seccomp profile needs either 'name' or 'names'")
    return profile


def _machine() -> tuple[str, str]:
    """Return the names of this machine's architecture, for conditions and for the kernel's filter."""
    machine = os.uname().machine
    return _MACHINES.get(machine, (machine, ""))


def _architectures(profile: _Profile) -> list[str] | None:
    """Return the architectures whose calls the policy is about; None for just the machine's own."""
    own = _machine()[1]
    for family in profile.arch_map or ():
        if family.architecture == own:
            return [own, *(one for one in family.sub_architectures or () if one != _X32 or _runs_x32())]
    return profile.architectures


def _runs_x32() -> bool:
    """Tell whether the kernel may run x32 programs, which make the calls of x86-64 with a bit set.

    Most kernels do not, and a filter costs a third more for them. Where a filter is over us, it is not asked: that
    might kill us.
    """
    return bool(libc().prctl(_PR_GET_SECCOMP) != 0 or libc().syscall(_X32_GETPID) >= 0)


def _counts(rule: _Rule, capabilities: Collection[str]) -> bool:
    """Tell whether a rule is to be kept here: all of its conditions hold, and none of its exceptions."""
    needs, unless = rule.includes or _When(), rule.excludes or _When()
    arch = _machine()[0]
    return (
        all(name in capabilities for name in needs.caps or ())
        and not any(name in capabilities for name in unless.caps or ())
        and (not needs.arches or arch in needs.arches)
        and not (unless.arches and arch in unless.arches)
        and not (needs.min_kernel and _kernel() < _version(needs.min_kernel))
        and not (unless.min_kernel and _kernel() >= _version(unless.min_kernel))
    )


def _kernel() -> tuple[int, ...]:
    return _version(os.uname().release)


def _version(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a kernel's version."""
    found = []
    for part in text.split(".")[:2]:
        digits = part[: next((at for at, char in enumerate(part) if not char.isdigit()), len(part))]
        found.append(int(digits or 0))
    return tuple(found)


def _rule(rule: _Rule) -> dict[str, Any]:
    names = rule.names or [rule.name]
    return _without_none(names=names, action=rule.action, errnoRet=rule.errno_ret, args=rule.args or None)


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
