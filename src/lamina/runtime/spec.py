"""The runtime-spec document of a process: Docker's defaults of what a container may do and see, and what is asked for.

Sources: OCI runtime-spec 1.0.2 (config.md, config-linux.md); moby, daemon/oci_linux.go, oci/defaults.go.
"""

from typing import Any

from . import devices, mounts, resources, seccomp
from .values import Process

_OWN_NETWORK = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


def document(process: Process, rootfs: str, name: str) -> dict[str, Any]:
    """Return the config.json of a bundle.

    Args:
        process: what is to be run.
        rootfs: the tree, absolute.
        name: of the control group.

    Raises:
        NoDevice: a device is not there.
        BadPolicy: the policy of system calls cannot be read.
    """
    found = {
        "ociVersion": "1.0.2",
        "process": program(process),
        "root": {"path": rootfs, "readonly": process.readonly},
        "mounts": mounts.document(process),
        "linux": _linux(process, name),
    }
    if "uts" not in process.shared:
        found["hostname"] = process.hostname
    return found


def program(process: Process) -> dict[str, Any]:
    """Return the part of the document that says what is run, and as whom."""
    user, rights = process.user, process.rights
    sets = ("bounding", "effective", "permitted") if user.uid == 0 else ("bounding",)
    found = {
        "terminal": process.terminal,
        "user": {
            "uid": user.uid,
            "gid": user.gid,
            "additionalGids": list(dict.fromkeys((user.gid, *user.groups))),
        },
        "args": list(process.args),
        "env": list(process.env),
        "cwd": process.cwd,
        "capabilities": {name: list(rights.capabilities) for name in sets},
        "noNewPrivileges": rights.no_new_privileges,
    }
    if process.rlimits:
        found["rlimits"] = [
            {"type": f"RLIMIT_{one.name.upper()}", "soft": _unsigned(one.soft), "hard": _unsigned(one.hard)}
            for one in process.rlimits
        ]
    if process.oom_score_adj:
        found["oomScoreAdj"] = process.oom_score_adj
    return found


def _unsigned(limit: int) -> int:
    return limit % (1 << 64)


def _linux(process: Process, name: str) -> dict[str, Any]:
    rights = process.rights
    nodes, rules = devices.nodes(process.devices)
    if rights.privileged:
        nodes, rules = devices.everything(), [{"allow": True, "access": "rwm"}]
    else:
        rules = [*devices.usual(), *rules]
    found: dict[str, Any] = {
        "cgroupsPath": f"/{name}",
        "namespaces": [{"type": space} for space in _namespaces(process)],
        "maskedPaths": list(rights.masked),
        "readonlyPaths": list(rights.readonly),
        "resources": {"devices": rules, **resources.document(process.resources)},
        "sysctl": _sysctls(process),
        "devices": nodes,
    }
    if policy := seccomp.document(rights.seccomp, rights.capabilities):
        found["seccomp"] = policy
    return found


def _namespaces(process: Process) -> list[str]:
    spaces = [space for space in ("mount", "uts", "ipc", "pid") if space not in process.shared]
    spaces += ["network"] * (process.network == "none")
    return spaces + ["cgroup"] * (resources.unified() and not process.rights.privileged)


def _sysctls(process: Process) -> dict[str, str]:
    found = {**_OWN_NETWORK} if process.network == "none" else {}
    if process.domainname and "uts" not in process.shared:
        found["kernel.domainname"] = process.domainname
    return {**found, **process.sysctls}
