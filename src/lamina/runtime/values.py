"""What is to be run, and with what around it."""

import msgspec

from .capabilities import DEFAULT
from .devices import Device
from .resources import Resources

MASKED = (
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
)
"""Files that a container sees empty."""

READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Directories that it cannot change."""

SHM_SIZE = 64 << 20
"""The bytes of its /dev/shm."""

UNCONFINED = "unconfined"
"""The policy that lets every system call through."""


class User(msgspec.Struct, frozen=True):
    """Whom a process runs as, by number."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


class Bind(msgspec.Struct, frozen=True):
    """A directory or file of the host at a place in the tree; `source` is absolute.

    `propagation` says whether mounts of the host below the source come to be seen (mount_namespaces(7)).
    """

    source: str
    destination: str
    readonly: bool = False
    recursive: bool = True
    propagation: str = "rprivate"


class Tmpfs(msgspec.Struct, frozen=True):
    """An empty file system in memory at a place in the tree."""

    destination: str
    options: tuple[str, ...] = ()


class Rlimit(msgspec.Struct, frozen=True):
    """A limit of each process (getrlimit(2)): `nofile`, and so on; -1 is no limit."""

    name: str
    soft: int
    hard: int


class Rights(msgspec.Struct, frozen=True):
    """What a process may do; the defaults are Docker's.

    Attributes:
        capabilities: full names.
        seccomp: the policy of system calls, as JSON; empty for the default one.
        no_new_privileges: whether programs that would gain rights do not.
        privileged: whether it may use all devices, and write to /sys and control groups.
        masked: files that it sees empty.
        readonly: directories that it cannot change.
    """

    capabilities: tuple[str, ...] = DEFAULT
    seccomp: str = ""
    no_new_privileges: bool = False
    privileged: bool = False
    masked: tuple[str, ...] = MASKED
    readonly: tuple[str, ...] = READONLY


class Process(msgspec.Struct, frozen=True):
    """A process and its surroundings.

    Attributes:
        args: the program and its arguments.
        env: its whole environment, `NAME=value`.
        cwd: where it starts.
        user: whom it runs as.
        terminal: whether its streams are a terminal.
        hostname: the name of its host.
        network: `none` for a network of its own with only a loopback, `host` for the host's.
        readonly: whether it may not write to its tree.
        binds: what of the host it sees.
        domainname: the NIS domain of its host; empty for none.
        rights: what it may do.
        resources: what it may use, with its children.
        rlimits: what it may use by itself.
        devices: further devices of the host.
        tmpfs: file systems in memory.
        shm_size: bytes of its /dev/shm; 0 for no such place.
        sysctls: settings of the kernel, for its namespaces.
        oom_score_adj: how willingly it is killed when memory is short; 0 is as willingly as we.
        shared: namespaces of the host that it is in: `pid`, `ipc`, `uts`.
    """

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    hostname: str = ""
    network: str = "host"
    readonly: bool = False
    binds: tuple[Bind, ...] = ()
    domainname: str = ""
    rights: Rights = Rights()
    resources: Resources = Resources()
    rlimits: tuple[Rlimit, ...] = ()
    devices: tuple[Device, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    shm_size: int = SHM_SIZE
    sysctls: dict[str, str] = {}
    oom_score_adj: int = 0
    shared: tuple[str, ...] = ()
