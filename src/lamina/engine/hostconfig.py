"""The host's side of a container as `docker inspect` shows it: what lamina offers, and Docker's word for all else.

Templates and programs ask for any of these fields, and one that is missing would be an error to them.
Source: what dockerd 20.10 answers for a container without options (moby, api/types/container/host_config.go).
"""

from typing import Any

from ..containers.host import Host
from ..containers.mounts import Asked
from ..runtime import resources
from ..runtime.values import MASKED, READONLY

_TEXTS = """
Cgroup CgroupParent ContainerIDFile CpusetMems Isolation UsernsMode VolumeDriver
"""
_NUMBERS = """
BlkioWeight CpuCount CpuPercent CpuRealtimePeriod CpuRealtimeRuntime IOMaximumBandwidth IOMaximumIOps KernelMemory
KernelMemoryTCP
"""
_LISTS = """
BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeightDevice
"""
_ABSENT = """
DeviceCgroupRules DeviceRequests Links MemorySwappiness VolumesFrom
"""


def describe(host: Host) -> dict[str, Any]:
    """Return all fields of `HostConfig`."""
    return {
        **dict.fromkeys(_TEXTS.split(), ""),
        **dict.fromkeys(_NUMBERS.split(), 0),
        **{name: [] for name in _LISTS.split()},
        **dict.fromkeys(_ABSENT.split()),
        "AutoRemove": host.auto_remove,
        "Binds": host.binds or None,
        "CgroupnsMode": "private" if resources.unified() and not host.privileged else "host",
        "ConsoleSize": [0, 0],
        "LogConfig": {"Type": "k8s-file", "Config": {}},
        **({"Mounts": [_mount(asked) for asked in host.mounts]} if host.mounts else {}),
        "NetworkMode": host.network,
        "OomKillDisable": False,
        "PortBindings": {},
        "PublishAllPorts": False,
        "ReadonlyRootfs": host.readonly,
        "RestartPolicy": {"Name": host.restart.name, "MaximumRetryCount": host.restart.retries},
        "Runtime": "runc",
        **_limits(host),
        **_rights(host),
        **_surroundings(host),
    }


def _limits(host: Host) -> dict[str, Any]:
    return {
        "CpuPeriod": host.cpu_period,
        "CpuQuota": host.cpu_quota,
        "CpuShares": host.cpu_shares,
        "CpusetCpus": host.cpuset_cpus,
        "Memory": host.memory,
        "MemoryReservation": host.memory_reservation,
        "MemorySwap": host.memory_swap,
        "NanoCpus": host.nano_cpus,
        "OomScoreAdj": host.oom_score_adj,
        "PidsLimit": host.pids_limit or None,
        "ShmSize": host.shm_size,
        "Ulimits": [{"Name": one.name, "Hard": one.hard, "Soft": one.soft} for one in host.ulimits],
    }


def _rights(host: Host) -> dict[str, Any]:
    unmasked = host.unmasked or host.privileged
    nothing: list[str] | None = None if host.privileged else []
    return {
        "CapAdd": host.cap_add or None,
        "CapDrop": host.cap_drop or None,
        "Devices": [
            {"PathOnHost": one.source, "PathInContainer": one.destination, "CgroupPermissions": one.rights}
            for one in host.devices
        ],
        "GroupAdd": host.group_add or None,
        "IpcMode": host.ipc_mode,
        "MaskedPaths": nothing if unmasked else MASKED,
        "PidMode": host.pid_mode,
        "Privileged": host.privileged,
        "ReadonlyPaths": nothing if unmasked else READONLY,
        "SecurityOpt": host.security_opt or None,
        "UTSMode": host.uts_mode,
    }


def _surroundings(host: Host) -> dict[str, Any]:
    """Return the fields of what is around a container; some of them Docker leaves out where they say nothing."""
    set_only = {"Init": host.init, "Sysctls": host.sysctls, "Tmpfs": host.tmpfs}
    return {
        "Dns": host.dns,
        "DnsOptions": host.dns_options,
        "DnsSearch": host.dns_search,
        "ExtraHosts": host.extra_hosts or None,
        **{name: value for name, value in set_only.items() if value},
    }


def _mount(asked: Asked) -> dict[str, Any]:
    """Return a mount as it was asked for; Docker leaves out what says nothing."""
    bind = {"Propagation": asked.propagation, "NonRecursive": not asked.recursive}
    driver = {"Name": asked.driver, "Options": asked.options}
    volume = {"NoCopy": asked.nocopy, "Labels": asked.labels}
    memory = {"SizeBytes": asked.size, "Mode": asked.permissions}
    found = {
        "Type": asked.kind,
        "Source": asked.source,
        "Target": asked.target,
        "ReadOnly": asked.readonly,
        "Consistency": asked.consistency,
        "BindOptions": _said(bind) if asked.has_bind_options else None,
        "VolumeOptions": {**_said(volume), "DriverConfig": _said(driver)} if asked.has_volume_options else None,
        "TmpfsOptions": _said(memory),
    }
    return _said(found)


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
