"""Limits that control groups keep: the runtime translates them for version 1, version 2 and both at once.

Sources: OCI runtime-spec 1.0.2, config-linux.md "Control groups"; moby, daemon/daemon_unix.go.
"""

import os
from typing import Any

import msgspec

_PERIOD = 100_000
_SWAP = "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"
_UNIFIED = "/sys/fs/cgroup/cgroup.controllers"


class Resources(msgspec.Struct, frozen=True):
    """What a container may use; 0 is no limit.

    Attributes:
        memory: bytes.
        memory_swap: bytes of memory and swap together; -1 for no limit.
        memory_reservation: bytes that are left to it when memory is short.
        nano_cpus: billionths of a processor.
        cpu_shares: weight against others, 1024 is the usual.
        cpu_period: microseconds.
        cpu_quota: microseconds in each period.
        cpuset_cpus: the processors that it may run on, `0-2,4`.
        pids: processes and threads.
    """

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    pids: int = 0


def document(resources: Resources) -> dict[str, Any]:
    """Return what `linux.resources` says of them."""
    found = {"memory": _memory(resources), "cpu": _cpu(resources)}
    if resources.pids > 0:
        found["pids"] = {"limit": resources.pids}
    return {name: value for name, value in found.items() if value}


def unified() -> bool:
    """Tell whether this machine has control groups of version 2 only."""
    return os.path.exists(_UNIFIED)


def _memory(resources: Resources) -> dict[str, int]:
    found = {"limit": resources.memory, "reservation": resources.memory_reservation}
    if resources.memory_swap > 0 and (unified() or os.path.exists(_SWAP)):  # else the kernel does not count swap
        found["swap"] = resources.memory_swap
    return {name: value for name, value in found.items() if value}


def _cpu(resources: Resources) -> dict[str, int | str]:
    found: dict[str, int | str] = {
        "shares": resources.cpu_shares,
        "quota": resources.cpu_quota,
        "period": resources.cpu_period,
        "cpus": resources.cpuset_cpus,
    }
    if resources.nano_cpus:
        found |= {"period": _PERIOD, "quota": resources.nano_cpus * _PERIOD // 1_000_000_000}
    return {name: value for name, value in found.items() if value}
