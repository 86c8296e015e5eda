"""The runtime-spec document: what is asked for is there, and nothing else is."""

import os
import re
from typing import Any

import pytest
from tests import peers

from lamina.errors import PermissionDenied
from lamina.runtime import capabilities, resources, spec
from lamina.runtime.devices import Device, NoDevice
from lamina.runtime.resources import Resources
from lamina.runtime.values import Bind, Process, Rights, Rlimit, Tmpfs, User


def document(**fields: Any) -> dict[str, Any]:
    return spec.document(Process(("true",), (), **{"network": "none", "hostname": "box", **fields}), "/tree", "name")


def test_the_usual_process() -> None:
    found = document()
    linux = found["linux"]
    assert found["hostname"] == "box"
    assert found["process"]["capabilities"]["bounding"] == list(capabilities.DEFAULT)
    assert {"type": "network"} in linux["namespaces"]
    assert "/proc/kcore" in linux["maskedPaths"]
    assert "/proc/sys" in linux["readonlyPaths"]
    assert linux["devices"] == []
    assert linux["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert set(linux["resources"]) == {"devices"}
    assert linux["sysctl"] == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
    }
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not {"rlimits", "oomScoreAdj"} & set(found["process"])


def test_only_root_has_capabilities_to_begin_with() -> None:
    assert set(document(user=User(5))["process"]["capabilities"]) == {"bounding"}
    assert set(document()["process"]["capabilities"]) == {"bounding", "effective", "permitted"}


def test_privileged() -> None:
    found = document(rights=Rights(("CAP_CHOWN",), "unconfined", privileged=True, masked=(), readonly=()))
    linux = found["linux"]
    assert "seccomp" not in linux
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert {"/dev/null", "/dev/zero"} <= {device["path"] for device in linux["devices"]}
    assert "/dev/pts/ptmx" not in {device["path"] for device in linux["devices"]}  # it has its own
    assert not [mount for mount in found["mounts"] if "ro" in mount["options"]]
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []


def test_namespaces_of_the_host() -> None:
    found = document(shared=("pid", "ipc", "uts"), network="host", domainname="x")
    assert {space["type"] for space in found["linux"]["namespaces"]} - {"cgroup"} == {"mount"}
    assert "hostname" not in found
    assert found["linux"]["sysctl"] == {}
    (shm,) = (mount for mount in found["mounts"] if mount["destination"] == "/dev/shm")
    assert shm["source"] == "/dev/shm"


def test_mounts_stand_inside_each_other() -> None:
    binds = (Bind("/a", "/x/y/z"), Bind("/b", "/x"))
    found = document(binds=binds, tmpfs=(Tmpfs("/x/y/", ("size=1m",)),), shm_size=0)["mounts"]
    assert [mount["destination"] for mount in found[-3:]] == ["/x", "/x/y/", "/x/y/z"]
    assert found[-2] == {"destination": "/x/y/", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}
    assert "/dev/shm" not in {mount["destination"] for mount in found}


def test_limits() -> None:
    every = Resources(64, 128, 32, 500_000_000, 20, 0, 0, "0-1", 10)
    assert document(resources=every)["linux"]["resources"] | {"devices": []} == {
        "devices": [],
        "memory": {"limit": 64, "reservation": 32, "swap": 128},
        "cpu": {"shares": 20, "quota": 50_000, "period": 100_000, "cpus": "0-1"},
        "pids": {"limit": 10},
    }
    assert resources.document(Resources(cpu_period=5000, cpu_quota=2500)) == {"cpu": {"quota": 2500, "period": 5000}}
    assert resources.document(Resources(memory=64, memory_swap=-1)) == {"memory": {"limit": 64}}


def test_swap_is_limited_where_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_SWAP", "/nonexistent")
    monkeypatch.setattr(resources, "_UNIFIED", "/nonexistent")
    assert resources.document(Resources(memory=64, memory_swap=128)) == {"memory": {"limit": 64}}
    monkeypatch.setattr(resources, "_UNIFIED", "/")
    assert resources.document(Resources(memory=64, memory_swap=128))["memory"]["swap"] == 128
    assert {"type": "cgroup"} in document()["linux"]["namespaces"]


def test_limits_of_each_process() -> None:
    process = document(rlimits=(Rlimit("nofile", 10, 20), Rlimit("core", -1, -1)), oom_score_adj=5)["process"]
    endless = (1 << 64) - 1
    assert process["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
        {"type": "RLIMIT_CORE", "soft": endless, "hard": endless},
    ]
    assert process["oomScoreAdj"] == 5


def test_devices() -> None:
    linux = document(devices=(Device("/dev/zero", "/dev/x", "r"),))["linux"]
    (node,) = linux["devices"]
    assert (node["path"], node["type"], node["major"], node["minor"]) == ("/dev/x", "c", 1, 5)
    assert linux["resources"]["devices"][-1] == {
        "allow": True,
        "type": "c",
        "major": 1,
        "minor": 5,
        "access": "r",
    }
    for path, why in (("/dev/bogus", "no such file or directory"), ("/etc/passwd", "not a device node")):
        with pytest.raises(NoDevice) as error:
            document(devices=(Device(path, "/dev/x"),))
        assert str(error.value).endswith(f'custom device "{path}": {why}')


def test_all_devices_of_a_folder(tmp_path: Any) -> None:
    with pytest.raises(NoDevice):
        document(devices=(Device(str(tmp_path), "/dev/x"),))
    paths = [node["path"] for node in document(devices=(Device("/dev", "/dev/host"),))["linux"]["devices"]]
    assert "/dev/host/null" in paths
    assert "/dev/host/pts/0" not in paths


def test_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = (*capabilities.DEFAULT, "CAP_SYS_ADMIN")
    monkeypatch.setattr(capabilities, "ours", lambda: ours)
    assert capabilities.chosen((), ()) == capabilities.DEFAULT
    assert capabilities.chosen(("CAP_SYS_ADMIN",), ("CAP_CHOWN",)) == (
        *capabilities.DEFAULT[1:],
        "CAP_SYS_ADMIN",
    )
    assert capabilities.chosen(("CAP_CHOWN",), ("ALL",)) == ("CAP_CHOWN",)
    assert capabilities.chosen(("ALL",), ("CAP_CHOWN",)) == ours[1:]
    assert capabilities.chosen(("ALL",), ("ALL",)) == ours  # as dockerd has it
    assert capabilities.chosen((), ("ALL",)) == ()
    with pytest.raises(PermissionDenied):
        capabilities.chosen(("CAP_BPF",), ())
    assert capabilities.named("net_Admin", "CapAdd") == capabilities.named("CAP_NET_ADMIN", "CapAdd") == "CAP_NET_ADMIN"
    assert capabilities.named("all", "CapAdd") == "ALL"
    with pytest.raises(capabilities.UnknownCapability, match='invalid CapDrop: unknown capability: "CAP_X"'):
        capabilities.named("x", "CapDrop")


def test_the_order_of_capabilities_is_the_kernels() -> None:
    header = "/usr/include/linux/capability.h"
    peers.need("" if os.path.exists(header) else "the kernel's headers are not installed")
    with open(header) as file:
        numbers = dict(re.findall(r"#define (CAP_[A-Z_]+)\s+(\d+)\n", file.read()))
    assert {name: str(at) for at, name in enumerate(capabilities.NAMES)} == numbers
