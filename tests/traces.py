"""Traces that programs leave on the machine, found by the folder they belong to; and how to remove them.

A folder's traces are mounts on it or from it, processes that name it or live in it, and loop devices over its
files. Private folders (see `private`) are traces themselves: whoever makes one also removes it.
"""

import contextlib
import glob
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Container, Iterator
from typing import NamedTuple


class Mount(NamedTuple):
    """One line of mountinfo: `text` is all of it, with octal escapes undone."""

    id: int
    point: str
    text: str


class Stuck(Exception):
    """A process that a test gave up on."""


def private() -> str:
    """Make a folder with a path short enough for Unix sockets (108 bytes), that only this process uses."""
    return tempfile.mkdtemp(prefix=_mark()[1:], dir="/tmp")


def leftovers(*places: str) -> set[str]:
    """Describe the traces there are now of folders, of private folders, and of disks that this process made."""
    marks = (*map(os.path.realpath, places), _mark())
    found = {f"mount: {mount.text}" for mount in mounts() if _any(marks, mount.text)}
    found.update(f"process {pid}: {text}" for pid, text in processes(*marks).items())
    found.update(f"loop device: {text}" for text in _loops() if _any(marks, text))
    found.update(f"folder: {path}" for top in ("/tmp", "/dev/shm") for path in glob.glob(top + _mark() + "*"))
    return found


@contextlib.contextmanager
def tidy(*places: str, patience: float = 5) -> Iterator[None]:
    """Assert that the block leaves no trace that was not there before; what is dying gets `patience` seconds."""
    before = leftovers(*places)
    yield
    end = time.monotonic() + patience
    while left := leftovers(*places) - before:
        assert time.monotonic() < end, "left behind:\n" + "\n".join(sorted(left))
        time.sleep(0.02)


def mounts(place: str = "/") -> list[Mount]:
    """Return the mounts on or below a folder, in an order that can be undone from the end."""
    place = os.path.realpath(place).rstrip("/")
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        every = [_mount(line.rstrip("\n")) for line in file]
    return [mount for mount in every if mount.point == place or mount.point.startswith(place + "/")]


def unmount(*places: str, keep: Container[int] = ()) -> None:
    """Unmount all on or below folders but the mounts with the ids to keep; what is busy goes lazily."""
    for place in places:
        for mount in reversed(mounts(place)):
            if mount.id in keep:
                continue
            if subprocess.run(["umount", mount.point], capture_output=True).returncode:
                subprocess.run(["umount", "--lazy", mount.point], check=True)


def processes(*marks: str) -> dict[int, str]:
    """Return the processes with a mark in command line, working directory, program or root, ourselves excepted.

    A container's root is a mount that only the container sees; it is looked for in the container's own table.
    """
    return {pid: text for pid in _pids() if _any(marks, text := _text(pid)) or _any(marks, _root(pid))}


def kill(mark: str, patience: float = 20) -> None:
    """SIGKILL all processes that have a mark in the command line, and all their descendants; wait for their end.

    Raises:
        TimeoutError: one of them is still there after `patience` seconds.
    """
    assert mark.strip("/"), "no mark would be all processes"
    while tree := _tree(mark):
        with contextlib.ExitStack() as stack:
            fds = {pid: fd for pid in tree if (fd := _pidfd(pid)) is not None}
            for fd in fds.values():
                stack.callback(os.close, fd)
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
            for pid, fd in fds.items():
                if not readable(patience, fd):
                    raise TimeoutError(f"process {pid} does not die: {_text(pid)}")


def readable(patience: float, *fds: int) -> list[int]:
    """Wait until one of some descriptors can be read (a pidfd: has ended); return those, or none after `patience`."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(patience * 1000)]


def communicate(process: "subprocess.Popen[bytes]", data: bytes, patience: int) -> tuple[bytes, bytes]:
    """Do what `Popen.communicate` does with a process that ends within `patience` seconds, or else is killed.

    They are counted while this machine runs: one that stands still for a while makes nothing late.

    Raises:
        Stuck: it did not end; the message says what its threads wait for. Python says its own lines with
            PYTHONFAULTHANDLER.
    """
    try:
        for turn in range(patience):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(None if turn else data, 1)
        waits = _waits(process.pid)
        process.send_signal(signal.SIGABRT)
        for _ in range(10):
            with contextlib.suppress(subprocess.TimeoutExpired):
                waits += process.communicate(None, 1)[1].decode()
                break
        raise Stuck(f"{process.args!r} has not ended after {patience} s\n{waits}")
    finally:
        process.kill()


def _waits(pid: int) -> str:
    """Say what each thread of a process does in the kernel."""
    said = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        name, call, stack = (_read(pid, f"task/{thread}/{what}").strip() for what in ("comm", "syscall", "stack"))
        said.append(f"{name} {thread}: system call {call}\n{stack}\n")
    return "".join(said)


def _mark() -> str:
    return f"/lamina-{os.getpid()}-"


def _any(marks: tuple[str, ...], text: str) -> bool:
    return any(mark in text for mark in marks)


def _mount(line: str) -> Mount:
    text = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line)
    fields = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field) for field in line.split(" ")]
    return Mount(int(fields[0]), fields[4], text)


def _loops() -> Iterator[str]:
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        with contextlib.suppress(OSError), open(path, errors="surrogateescape") as file:
            yield f"{path.split('/')[3]}: {file.read().strip()}"


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]


def _text(pid: int) -> str:
    """Return command line, working directory, program and root of a process; nothing of one that has ended."""
    parts = [_read(pid, "cmdline").replace("\0", " ").strip()]
    for link in ("cwd", "exe", "root"):
        with contextlib.suppress(OSError):
            parts.append(f"{link}={os.readlink(f'/proc/{pid}/{link}')}")
    return " ".join(parts)


def _root(pid: int) -> str:
    """Return what a process in a mount namespace of its own has mounted on its root."""
    with contextlib.suppress(OSError):
        if os.readlink(f"/proc/{pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"):
            lines = _read(pid, "mountinfo").splitlines()
            return "\n".join(line for line in lines if line.split(" ")[4] == "/")
    return ""


def _tree(mark: str) -> set[int]:
    parents = {pid: int(stat.rpartition(")")[2].split()[1]) for pid in _pids() if (stat := _read(pid, "stat"))}
    tree = {pid for pid in parents if mark in _read(pid, "cmdline")}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return {pid for pid in tree if not _ended(pid)}


def _ended(pid: int) -> bool:
    return _read(pid, "stat").rpartition(")")[2].split()[:1] in ([], ["Z"], ["X"])


def _pidfd(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def _read(pid: int, name: str) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", errors="surrogateescape") as file:
        return file.read()
    return ""
