"""The runtime-spec document of a process: Docker's defaults of what a container may do and see.

Sources: OCI runtime-spec 1.0.2 (config.md, config-linux.md); moby, daemon/pkg/oci/{defaults,caps}.
"""

from typing import Any

from .values import Bind, Process

_CAPABILITIES = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
]
MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
]
"""Files that a container sees empty."""

READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
"""Directories that it cannot change."""

SHM_SIZE = 64 << 20
"""The bytes of its /dev/shm."""


def document(process: Process, rootfs: str, name: str) -> dict[str, Any]:
    """Return the config.json of a bundle.

    Args:
        process: what is to be run.
        rootfs: the tree, absolute.
        name: of the control group.
    """
    spaces = ["mount", "uts", "ipc", "pid"] + (["network"] if process.network == "none" else [])
    return {
        "ociVersion": "1.0.2",
        "process": _process(process),
        "root": {"path": rootfs, "readonly": process.readonly},
        "hostname": process.hostname,
        "mounts": [*_mounts(), *map(_bind, process.binds)],
        "linux": {
            "cgroupsPath": f"/{name}",
            "namespaces": [{"type": space} for space in spaces],
            "maskedPaths": MASKED,
            "readonlyPaths": READONLY,
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        },
    }


def _process(process: Process) -> dict[str, Any]:
    return {
        "terminal": process.terminal,
        "user": {
            "uid": process.user.uid,
            "gid": process.user.gid,
            "additionalGids": list(dict.fromkeys((process.user.gid, *process.user.groups))),
        },
        "args": list(process.args),
        "env": list(process.env),
        "cwd": process.cwd,
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
        "noNewPrivileges": False,
    }


def _mounts() -> list[dict[str, Any]]:
    safe = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", "proc", safe),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _mount("/sys", "sysfs", "sysfs", [*safe, "ro"]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*safe, "relatime", "ro"]),
        _mount("/dev/mqueue", "mqueue", "mqueue", safe),
        _mount("/dev/shm", "tmpfs", "shm", [*safe, "mode=1777", f"size={SHM_SIZE}"]),  # noqa: S108 - the container's own
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def _bind(bind: Bind) -> dict[str, Any]:
    options = ["rbind" if bind.recursive else "bind", "rprivate", "ro" if bind.readonly else "rw"]
    return _mount(bind.destination, "bind", bind.source, options)
