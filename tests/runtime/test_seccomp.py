"""The policy of system calls: which rules count for which capabilities, and policies of the user's."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from lamina.runtime import seccomp
from lamina.runtime.capabilities import DEFAULT, NAMES

ERRNO, ALLOW = "SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """Be an x86_64 whose kernel is new, and runs x32."""
    found = {"machine": ("amd64", "SCMP_ARCH_X86_64")}
    monkeypatch.setattr(seccomp, "_machine", lambda: found["machine"])
    monkeypatch.setattr(seccomp, "_kernel", lambda: (6, 1))
    monkeypatch.setattr(seccomp, "_runs_x32", lambda: True)
    return found


def policy(*capabilities: str, text: str = "") -> dict[str, Any]:
    found = seccomp.document(text, capabilities)
    assert found is not None
    return found


def allowed(*capabilities: str) -> set[str]:
    """The calls that are let through whatever their arguments are."""
    rules = policy(*capabilities)["syscalls"]
    return {name for rule in rules if rule["action"] == ALLOW and "args" not in rule for name in rule["names"]}


def test_the_default_denies_what_it_does_not_name() -> None:
    found = policy(*DEFAULT)
    assert (found["defaultAction"], found["defaultErrnoRet"]) == (ERRNO, 1)
    assert found["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    calls = allowed(*DEFAULT)
    assert calls >= {"read", "execve", "chroot", "ptrace", "arch_prctl", "futex", "openat2"}
    kept = {"mount", "unshare", "setns", "keyctl", "add_key", "request_key", "kexec_load", "bpf", "io_uring_setup"}
    kept |= {"userfaultfd", "init_module", "settimeofday", "reboot", "swapon", "perf_event_open", "syslog", "clone3"}
    assert not calls & kept


def test_a_kernel_without_x32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_runs_x32", lambda: False)
    assert policy()["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]


ASKED = """
import ctypes
from lamina.runtime.seccomp import _runs_x32
libc = ctypes.CDLL(None)
by_itself, asked = _runs_x32(), libc.prctl(21) != 0 or libc.syscall(0x40000000 + 39) > 0  # under a filter; getpid
allow = ctypes.create_string_buffer(bytes([6, 0, 0, 0, 0, 0, 0xFF, 0x7F]), 8)  # return SECCOMP_RET_ALLOW
program = (ctypes.c_size_t * 2)(1, ctypes.addressof(allow))  # of so many instructions
assert libc.prctl(38, 1, 0, 0, 0) == 0 == libc.prctl(22, 2, program, 0, 0)
print(by_itself == asked, _runs_x32())
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is of x86-64")
def test_whether_the_kernel_runs_x32_is_asked_where_no_filter_is() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


@pytest.mark.parametrize(
    ("capability", "calls"),
    [
        ("SYS_ADMIN", {"mount", "umount2", "unshare", "setns", "bpf", "clone", "clone3", "perf_event_open", "syslog"}),
        ("SYS_CHROOT", {"chroot"}),
        ("SYS_PTRACE", {"kcmp", "pidfd_getfd", "process_madvise"}),
        ("SYS_MODULE", {"init_module", "finit_module", "delete_module"}),
        ("SYS_TIME", {"settimeofday", "stime", "clock_settime", "clock_settime64"}),
        ("SYSLOG", {"syslog"}),
        ("BPF", {"bpf"}),
        ("PERFMON", {"perf_event_open"}),
        ("DAC_READ_SEARCH", {"open_by_handle_at"}),
        ("SYS_BOOT", {"reboot"}),
        ("SYS_NICE", {"mbind", "get_mempolicy", "set_mempolicy"}),
        ("SYS_RAWIO", {"iopl", "ioperm"}),
        ("SYS_PACCT", {"acct"}),
        ("SYS_TTY_CONFIG", {"vhangup"}),
    ],
)
def test_a_capability_opens_its_calls(capability: str, calls: set[str]) -> None:
    assert not allowed() & calls
    assert allowed(f"CAP_{capability}") >= calls


