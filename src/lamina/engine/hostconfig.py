"""The host's side of a container as `docker inspect` shows it: what lamina offers, and Docker's word for all else.

Templates and programs ask for any of these fields, and one that is missing would be an error to them.
Source: what dockerd 20.10 answers for a container without options (moby, api/types/container/host_config.go).
"""

from typing import Any

from ..containers.records import Host
from ..runtime import spec

_TEXTS = """
Cgroup CgroupParent ContainerIDFile CpusetCpus CpusetMems Isolation PidMode UTSMode UsernsMode VolumeDriver
"""
_NUMBERS = """
BlkioWeight CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpuShares IOMaximumBandwidth
IOMaximumIOps KernelMemory KernelMemoryTCP Memory MemoryReservation MemorySwap NanoCpus OomScoreAdj
"""
_LISTS = """
BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps BlkioWeightDevice Devices Dns
DnsOptions DnsSearch Ulimits
"""
_ABSENT = """
CapAdd CapDrop DeviceCgroupRules DeviceRequests ExtraHosts GroupAdd Links MemorySwappiness PidsLimit SecurityOpt
VolumesFrom
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
        "CgroupnsMode": "host",
        "ConsoleSize": [0, 0],
        "IpcMode": "private",
        "LogConfig": {"Type": "none", "Config": {}},
        "MaskedPaths": spec.MASKED,
        "NetworkMode": host.network,
        "OomKillDisable": False,
        "PortBindings": {},
        "Privileged": False,
        "PublishAllPorts": False,
        "ReadonlyPaths": spec.READONLY,
        "ReadonlyRootfs": host.readonly,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "Runtime": "runc",
        "ShmSize": spec.SHM_SIZE,
    }
