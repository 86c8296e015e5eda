"""Facts about the machine and the programs, without which figures say little."""

import contextlib
import os
import platform
import subprocess
import sys

from tests.peers import Failed, Tool

REPORTING = "/sys/module/page_reporting/parameters/page_reporting_order"
"""From which size on, as a power of two of pages, what is free is told to the host."""

_MAX_ORDER = 10
_PROGRAMS = ("dockerd", "docker", "podman", "buildah", "skopeo", "docker-registry", "runc", "conmon")


def facts(disk: int) -> dict[str, object]:
    """Return what to know beside the figures; `disk` is the size of the file system they were taken on."""
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "processors": len(os.sched_getaffinity(0)),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "disk": f"ext4 of {disk >> 30} GiB over a loop file in tmpfs",
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "gives_memory_back": gives_memory_back(),
        "versions": {
            "lamina": _version(os.path.join(os.path.dirname(sys.executable), "lamina")),
            **{program: found for program in _PROGRAMS if (found := _version(program))},
        },
    }


def commit() -> str:
    """Return the commit that is measured, with "-dirty" where files have been changed since; nothing outside of git."""
    git = Tool("git", "-C", os.path.dirname(os.path.abspath(__file__)), "-c", "safe.directory=*")
    with contextlib.suppress(OSError, Failed):
        changed = git("status", "--porcelain", "--untracked-files=no").stdout
        return git("rev-parse", "HEAD").stdout.strip() + ("-dirty" if changed else "")
    return ""


def available() -> int:
    """Return the bytes of memory that programs may have yet."""
    return _kib("MemAvailable")


def gives_memory_back() -> bool:
    """Tell whether this is a virtual machine whose free memory goes back to its host.

    Then whoever takes it again pays for it, by as much as 2.5 s a GiB: it makes figures vary.
    """
    with contextlib.suppress(OSError), open(REPORTING) as file:
        return int(file.read()) <= _MAX_ORDER
    return False


def used() -> int:
    """Return the bytes of memory that something is in, what is only cached included."""
    return _kib("MemTotal") - _kib("MemFree")


def forget() -> None:
    """Let the kernel drop what it only caches."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def _kib(key: str) -> int:
    return int(_line("/proc/meminfo", f"{key}:").split()[0]) * 1024


def _line(path: str, key: str) -> str:
    with open(path) as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith(key)), "")


def _version(program: str) -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError, IndexError):
        return Tool(program)("--version").stdout.splitlines()[0]
    return ""