def test_every_conditional_capability_exists() -> None:
    assert not {name for name in _conditions("caps") if name not in NAMES}


def _conditions(kind: str) -> set[str]:
    rules = json.loads(seccomp._default())["syscalls"]
    found = (rule.get(when, {}).get(kind, []) for rule in rules for when in ("includes", "excludes"))
    return {name for names in found for name in names}


def _with_arguments(name: str, *capabilities: str) -> list[dict[str, Any]]:
    return [rule for rule in policy(*capabilities)["syscalls"] if rule["names"] == [name]]


def test_arguments_count() -> None:
    values = [rule["args"][0]["value"] for rule in _with_arguments("personality")]
    assert values == [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]
    (socket,) = _with_arguments("socket")
    assert socket["args"] == [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]  # AF_VSOCK reaches the hypervisor
    (clone,) = _with_arguments("clone")
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": 0}]
    (clone3,) = _with_arguments("clone3")
    assert (clone3["action"], clone3["errnoRet"]) == (ERRNO, 38)  # programs then try clone
    assert not _with_arguments("clone", "CAP_SYS_ADMIN")
    assert not _with_arguments("clone3", "CAP_SYS_ADMIN")


def test_other_machines(machine: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    machine["machine"] = ("arm64", "SCMP_ARCH_AARCH64")
    assert policy()["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert "set_tls" in allowed()
    assert "arch_prctl" not in allowed()
    machine["machine"] = ("s390x", "SCMP_ARCH_S390X")
    (clone,) = _with_arguments("clone")
    assert clone["args"][0]["index"] == 1  # its arguments stand the other way round
    machine["machine"] = ("unheard-of", "")
    assert "architectures" not in policy()
    monkeypatch.setattr(seccomp, "_kernel", lambda: (4, 7))
    assert "ptrace" not in allowed()  # a traced process could get around the filter
    assert "ptrace" in allowed("CAP_SYS_PTRACE")


def test_a_policy_of_the_users() -> None:
    rules = [
        {"name": "mkdir", "action": ERRNO, "errnoRet": 13},
        {"names": ["chmod"], "action": ERRNO, "args": []},
        {"names": ["chown"], "action": ERRNO, "excludes": {"arches": ["amd64"]}},
        {"names": ["link"], "action": ERRNO, "includes": {"minKernel": "7.1"}},
        {"names": ["kill"], "action": ERRNO, "excludes": {"minKernel": "5.0"}},
    ]
    text = json.dumps({"defaultAction": ALLOW, "architectures": ["SCMP_ARCH_X86"], "syscalls": rules, "comment": "x"})
    seccomp.check(text)
    assert policy(text=text) == {
        "defaultAction": ALLOW,
        "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["mkdir"], "action": ERRNO, "errnoRet": 13},
            {"names": ["chmod"], "action": ERRNO},
        ],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", "Decoding seccomp profile failed: JSON is malformed"),
        ("{}", "missing required field `defaultAction`"),
        ('{"defaultAction": 1}', "Expected `str`"),
        ("[" * 100_000, "Decoding seccomp profile failed"),
        ('{"defaultAction": "x", "syscalls": [{"action": "x"}]}', "needs either 'name' or 'names'"),
        (
            '{"defaultAction": "x", "architectures": ["x"], "archMap": [{"architecture": "x"}]}',
            "both 'architectures' and 'archMap'",
        ),
    ],
)
def test_what_is_no_policy(text: str, why: str) -> None:
    with pytest.raises(seccomp.BadPolicy) as error:
        seccomp.check(text)
    assert why in str(error.value)


def test_a_kernel_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_KERNEL", "/nonexistent")
    assert seccomp.document("", DEFAULT) is None
    seccomp.check("")
    with pytest.raises(seccomp.NoSeccomp):
        seccomp.check('{"defaultAction": "SCMP_ACT_ALLOW"}')


def test_unconfined() -> None:
    assert seccomp.document("unconfined", ()) is None
