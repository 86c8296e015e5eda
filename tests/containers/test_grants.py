"""What a container may be granted: what is refused, in which words, and what is recorded of the rest."""

import json
import os
import resource
from typing import Any

import msgspec
import pytest

from lamina.containers import grants, limits, settings, signals
from lamina.containers.host import Host, Restart
from lamina.containers.records import Record, State
from lamina.containers.settings import Wish
from lamina.errors import InvalidArgument, LaminaError, NotSupported, PermissionDenied
from lamina.oci.config import Health, RunConfig
from lamina.runtime import capabilities, reaper, seccomp
from lamina.runtime.values import Rlimit

MEGABYTE = 1 << 20
CPUS = os.cpu_count() or 1


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all capabilities but one."""
    found = tuple(name for name in capabilities.NAMES if name != "CAP_SYS_RESOURCE")
    monkeypatch.setattr(capabilities, "ours", lambda: found)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"memory": 1024}, "Minimum memory limit allowed is 6MB"),
    (
        {"memory": 9 * MEGABYTE, "memory_swap": 8 * MEGABYTE},
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    ),
    ({"memory_swap": 9}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
    ({"memory_reservation": 1}, "Minimum memory reservation allowed is 6MB"),
    (
        {"memory": 7 * MEGABYTE, "memory_reservation": 8 * MEGABYTE},
        "Minimum memory limit can not be less than memory reservation limit, see usage",
    ),
    ({"shm_size": -1}, "SHM size can not be less than 0"),
    ({"nano_cpus": 1, "cpu_period": 1}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    ({"nano_cpus": 1, "cpu_quota": 1}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    (
        {"nano_cpus": (CPUS + 1) * 10**9},
        f"Range of CPUs is from 0.01 to {CPUS}.00, as there are only {CPUS} CPUs available",
    ),
    ({"nano_cpus": -1}, f"Range of CPUs is from 0.01 to {CPUS}.00, as there are only {CPUS} CPUs available"),
    (
        {"cpu_period": 10},
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    ),
    ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ({"cpu_shares": -1}, "shares: invalid argument"),
    ({"cpu_shares": 1}, "the minimum allowed cpu-shares is 2"),
    ({"cpuset_cpus": "x"}, "Invalid value x for cpuset cpus: invalid format: x"),
    ({"cpuset_cpus": "0,"}, "Invalid value 0, for cpuset cpus: invalid format: 0,"),
    ({"cpuset_cpus": "0-99999"}, "Requested CPUs are not available - requested 0-99999, available: "),
    ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
    ({"ulimits": [Rlimit("nofile", 3, 2)]}, "ulimit soft limit must be less than or equal to hard limit: 3 > 2"),
    ({"ulimits": [Rlimit("bogus", 3, 3)]}, "invalid ulimit type: bogus"),
    ({"cap_add": ["bogus"]}, 'invalid CapAdd: unknown capability: "CAP_BOGUS"'),
    ({"cap_drop": [""]}, 'invalid CapDrop: unknown capability: "CAP_"'),
    ({"cap_add": ["sys_resource"]}, "cannot add CAP_SYS_RESOURCE: this process does not have it itself"),
    ({"security_opt": ["bogus=x"]}, 'invalid --security-opt: "bogus=x"'),
    ({"security_opt": ["no-new-privileges:x"]}, 'invalid --security-opt: "no-new-privileges:x"'),
    ({"security_opt": ["seccomp=x"]}, "Decoding seccomp profile failed: JSON is malformed"),
    ({"security_opt": ["label=user:x"]}, "--security-opt 'label=user:x' is not supported: neither SELinux nor"),
    ({"tmpfs": {"x": ""}}, "invalid mount path: 'x' mount path must be absolute"),
    ({"tmpfs": {"//": ""}}, "invalid specification: destination can't be '/'"),
    ({"tmpfs": {"/x": "bogus"}}, 'invalid tmpfs option ["bogus"]'),
    ({"tmpfs": {"/x": "size"}}, 'invalid tmpfs option ["size"]'),
    ({"tmpfs": {"/x": "ro=1"}}, 'invalid tmpfs option ["ro=1"]'),
    ({"restart": Restart("bogus")}, "invalid restart policy 'bogus'"),
    ({"restart": Restart("always", 3)}, "maximum retry count cannot be used with restart policy 'always'"),
    ({"restart": Restart("on-failure", -1)}, "maximum retry count cannot be negative"),
    ({"restart": Restart("always"), "auto_remove": True}, "can't create 'AutoRemove' container with restart policy"),
    ({"pid_mode": "bogus"}, "Invalid PID mode: bogus"),
    ({"ipc_mode": "bogus"}, "Invalid IPC mode: bogus"),
    ({"uts_mode": "bogus"}, "Invalid UTS mode: bogus"),
    ({"pid_mode": "container:x"}, "PID mode 'container:x' is not supported yet"),
    ({"sysctls": {"net.a": "1"}}, 'sysctl "net.a" is not allowed in the hosts network namespace'),
    (
        {"sysctls": {"kernel.msgmax": "1"}, "ipc_mode": "host"},
        'sysctl "kernel.msgmax" is not allowed in the hosts ipc namespace',
    ),
]


@pytest.mark.parametrize(("fields", "why"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises((InvalidArgument, NotSupported, PermissionDenied)) as error:
        grants.settled(Host(**fields))
    assert str(error.value).startswith(why)


def test_no_limit_is_above_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (5, 100))
    limits.check(Host(ulimits=[Rlimit("nofile", 5, 100)]))
    for hard in (101, -1):
        with pytest.raises(limits.InvalidLimit, match="more than our own hard limit 100 needs CAP_SYS_RESOURCE"):
            limits.check(Host(ulimits=[Rlimit("nofile", 5, hard)]))
    monkeypatch.setattr(capabilities, "ours", lambda: ("CAP_SYS_RESOURCE",))
    limits.check(Host(ulimits=[Rlimit("nofile", 5, -1)], oom_score_adj=-1000))


def test_nobody_is_spared_more_than_we(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(limits.InvalidLimit, match=r"-1000: less than our own .* needs CAP_SYS_RESOURCE"):
        limits.check(Host(oom_score_adj=-1000))


def test_what_is_recorded() -> None:
    assert grants.settled(Host()) == Host()
    found = grants.settled(
        Host(memory=8 * MEGABYTE, cap_add=["sys_admin", "CAP_BPF"], cap_drop=["all"], shm_size=0, pids_limit=-1)
    )
    assert found == Host(
        memory=8 * MEGABYTE, memory_swap=16 * MEGABYTE, cap_add=["CAP_SYS_ADMIN", "CAP_BPF"], cap_drop=["ALL"]
    )
    assert grants.settled(Host(memory=8 * MEGABYTE, memory_swap=-1)).memory_swap == -1
    assert grants.settled(found) == found


def test_rights() -> None:
    found = grants.rights(Host(security_opt=["no-new-privileges", "seccomp=unconfined", "label=disable"]))
    assert (found.seccomp, found.no_new_privileges) == ("unconfined", True)
    assert not grants.rights(Host(security_opt=["no-new-privileges=false"])).no_new_privileges
    assert not grants.rights(Host(security_opt=["no-new-privileges:true", "no-new-privileges:false"])).no_new_privileges
    policy = '{"defaultAction": "SCMP_ACT_ALLOW"}'
    assert grants.rights(Host(security_opt=[f"seccomp={policy}"])).seccomp == policy
    assert grants.rights(Host(security_opt=["seccomp:unconfined"])).seccomp == "unconfined"
    assert grants.rights(Host(unmasked=True)).masked == ()
    privileged = grants.rights(Host(privileged=True))
    assert privileged.capabilities == capabilities.ours()
    assert privileged.seccomp == "unconfined"


def test_a_file_system_in_memory_is_safe_unless_told() -> None:
    assert grants._options("") == ("noexec", "nosuid", "nodev", "rprivate")
    assert grants._options("exec,size=1m,,defaults") == ("nosuid", "nodev", "rprivate", "exec", "size=1m")
    assert grants._options("nosuid,mode=1777") == ("noexec", "nodev", "rprivate", "nosuid", "mode=1777")


def test_init_needs_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(reaper, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(reaper, "_PLACES", (str(tmp_path / "catatonit"),))
    with pytest.raises(reaper.NoReaper, match="none is installed"):
        grants.settled(Host(init=True))
    for name, content in (("tini", b"\x7fELF ok"), ("docker-init", b"\x7fELF /lib64/ld-linux-x86-64.so.2")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)
    assert reaper.find() == str(tmp_path / "tini")  # the other needs what an image may not have


def test_a_kernel_without_seccomp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_KERNEL", "/nonexistent")
    grants.settled(Host())
    with pytest.raises(seccomp.NoSeccomp):
        grants.settled(Host(security_opt=['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}']))


def test_old_records_open() -> None:
    old = {
        "id": "a" * 64,
        "name": "old",
        "created": "",
        "image_id": "sha256:" + "b" * 64,
        "image": "x",
        "config": {},
        "host": {"binds": ["/a:/b"], "network": "none", "readonly": True, "auto_remove": False},
    }
    record = msgspec.json.decode(json.dumps(old).encode(), type=Record)
    assert record.host == Host(binds=["/a:/b"], network="none", readonly=True)
    again = msgspec.json.decode(msgspec.json.encode(record), type=Record)
    assert again == record
    assert msgspec.json.decode(b'{"status": "exited", "exit_code": 3}', type=State) == State("exited", exit_code=3)


def _run(wish: Wish, image: RunConfig) -> RunConfig:
    return settings.settle(wish, image, "x", "a" * 64)


def test_health_checks_fill_their_gaps_from_the_image() -> None:
    image = RunConfig(cmd=["x"], healthcheck=Health(["CMD", "a"], interval=5, retries=3))
    assert _run(Wish(), image).healthcheck == image.healthcheck
    assert _run(Wish(healthcheck=Health(retries=7)), image).healthcheck == Health(["CMD", "a"], 5, retries=7)
    assert _run(Wish(healthcheck=Health(["NONE"])), image).healthcheck == Health(["NONE"])
    none = RunConfig(cmd=["x"])
    assert _run(Wish(healthcheck=Health(["CMD", "b"])), none).healthcheck == Health(["CMD", "b"])
    assert not _run(Wish(), none).healthcheck


def test_how_a_container_is_stopped() -> None:
    image = RunConfig(cmd=["x"], stop_signal="SIGQUIT")
    assert _run(Wish(), image).stop_signal == "SIGQUIT"
    found = _run(Wish(stop_signal="9", stop_timeout=0, domainname="d"), image)
    assert (found.stop_signal, found.stop_timeout, found.domainname) == ("9", 0, "d")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (Wish(hostname="x", host=Host(uts_mode="host")), "conflicting options: hostname and the UTS mode"),
        (Wish(stop_signal="bogus"), "Invalid signal: bogus"),
        (Wish(healthcheck=Health(interval=1000)), "Interval in Healthcheck cannot be less than 1ms"),
        (Wish(healthcheck=Health(timeout=1000)), "Timeout in Healthcheck cannot be less than 1ms"),
        (Wish(healthcheck=Health(start_period=-1)), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Wish(healthcheck=Health(retries=-1)), "Retries in Healthcheck cannot be negative"),
        (Wish(host=Host(memory=1)), "Minimum memory limit allowed is 6MB"),
    ],
)
def test_wishes_that_are_refused(wish: Wish, why: str) -> None:
    with pytest.raises(LaminaError) as error:
        settings.check(wish)
    assert str(error.value) == why


def test_signals() -> None:
    known = {"9": 9, "KILL": 9, "sigterm": 15, "SIGRTMIN": 34, "rtmin+3": 37, "SIGRTMAX-1": 63, "64": 64}
    assert {text: signals.number(text) for text in known} == known


@pytest.mark.parametrize("text", ["", "0", "65", "x", "SIG", "TERM+1", "RTMIN+99", "RTMIN-1", "RTMAX+1", "RTMIN+x"])
def test_no_signals(text: str) -> None:
    with pytest.raises(signals.InvalidSignal):
        signals.number(text)
