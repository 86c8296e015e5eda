"""What of the host a container gets: the meaning of Docker's HostConfig, as it is recorded."""

import msgspec

from ..runtime.devices import Device
from ..runtime.values import SHM_SIZE, Rlimit
from .mounts import Asked


class Restart(msgspec.Struct, frozen=True):
    """When a container is started again: `no`, `always`, `unless-stopped`, `on-failure` at most so many times."""

    name: str = "no"
    retries: int = 0


class Host(msgspec.Struct, frozen=True):
    """What of the host a container gets; what is left out is as Docker has it.

    Attributes:
        binds: `source:destination[:mode]`.
        mounts: those of `--mount`.
        memory: bytes, as all sizes; 0 is no limit, as for all limits.
        memory_swap: memory and swap together; -1 is no limit, 0 is twice the memory.
        nano_cpus: billionths of a processor.
        pids_limit: processes and threads; negative is no limit too.
        cap_add: capabilities, in either case, with or without `CAP_`; `ALL` is all that we have.
        security_opt: `seccomp=unconfined`, `seccomp=JSON`, `no-new-privileges[=true|false]`.
        unmasked: whether it sees and writes what is otherwise hidden or read-only in /proc and /sys.
        tmpfs: options of file systems in memory, by their places.
        extra_hosts: `name:address`.
        group_add: further groups of its user, by name or number.
        init: whether a small program is its first process.
        restart: recorded only.
        pid_mode: `host`, or empty for its own.
        ipc_mode: `private`, `shareable`, `host`, or `none`, which has no /dev/shm.
        uts_mode: `host`, or empty for its own.
    """

    binds: list[str] = []
    mounts: list[Asked] = []
    network: str = "host"
    readonly: bool = False
    auto_remove: bool = False
    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    pids_limit: int = 0
    ulimits: list[Rlimit] = []
    oom_score_adj: int = 0
    privileged: bool = False
    cap_add: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    unmasked: bool = False
    devices: list[Device] = []
    tmpfs: dict[str, str] = {}
    shm_size: int = SHM_SIZE
    sysctls: dict[str, str] = {}
    extra_hosts: list[str] = []
    dns: list[str] = []
    dns_search: list[str] = []
    dns_options: list[str] = []
    group_add: list[str] = []
    init: bool = False
    restart: Restart = Restart()
    pid_mode: str = ""
    ipc_mode: str = "private"
    uts_mode: str = ""
