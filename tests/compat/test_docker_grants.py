"""What dockerd 20.10 grants its containers, and what it refuses, against what lamina does for the same options."""

import glob
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from bench.images import Image
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Docker

from lamina.cli import granting, run
from lamina.containers import grants
from lamina.runtime import spec
from lamina.runtime.values import Process
from lamina.tar.root import Root

pytestmark = [pytest.mark.docker, pytest.mark.root]

NEWER = {
    *("name_to_handle_at", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_vm_readv", "process_vm_writev"),
    *("cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "getxattrat", "listmount", "listxattrat"),
    *("map_shadow_stack", "mseal", "removexattrat", "setxattrat", "statmount"),
    *("clock_settime64", "set_mempolicy_home_node"),
}
"""System calls that a Docker of today lets through besides those of 20.10."""

X32 = "SCMP_ARCH_X32"

GONE = {"io_uring_enter", "io_uring_register", "io_uring_setup", "socket"}
"""Those that it does not any more; `socket` just for the hypervisor's family."""


UNKNOWN = {"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}
"""Capabilities that it does not know."""


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory, tiny: Image) -> Iterator[Docker]:
    peers.need(Docker.missing())
    with Docker(os.path.join(tmp_path_factory.mktemp("docker"), "store")) as docker:
        docker("load", "-q", "-i", tiny.path)
        yield docker


@pytest.fixture(scope="module")
def lamina(tmp_path_factory: pytest.TempPathFactory, tiny: Image) -> Lamina:
    lamina = Lamina(os.path.join(tmp_path_factory.mktemp("lamina"), "store"))
    lamina("load", "-q", "-i", tiny.path)
    return lamina


def theirs(docker: Docker, *options: str) -> dict[str, Any]:
    """Return the document that dockerd gives to the runtime."""
    container = docker("run", "-d", "--network", "none", *options, "tiny:1", "sleep", "60").stdout.strip()
    try:
        (path,) = glob.glob(f"{docker._private}/exec/containerd/daemon/*/moby/{container}/config.json")
        with open(path) as file:
            return dict(json.load(file))
    finally:
        docker("rm", "-f", container)


def ours(*options: str) -> dict[str, Any]:
    words = ["--network", "none", *options, "tiny:1"]
    host = grants.settled(granting.host(run.parser("").read(words)))
    with Root("/") as root:
        process = grants.granted(Process(("sleep", "60"), (), network="none"), host, root)
    return dict(json.loads(json.dumps(spec.document(process, "/tree", "name"))))


OPTIONS = [
    "",
    "--cap-add SYS_ADMIN",
    "--cap-drop ALL --cap-add sys_ptrace --cap-add SYS_TIME --cap-add SYS_NICE",
    "--cap-drop ALL --cap-add SYS_MODULE --cap-add SYSLOG --cap-add SYS_RAWIO --cap-add DAC_READ_SEARCH",
    "--cap-add ALL --cap-drop CAP_SYS_RESOURCE",
    "-m 64m --cpus 0.5 --pids-limit 10 --cpu-shares 20 --cpuset-cpus 0 --memory-reservation 32m",
    "-m 64m --memory-swap -1 --cpu-period 50000 --cpu-quota 25000 --pids-limit -1",
    "--ulimit nofile=100:200 --ulimit core=0 --group-add 5 --oom-score-adj 100 --sysctl kernel.msgmax=9999",
    "--tmpfs /x:size=1m,exec --tmpfs /y --shm-size 1m --device /dev/null:/dev/xnull:r",
    "--pid host --ipc host --security-opt no-new-privileges --security-opt seccomp=unconfined",
    "--ipc none --uts host --security-opt systempaths=unconfined",
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda text: text or "none")
def test_the_same_is_granted(docker: Docker, options: str) -> None:
    wanted, found = (_plain(one) for one in (theirs(docker, *options.split()), ours(*options.split())))
    for part in wanted:
        assert found[part] == wanted[part], part


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Return what of a document is comparable, without what says nothing."""
    process, linux = document["process"], document["linux"]
    capabilities = {kind: sorted(set(names) - UNKNOWN) for kind, names in process["capabilities"].items()}
    mounts = [mount for mount in document["mounts"] if not mount["destination"].startswith("/etc/")]
    return {
        "capabilities": capabilities,
        "groups": process["user"]["additionalGids"],
        "rlimits": sorted(process.get("rlimits") or [], key=lambda one: str(one["type"])),
        "oom": process.get("oomScoreAdj", 0),
        "no new privileges": process.get("noNewPrivileges", False),
        "mounts": sorted(
            ({**mount, "options": sorted(set(mount["options"]))} for mount in mounts),
            key=lambda one: one["destination"],
        ),
        "namespaces": sorted(space["type"] for space in linux["namespaces"]),
        "masked": linux.get("maskedPaths") or [],
        "readonly": linux.get("readonlyPaths") or [],
        "devices": linux.get("devices") or [],
        "rules": sorted(map(str, linux["resources"]["devices"])),
        "limits": {
            kind: {name: value for name, value in linux["resources"].get(kind, {}).items() if value}
            for kind in ("memory", "cpu", "pids")
        },
        "sysctl": linux.get("sysctl") or {},
        "calls": _calls(linux.get("seccomp")),
    }


def _calls(policy: dict[str, Any] | None) -> dict[str, Any]:
    if policy is None:
        return {}
    rules = [(name, rule) for rule in policy["syscalls"] for name in rule["names"] if name not in NEWER | GONE]
    return {
        "architectures": [name for name in policy["architectures"] if name != X32],  # for us, only where there is any
        "default": (policy["defaultAction"], policy.get("defaultErrnoRet", 1)),
        "rules": sorted({f"{name} {rule['action']} {rule.get('errnoRet')} {_arguments(rule)}" for name, rule in rules}),
    }


def _arguments(rule: dict[str, Any]) -> list[tuple[int, int, str, int]]:
    args = rule.get("args") or ()
    return [(one["index"], one["value"], one["op"], one.get("valueTwo", 0)) for one in args]


def test_the_policy_knows_what_came_later(docker: Docker) -> None:
    """What is named here as different is so; and nothing is left out by mistake."""
    every = ["--cap-add", "ALL", "--cap-drop", "CAP_SYS_RESOURCE"]
    calls = [
        {name for rule in one["linux"]["seccomp"]["syscalls"] if "args" not in rule for name in rule["names"]}
        for one in (theirs(docker), ours(), theirs(docker, *every), ours(*every))
    ]
    assert calls[0] - calls[1] == GONE
    assert calls[3] - calls[2] <= NEWER
    assert calls[3] >= NEWER


REFUSED = """
-m 5m | -m x | -m 10m --memory-swap 5m | --memory-swap 10m | --memory-swap x | --memory-reservation 1m
-m 10m --memory-reservation 20m | --cpus 99 | --cpus -1 | --cpus x | --cpus 1 --cpu-period 1000
--cpus 1 --cpu-quota 1000 | --cpu-period 10 | --cpu-quota 10 | --cpu-shares x | --cpu-shares -1 | --cpuset-cpus 99
--cpuset-cpus x | --pids-limit x | --ulimit nofile | --ulimit nofile=x | --ulimit bogus=1 | --ulimit nofile=5:3
--ulimit nofile=1:2:3 | --ulimit nofile=1: | --cap-add BOGUS | --cap-drop bogus | --device /dev/shm | --device null
--device /dev/null:/dev/x:q | --device /dev/null:bad | --device /dev/null:/dev/x:rw:z | --tmpfs x | --tmpfs /x:bogus
--tmpfs / | --shm-size x | --add-host x | --add-host x:y | --add-host :1.2.3.4 | --dns x | --dns-search a..b
--group-add bogus | --group-add 99999999999 | --stop-signal bogus | --stop-signal 0 | --stop-timeout x
--restart bogus | --restart on-failure:x | --health-interval 1us --health-cmd x | --health-interval=-1s
--health-interval x | --health-interval 5 | --health-retries -1 | --health-retries x | --no-healthcheck --health-cmd x
--health-timeout 5us | --health-start-period=-1s | --sysctl x | --sysctl bogus.y=1 | --sysctl kernel.hostname=x
--oom-score-adj 2000 | --oom-score-adj x | --pid bogus | --ipc bogus | --uts bogus | --uts host --hostname x
--security-opt bogus | --security-opt seccomp=/bogus
"""


def _cases() -> Iterator[str]:
    yield from (case.strip() for line in REFUSED.strip().splitlines() for case in line.split("|"))


def test_the_same_is_refused(docker: Docker, lamina: Lamina) -> None:
    """The same exit code, and the same words where it is docker's client 28 that says them."""
    version = docker("version", "--format", "{{.Client.Version}}").stdout
    is_28 = int(version.partition(".")[0]) >= 28
    differences = []
    for case in _cases():
        words = ["run", "--rm", "--network", "none", *case.split(), "tiny:1", "true"]
        answers = [
            (done.returncode, _said(done.stderr) if is_28 else "")
            for done in (tool(*words, check=False) for tool in (docker, lamina))
        ]
        if answers[0] != answers[1]:
            differences.append((case, *answers))
    assert not differences


def _said(text: str) -> str:
    """Return what is wrong, in the words of either; docker's client 20.10 ends some in a stop."""
    line = text.splitlines()[0]
    for prefix in ("docker: ", "Error response from daemon: ", "Error: "):
        line = line.removeprefix(prefix)
    return line.removesuffix(".")


def test_a_policy_from_a_file(docker: Docker, lamina: Lamina, tmp_path: pathlib.Path) -> None:
    """Ours is written as dockerd reads it."""
    policy = os.path.join(os.path.dirname(spec.__file__), "seccomp.json")
    words = (
        "run",
        "--rm",
        "--network",
        "none",
        "--security-opt",
        f"seccomp={policy}",
        "tiny:1",
        "unshare",
        "-U",
        "true",
    )
    for tool in (docker, lamina):
        done = tool(*words, check=False)
        assert (done.returncode, done.stderr) == (1, "unshare: unshare(0x10000000): Operation not permitted\n")
