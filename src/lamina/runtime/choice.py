"""Which OCI runtime works on this machine: the first that can run something here, found out once.

crun 1.8 refuses hosts with control groups of both versions, runc does not; no list of names says such things,
so a runtime is tried before it is used, and the outcome is kept until the program changes or the machine starts
anew.
"""

import os

import msgspec

from ..errors import Unavailable
from ..files import remove_tree
from . import spec
from .values import Process

RUNTIMES = ("runc", "crun", "youki")
"""The programs that are tried, in this order."""

_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class NoRuntime(Unavailable):
    """No OCI runtime works; the message says what was tried."""

    exit_status = 125


def choose(run_root: str, wanted: str = "") -> str:
    """Return the path of a runtime that works.

    Args:
        run_root: a folder that is emptied when the machine starts.
        wanted: a program's name or path; empty for the first that works.

    Raises:
        NoRuntime: none does.
    """
    refusals: list[str] = []
    for name in [wanted] if wanted else RUNTIMES:
        path = _which(name)
        if not path:
            refusals.append(f"{name} is not installed")
        elif refusal := _refusal(run_root, os.path.realpath(path)):
            refusals.append(f"{path} does not work here ({refusal})")
        else:
            return path
    raise NoRuntime(f"no OCI runtime: {'; '.join(refusals)}. Install one, such as Debian's package runc")


def _which(name: str) -> str:
    """Return the path of a program, or nothing."""
    places = ("",) if "/" in name else _PLACES
    paths = (os.path.join(place, name) for place in places)
    return next((os.path.abspath(path) for path in paths if os.access(path, os.X_OK)), "")


def _refusal(run_root: str, path: str) -> str:
    """Return why a runtime does not work, or nothing; the answer is kept."""
    info = os.stat(path)
    key = f"{path}:{info.st_mtime_ns}:{info.st_ino}"
    kept = os.path.join(run_root, "runtimes.json")
    known: dict[str, str] = {}
    try:
        with open(kept, "rb") as file:
            known = msgspec.json.decode(file.read(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        known = {}
    if key not in known:
        known[key] = _try(run_root, path)
        temporary = f"{kept}.{os.urandom(4).hex()}"
        with open(temporary, "wb") as file:
            file.write(msgspec.json.encode(known))
        os.rename(temporary, kept)
    return known[key]


def _try(run_root: str, path: str) -> str:
    """Run what is not there in an empty tree: a runtime that works gets as far as saying so."""
    import subprocess  # noqa: PLC0415 - once per machine

    name = f"lamina-probe-{os.urandom(8).hex()}"
    folder = os.path.join(run_root, name)
    rootfs = os.path.join(folder, "rootfs")
    try:
        for place in ("dev", "proc", "sys"):
            os.makedirs(os.path.join(rootfs, place))
        process = Process(("/absent",), (), network="none", hostname="probe")
        with open(os.path.join(folder, "config.json"), "wb") as file:
            file.write(msgspec.json.encode(spec.document(process, rootfs, name)))
        command = [path, "--root", os.path.join(folder, "state"), "run", "--bundle", folder, name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "it hangs"
    finally:
        remove_tree(folder)
    text = done.stderr.decode(errors="replace").strip()
    if "/absent" in text:
        return ""
    return text.splitlines()[-1][:300] if text else f"exit status {done.returncode}"
