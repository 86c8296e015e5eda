"""What a container is granted of the host, from what was asked for: checked when it is made, given when it runs."""

import msgspec

from ..errors import InvalidArgument, NotSupported
from ..runtime import capabilities, etc, reaper, seccomp, users
from ..runtime.resources import Resources
from ..runtime.values import MASKED, READONLY, UNCONFINED, Process, Rights, Tmpfs
from ..tar.root import Root
from . import limits
from .host import Host

_TMPFS = ("noexec", "nosuid", "nodev")
_SIZES = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")
_FLAGS = """
defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync atime noatime diratime nodiratime relatime
norelatime strictatime nostrictatime mand nomand
"""
_RESTARTS = ("no", "always", "unless-stopped", "on-failure")
_MODES = {
    "pid_mode": ("Invalid PID mode", ("", "host")),
    "ipc_mode": ("Invalid IPC mode", ("", "private", "shareable", "host", "none")),
    "uts_mode": ("Invalid UTS mode", ("", "host")),
}


class InvalidGrant(InvalidArgument):
    """A container cannot be granted this."""


def settled(host: Host) -> Host:
    """Return what is asked for with Docker's additions: names of capabilities in full, swap as much as memory.

    Raises:
        InvalidArgument: a container cannot have it; the class says what.
        NotSupported: it is valid, and not offered.
    """
    limits.check(host)
    _check(host)
    found = msgspec.structs.replace(
        host,
        memory_swap=host.memory_swap or host.memory * 2,
        pids_limit=max(host.pids_limit, 0),
        cap_add=[capabilities.named(name, "CapAdd") for name in host.cap_add],
        cap_drop=[capabilities.named(name, "CapDrop") for name in host.cap_drop],
        shm_size=host.shm_size or Host().shm_size,
        ipc_mode=host.ipc_mode or "private",
    )
    rights(found)
    return found


def granted(process: Process, host: Host, root: Root) -> Process:
    """Return a process with all that its container is granted besides binds and network; `root` is its tree.

    Raises:
        NoReaper: there is no program for `--init`.
        UnknownUser: a group is not in the tree's files.
    """
    shared = [space for space in ("pid", "ipc", "uts") if getattr(host, f"{space}_mode") == "host"]
    groups = (*process.user.groups, *users.groups(root, host.group_add))
    return msgspec.structs.replace(
        process,
        args=(reaper.PLACE, "--", *process.args) if host.init else process.args,
        binds=(*process.binds, reaper.bind()) if host.init else process.binds,
        user=msgspec.structs.replace(process.user, groups=groups),
        rights=rights(host),
        resources=_resources(host),
        rlimits=tuple(host.ulimits),
        devices=tuple(host.devices),
        tmpfs=(*process.tmpfs, *(Tmpfs(place, _options(text)) for place, text in host.tmpfs.items())),
        shm_size=0 if host.ipc_mode == "none" else host.shm_size,
        sysctls=host.sysctls,
        oom_score_adj=host.oom_score_adj,
        shared=tuple(shared),
    )


def names(host: Host) -> etc.Names:
    """Return what a container is to know of the names of others."""
    return etc.Names(tuple(host.extra_hosts), tuple(host.dns), tuple(host.dns_search), tuple(host.dns_options))


def rights(host: Host) -> Rights:
    """Return what a container may do.

    Raises:
        InvalidGrant: a security option is malformed.
        NotSupported: it is about what lamina does not use.
        BadPolicy: the policy of system calls cannot be read.
        PermissionDenied: a capability is asked for that we do not have.
    """
    policy, no_new = "", False
    for text in host.security_opt:
        kind, value = _option(text)
        if kind == "seccomp":
            policy = value
        elif kind == "no-new-privileges":
            no_new = value == "true"
    seccomp.check(policy)
    if host.privileged:
        return Rights(capabilities.ours(), policy or UNCONFINED, no_new, privileged=True, masked=(), readonly=())
    return Rights(
        capabilities.chosen(host.cap_add, host.cap_drop),
        policy,
        no_new,
        masked=() if host.unmasked else MASKED,
        readonly=() if host.unmasked else READONLY,
    )


def _option(text: str) -> tuple[str, str]:
    """Return a security option's name and value."""
    at = next((at for at, char in enumerate(text) if char in "=:"), len(text))
    kind, value = text[:at], text[at + 1 :]
    if kind == "no-new-privileges" and value in ("", "true", "false"):
        return kind, value or "true"
    if kind == "seccomp" and value:
        return kind, value
    if kind in ("label", "apparmor") and value in ("disable", UNCONFINED):
        return kind, value  # so it is: neither is used
    if kind in ("label", "apparmor"):
        raise NotSupported(f"--security-opt {text!r} is not supported: neither SELinux nor AppArmor is used")
    raise InvalidGrant(f'invalid --security-opt: "{text}"')


def _resources(host: Host) -> Resources:
    return Resources(
        host.memory,
        host.memory_swap,
        host.memory_reservation,
        host.nano_cpus,
        host.cpu_shares,
        host.cpu_period,
        host.cpu_quota,
        host.cpuset_cpus,
        host.pids_limit,
    )


def _check(host: Host) -> None:
    for field, (refusal, modes) in _MODES.items():
        mode = getattr(host, field)
        if mode.startswith(("container:", "ns:")):
            raise NotSupported(f"{refusal[8:]} {mode!r} is not supported yet: another container's cannot be joined")
        if mode not in modes:
            raise InvalidGrant(f"{refusal}: {mode}")
    for place, text in host.tmpfs.items():
        _check_place(place)
        _options(text)
    for name in host.sysctls:
        _check_sysctl(name, host)
    _check_restart(host)
    if host.init:
        reaper.find()


def _check_place(place: str) -> None:
    if not place.startswith("/"):
        raise InvalidGrant(f"invalid mount path: '{place}' mount path must be absolute")
    if not place.strip("/"):
        raise InvalidGrant("invalid specification: destination can't be '/'")


def _check_sysctl(name: str, host: Host) -> None:
    """Refuse a setting of a namespace that is the host's; the runtime would, but later."""
    if name.startswith("net.") and host.network == "host":
        raise InvalidGrant(f'sysctl "{name}" is not allowed in the hosts network namespace')
    if not name.startswith("net.") and host.ipc_mode == "host":
        raise InvalidGrant(f'sysctl "{name}" is not allowed in the hosts ipc namespace')


def _check_restart(host: Host) -> None:
    name, retries = host.restart.name, host.restart.retries
    if name not in _RESTARTS:
        raise InvalidGrant(f"invalid restart policy '{name}'")
    if retries and name != "on-failure":
        raise InvalidGrant(f"maximum retry count cannot be used with restart policy '{name}'")
    if retries < 0:
        raise InvalidGrant("maximum retry count cannot be negative")
    if host.auto_remove and name != "no":
        raise InvalidGrant("can't create 'AutoRemove' container with restart policy")


def _options(text: str) -> tuple[str, ...]:
    """Return the options of a file system in memory, with Docker's where the text does not say otherwise.

    Raises:
        InvalidGrant: one is unknown.
    """
    asked = [word for word in text.split(",") if word]
    for word in asked:
        name, equals, _ = word.partition("=")
        if name not in (_SIZES if equals else _FLAGS.split()):
            raise InvalidGrant(f'invalid tmpfs option ["{word}"]')
    asked = [word for word in asked if word != "defaults"]
    return (
        *(word for word in _TMPFS if word.removeprefix("no") not in asked and word not in asked),
        "rprivate",
        *asked,
    )
