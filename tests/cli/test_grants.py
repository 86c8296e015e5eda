"""What a container may use, do and see, tried in containers: limits that bite, calls that are denied."""

import json
import os
import pathlib
import re
from typing import Any

import pytest
from tests.cli.place import Lamina

from lamina.runtime import resources

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

RUN = ("run", "--rm", "--network", "none")
BOMB = "bomb() { bomb | bomb & }; bomb; sleep 0.3; exit 4"
"""A shell that starts ever more shells."""


def _field(text: str, name: str) -> int:
    found = re.search(rf"^{name}:?\s+(\w+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1], 16 if name.startswith("Cap") else 10)


def test_a_denied_system_call(lamina: Lamina) -> None:
    """Without the policy the kernel lets anyone make a user namespace."""
    denied = lamina(*RUN, "tiny:1", "unshare", "-U", "true", check=False)
    assert (denied.returncode, denied.stderr) == (1, "unshare: unshare(0x10000000): Operation not permitted\n")
    lamina(*RUN, "--security-opt", "seccomp=unconfined", "tiny:1", "unshare", "-U", "true")
    mode = lamina(*RUN, "tiny:1", "grep", "Seccomp:", "/proc/self/status").stdout
    assert _field(mode, "Seccomp") == 2  # a filter


def test_a_capability_opens_its_system_calls(lamina: Lamina) -> None:
    mount = ("tiny:1", "mount", "-t", "tmpfs", "x", "/tmp")
    for options in ((), ("--security-opt", "seccomp=unconfined")):  # without the capability the kernel denies it
        assert "denied" in lamina(*RUN, *options, *mount, check=False).stderr.replace("not permitted", "denied")
    lamina(*RUN, "--cap-add", "sys_admin", *mount)
    lamina(*RUN, "--privileged", *mount)
    dropped = lamina(*RUN, "--cap-drop", "CHOWN", "tiny:1", "chown", "5", "/tmp", check=False)
    assert dropped.stderr == "chown: /tmp: Operation not permitted\n"


def test_a_policy_of_ones_own(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    rule: dict[str, Any] = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    (tmp_path / "policy.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    policy = f"seccomp={tmp_path}/policy.json"
    refused = lamina(*RUN, "--security-opt", policy, "tiny:1", "mkdir", "/x", check=False)
    assert refused.stderr == "mkdir: can't create directory '/x': No space left on device\n"
    lamina("create", "--name", "kept", "--security-opt", policy, "tiny:1", "true")
    (tmp_path / "policy.json").unlink()  # it is recorded with the container
    assert rule["action"] in lamina("inspect", "-f", "{{.HostConfig.SecurityOpt}}", "kept").stdout


def test_capabilities_of_a_container(lamina: Lamina) -> None:
    def held(*options: str) -> tuple[int, int]:
        text = lamina(*RUN, *options, "tiny:1", "grep", "Cap", "/proc/self/status").stdout
        return _field(text, "CapEff"), _field(text, "CapBnd")

    assert held() == (0xA80425FB, 0xA80425FB)  # Docker's fourteen
    assert held("--user", "5") == (0, 0xA80425FB)
    assert held("--cap-drop", "all", "--cap-add", "chown") == (1, 1)
    with open("/proc/self/status") as file:
        ours = _field(file.read(), "CapPrm")
    assert held("--privileged") == held("--cap-add", "ALL") == (ours, ours)


def test_no_new_privileges(lamina: Lamina) -> None:
    text = lamina(*RUN, "--security-opt", "no-new-privileges", "tiny:1", "cat", "/proc/self/status").stdout
    assert _field(text, "NoNewPrivs") == 1


@pytest.mark.parametrize(("command", "status"), [("dd if=/dev/zero of=/dev/null bs=64M", 137), ("{}; exit 3", 3)])
def test_out_of_memory(lamina: Lamina, command: str, status: int) -> None:
    """The kernel kills the container's program, or a child of it that the program outlives."""
    words = ["sh", "-c", command.format("dd if=/dev/zero of=/dev/null bs=64M")] if "{}" in command else command.split()
    done = lamina("run", "--network", "none", "--name", "big", "-m", "16m", "tiny:1", *words, check=False)
    assert done.returncode == status
    state = lamina.json("inspect", "big")[0]["State"]
    assert (state["OOMKilled"], state["ExitCode"], state["Status"]) == (True, status, "exited")


def test_enough_memory(lamina: Lamina) -> None:
    lamina("run", "--network", "none", "--name", "small", "-m", "64m", "tiny:1", "true")
    assert lamina("inspect", "-f", "{{.State.OOMKilled}}", "small").stdout == "false\n"


def test_killed_without_want_of_memory(lamina: Lamina) -> None:
    lamina(
        "run",
        "--network",
        "none",
        "--name",
        "one",
        "-m",
        "64m",
        "tiny:1",
        "sh",
        "-c",
        "sh -c 'kill -9 $$'; exit 137",
        check=False,
    )
    assert lamina("inspect", "-f", "{{.State.ExitCode}} {{.State.OOMKilled}}", "one").stdout == "137 false\n"


def test_limits_reach_the_control_group(lamina: Lamina) -> None:
    options = ["-m", "64m", "--memory-reservation", "32m", "--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "9"]
    if resources.unified():
        files = {"memory.max": "67108864", "memory.low": "33554432", "cpu.max": "50000 100000", "pids.max": "9"}
    else:
        files = {
            "memory/memory.limit_in_bytes": "67108864",
            "memory/memory.memsw.limit_in_bytes": "134217728",
            "memory/memory.soft_limit_in_bytes": "33554432",
            "cpu/cpu.cfs_quota_us": "50000",
            "cpu/cpu.shares": "512",
            "pids/pids.max": "9",
        }
    done = lamina(*RUN, *options, "tiny:1", "cat", *(f"/sys/fs/cgroup/{name}" for name in files))
    assert dict(zip(files, done.stdout.splitlines(), strict=True)) == files


def test_a_throttled_processor(lamina: Lamina) -> None:
    script = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat"

    def throttled(*options: str) -> int:
        return _field(lamina(*RUN, *options, "tiny:1", "sh", "-c", script, check=False).stdout, "nr_throttled")

    assert throttled("--cpus", "0.05") > 0
    assert throttled("--cpu-period", "10000", "--cpu-quota", "1000") > 0
    assert throttled() == 0


def test_a_bomb_of_processes(lamina: Lamina) -> None:
    done = lamina(*RUN, "--pids-limit", "20", "tiny:1", "sh", "-c", BOMB, check=False, timeout=60)
    assert "can't fork: Resource temporarily unavailable" in done.stderr


def test_limits_of_each_process(lamina: Lamina) -> None:
    options = ("--ulimit", "nofile=64:100", "--ulimit", "core=0")
    assert lamina(*RUN, *options, "tiny:1", "sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c").stdout == "64\n100\n0\n"


def test_processors_of_a_container(lamina: Lamina) -> None:
    text = lamina(*RUN, "--cpuset-cpus", "0", "tiny:1", "grep", "Cpus_allowed_list", "/proc/self/status").stdout
    assert text == "Cpus_allowed_list:\t0\n"


def test_devices(lamina: Lamina) -> None:
    """The control group is asked, not only the node: it may be read, and not written."""
    node = ("--device", "/dev/loop-control:/dev/x:r")
    script = "cat < /dev/x; : > /dev/x"
    if not os.path.exists("/dev/loop-control"):
        pytest.skip("there is no loop device")
    done = lamina(*RUN, *node, "tiny:1", "sh", "-c", script, check=False)
    assert done.stderr.splitlines()[-1] == "sh: can't create /dev/x: Operation not permitted"
    script = "mknod /x c 10 237 && cat /x"
    assert "Operation not permitted" in lamina(*RUN, "tiny:1", "sh", "-c", script, check=False).stderr
    assert "loop-control" in lamina(*RUN, "--privileged", "tiny:1", "ls", "/dev").stdout


def test_file_systems_in_memory(lamina: Lamina) -> None:
    options = ("--tmpfs", "/x:size=1m,exec", "--tmpfs", "/y/z", "--shm-size", "2m", "--read-only")
    mounts = lamina(*RUN, *options, "tiny:1", "mount").stdout
    assert "tmpfs on /x type tmpfs (rw,nosuid,nodev,relatime,size=1024k" in mounts
    assert "tmpfs on /y/z type tmpfs (rw,nosuid,nodev,noexec,relatime" in mounts
    assert re.search(r"shm on /dev/shm .*size=2048k", mounts)
    full = lamina(*RUN, *options, "tiny:1", "dd", "if=/dev/zero", "of=/x/file", "bs=1M", "count=2", check=False)
    assert "No space left on device" in full.stderr


def test_what_is_hidden(lamina: Lamina) -> None:
    script = "cat /proc/keys; ls /sys/firmware; touch /proc/sys/kernel/domainname /sys/x"
    done = lamina(*RUN, "tiny:1", "sh", "-c", script, check=False)
    assert done.stdout == ""
    assert done.stderr.count("Read-only file system") == 2
    unmasked = lamina(*RUN, "--security-opt", "systempaths=unconfined", "tiny:1", "mount").stdout
    assert "on /proc/sys " not in unmasked


def test_settings_of_the_kernel(lamina: Lamina) -> None:
    options = ("--sysctl", "kernel.msgmax=9999", "--sysctl", "net.ipv4.ip_forward=1", "--oom-score-adj", "77")
    files = ("/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_forward", "/proc/self/oom_score_adj")
    assert lamina(*RUN, *options, "tiny:1", "cat", *files).stdout == "9999\n1\n77\n"


def test_names(lamina: Lamina) -> None:
    options = ["--hostname", "box", "--domainname", "dom", "--add-host", "a:1.2.3.4"]
    options += ["--dns", "1.1.1.1", "--dns-search", "x.y", "--dns-option", "ndots:2"]
    script = "hostname; cat /proc/sys/kernel/domainname; tail -n1 /etc/hosts; cat /etc/resolv.conf"
    assert lamina(*RUN, *options, "tiny:1", "sh", "-c", script).stdout == (
        "box\ndom\n1.2.3.4\ta\nsearch x.y\nnameserver 1.1.1.1\noptions ndots:2\n"
    )


def test_further_groups(lamina: Lamina) -> None:
    done = lamina(*RUN, "--user", "5:6", "--group-add", "7", "--group-add", "root", "tiny:1", "id", "-G", check=False)
    assert (done.stdout, done.stderr) == ("6 0 7\n", "")


def test_a_first_process_of_ours(lamina: Lamina) -> None:
    script = "cat /proc/1/cmdline; echo; (sleep 0.1 &); sleep 0.4; ls -d /proc/[0-9]* | wc -l"
    done = lamina(*RUN, "--init", "tiny:1", "sh", "-c", script)
    assert done.stdout.startswith("/sbin/docker-init\0--\0sh\0-c\0")
    orphans = int(done.stdout.splitlines()[-1]) - 4  # init, sh, ls, wc
    assert orphans == 0
    assert lamina(*RUN, "--init", "tiny:1", "sh", "-c", "exit 9", check=False).returncode == 9


def test_namespaces_of_the_host(lamina: Lamina) -> None:
    links = [f"/proc/self/ns/{name}" for name in ("pid", "ipc", "uts", "net")]
    ours = [os.readlink(link) for link in links]

    def theirs(*options: str) -> list[str]:
        script = "for link in $0 $@; do readlink $link; done"
        return lamina("run", "--rm", *options, "tiny:1", "sh", "-c", script, *links).stdout.split()

    assert theirs("--pid", "host", "--ipc", "host", "--uts", "host", "--network", "host") == ours
    assert not set(theirs("--network", "none")) & set(ours)
    assert lamina(*RUN, "--ipc", "none", "tiny:1", "mount").stdout.count("/dev/shm") == 0
    assert lamina("run", "--rm", "--uts", "host", "tiny:1", "hostname").stdout == f"{os.uname().nodename}\n"


def test_builds_are_confined_too(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM tiny:1\nRUN unshare -U true\n")
    done = lamina("build", str(tmp_path), check=False)
    assert done.returncode == 1
    assert "unshare(0x10000000): Operation not permitted" in done.stdout + done.stderr
