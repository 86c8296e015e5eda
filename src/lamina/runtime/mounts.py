"""What is mounted in a tree: kernel file systems, memory, and what of the host it sees.

Sources: OCI runtime-spec 1.0.2, config.md "Mounts"; moby, oci/defaults.go.
"""

from typing import Any

from .values import Bind, Process, Tmpfs

_SAFE = ("nosuid", "noexec", "nodev")
_SHM = "/dev/shm"  # noqa: S108 - the container's own


def document(process: Process) -> list[dict[str, Any]]:
    """Return the mounts of a process's tree, outer ones first."""
    readonly = () if process.rights.privileged else ("ro",)
    pts = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    asked = [(one.destination, _tmpfs(one)) for one in process.tmpfs]
    asked += [(one.destination, _bind(one)) for one in process.binds]
    return [
        _mount("/proc", "proc", "proc", _SAFE),
        _mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        _mount("/dev/pts", "devpts", "devpts", pts),
        _mount("/sys", "sysfs", "sysfs", (*_SAFE, *readonly)),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_SAFE, *readonly)),
        _mount("/dev/mqueue", "mqueue", "mqueue", _SAFE),
        *_shm(process),
        *(mount for _, mount in sorted(asked, key=lambda one: one[0].rstrip("/").count("/"))),
    ]


def _shm(process: Process) -> list[dict[str, Any]]:
    if "ipc" in process.shared:
        return [_mount(_SHM, "bind", _SHM, ("rbind", "rprivate"))]
    if not process.shm_size:
        return []
    return [_mount(_SHM, "tmpfs", "shm", (*_SAFE, "mode=1777", f"size={process.shm_size}"))]


def _tmpfs(tmpfs: Tmpfs) -> dict[str, Any]:
    return _mount(tmpfs.destination, "tmpfs", "tmpfs", tmpfs.options)


def _bind(bind: Bind) -> dict[str, Any]:
    options = ("rbind" if bind.recursive else "bind", bind.propagation, "ro" if bind.readonly else "rw")
    return _mount(bind.destination, "bind", bind.source, options)


def _mount(destination: str, kind: str, source: str, options: tuple[str, ...]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}
