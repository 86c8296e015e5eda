"""What a killed runner leaves of a container: its runtime, the process, control groups, the bundle.

The runtime may be at any point when its starter is killed: also before it has noted that there is a container, when
it could not be told to remove one. So it is ended first, and then all that bears the container's name.
"""

import contextlib
import errno
import os
import select
import signal
import time

from ..files import remove_tree
from . import bundle

_CGROUPS = "/sys/fs/cgroup"
_PATIENCE = 10.0  # seconds
_PAUSE = 0.005


def clear(runtime: str, run_root: str, name: str) -> None:
    """End all processes of a container and remove what its run left; without any, nothing happens.

    Args:
        runtime: path of the OCI runtime; empty where there is none any more.
        run_root: a folder that the machine's start empties.
        name: of the container.
    """
    folder = bundle.folder(run_root, name)
    for pid in _naming(folder):
        _end(pid)
    if runtime:
        bundle.tell(runtime, run_root, name, "delete", "--force", name)
    for place in _CGROUPS, *_directories(_CGROUPS):
        if os.path.isdir(group := os.path.join(place, bundle.GROUP + name)):
            _remove_group(group)
    remove_tree(os.path.join(run_root, "state", name))
    remove_tree(folder)


def _directories(path: str) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        return [entry.path for entry in entries if entry.is_dir()]
    return []


def interrupt(verb: str, name: str) -> None:
    """End the runtimes that a killed caller had do something to a container, so that they do it no more."""
    for pid in _naming(f"\0{verb}\0{name}\0"):
        _end(pid)


def _naming(text: str) -> list[int]:
    """Return the processes whose command lines have a text."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                if os.fsencode(text) in file.read():
                    found.append(int(name))
    return found


def _end(pid: int) -> None:
    """Kill a process that is not our child, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            select.select([fd], [], [], _PATIENCE)
        finally:
            os.close(fd)


def _remove_group(path: str) -> None:
    """Kill what is in a control group and remove it; one that does not empty stays."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                return
        else:
            return
        with contextlib.suppress(OSError, ValueError), open(os.path.join(path, "cgroup.procs")) as file:
            for pid in map(int, file.read().split()):
                _end(pid)
        time.sleep(_PAUSE)  # a control group is busy for a moment after its last process has gone
