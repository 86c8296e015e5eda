"""Facts about the machine and the programs, without which figures say little."""

import contextlib
import os
import platform
import subprocess
import sys

from tests.peers import Tool


def facts() -> dict[str, object]:
    """Return what to know beside the figures."""
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "processors": len(os.sched_getaffinity(0)),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "lamina": _version(os.path.join(os.path.dirname(sys.executable), "lamina")),
        "dockerd": _version("dockerd"),
        "podman": _version("podman"),
        "runc": _version("runc"),
    }


def available() -> int:
    """Return the bytes of memory that programs may have yet."""
    return int(_line("/proc/meminfo", "MemAvailable").split()[0]) * 1024


def _line(path: str, key: str) -> str:
    with open(path) as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith(key)), "")


def _version(program: str) -> str:
    with contextlib.suppress(OSError, subprocess.CalledProcessError, IndexError):
        return Tool(program)("--version").stdout.splitlines()[0]
    return ""
