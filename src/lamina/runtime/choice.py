"""Which OCI runtime works on this machine: the first that can run something here, found out once.

crun 1.8 refuses hosts with control groups of both versions, runc does not; no list of names says such things,
so a runtime is tried before it is used; that it works is kept until the program changes or the machine starts
anew. That one does not work is not kept: it may have been stopped by something else.
"""

import os

import msgspec

from ..decoding import NOT_JSON
from ..errors import Unavailable
from ..files import remove_tree
from ..lock import exclusive
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
    names = [wanted] if wanted else RUNTIMES
    found = {name: os.path.realpath(path) for name in names if (path := _which(name))}
    kept = os.path.join(run_root, "runtimes.json")
    known = _read(kept)
    for path in found.values():
        if _key(path) in known:
            return path
    refusals = [f"{name} is not installed" for name in names if name not in found]
    for path in found.values():
        with exclusive(os.path.join(run_root, "probe.lock")):
            refusal = _try(run_root, path)
        if not refusal:
            _write(kept, [*known, _key(path)])
            return path
        refusals.append(f"{path} does not work here ({refusal})")
    raise NoRuntime(f"no OCI runtime: {'; '.join(refusals)}. Install one, such as Debian's package runc")


def _which(name: str) -> str:
    """Return the path of a program, or nothing."""
    places = ("",) if "/" in name else _PLACES
    paths = (os.path.join(place, name) for place in places)
    return next((os.path.abspath(path) for path in paths if os.access(path, os.X_OK)), "")


def _key(path: str) -> str:
    info = os.stat(path)
    return f"{path}:{info.st_mtime_ns}:{info.st_ino}"


def _read(path: str) -> list[str]:
    """Return the runtimes that are known to work."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=list[str])
    except (OSError, *NOT_JSON):
        return []


def _write(path: str, known: list[str]) -> None:
    temporary = f"{path}.{os.urandom(4).hex()}"
    with open(temporary, "wb") as file:
        file.write(msgspec.json.encode(known))
    os.rename(temporary, path)


def _try(run_root: str, path: str) -> str:
    """Run what is not there in an empty tree: a runtime that works gets as far as saying so."""
    import subprocess  # noqa: PLC0415 - once per machine

    folder = os.path.join(run_root, "probe")
    state = os.path.join(folder, "state")
    name = f"lamina-probe-{os.stat(run_root).st_ino}"  # the same each time: what a killed one left is used up
    null = subprocess.DEVNULL
    if os.path.isdir(os.path.join(state, name)):
        subprocess.run([path, "--root", state, "delete", "--force", name], stdout=null, stderr=null, check=False)
    remove_tree(folder)
    rootfs = os.path.join(folder, "rootfs")
    try:
        for place in ("dev", "proc", "sys"):
            os.makedirs(os.path.join(rootfs, place))
        process = Process(("/absent",), (), network="none", hostname="probe")
        with open(os.path.join(folder, "config.json"), "wb") as file:
            file.write(msgspec.json.encode(spec.document(process, rootfs, name)))
        command = [path, "--root", state, "run", "--bundle", folder, name]
        done = subprocess.run(command, stdin=null, capture_output=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return "it hangs"
    except OSError as error:  # it is no program of this machine
        return error.strerror or str(error)
    finally:
        remove_tree(folder)
    text = done.stderr.decode(errors="replace").strip()
    if "/absent" in text:
        return ""
    return text.splitlines()[-1][:300] if text else f"exit status {done.returncode}"
