"""What a power cut would take from a folder, by the system calls of the process that writes there (strace).

with traced(pid, folder) as disk:
    ...
assert disk.promises[0].lacks(path) == []
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
from collections.abc import Iterator

from tests.peers import PATH

_CALLS = "mkdir,mkdirat,open,openat,pwrite64,write,ftruncate,fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg"
_PROMISE = "HTTP/1.1 201"
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_FD = re.compile(r"\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Disk:
    """A folder as it is, and as it would be after a power cut: bytes and names are on disk when they were synced.

    Args:
        top: the folder; what is there already is on disk.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._names = {os.path.join(path, name) for path, folders, files in os.walk(top) for name in (*folders, *files)}
        self._loose_names: set[str] = set()
        self._loose_bytes: set[str] = set()
        self._hasty: set[str] = set()
        self.promises: list[Disk] = []

    def lacks(self, path: str) -> list[str]:
        """Return what is missing for a file to be there after a power cut: the names that lead to it, its bytes."""
        if path not in self._names:
            return [f"{path} is not there"]
        found = [f"{path} got its name before its bytes were on disk"] if path in self._hasty else []
        found += [f"the bytes of {path}"] if path in self._loose_bytes else []
        while len(path) > len(self._top):
            found += [f"the name of {path}"] if path in self._loose_names else []
            path = os.path.dirname(path)
        return found

    def created(self, path: str) -> None:
        """Take note of a new name."""
        self._names.add(path)
        self._loose_names.add(path)

    def written(self, path: str) -> None:
        """Take note of bytes."""
        self._loose_bytes.add(path)

    def renamed(self, source: str, target: str) -> None:
        """Take note of a name that takes the place of another."""
        for names in (self._names, self._loose_names, self._loose_bytes, self._hasty):
            names.discard(target)
        if source in self._loose_bytes:
            self._hasty.add(target)
            self._loose_bytes.add(target)
        for names in (self._names, self._loose_names, self._loose_bytes):
            names.discard(source)
        self.created(target)

    def loose(self, path: str) -> set[str]:
        """Return what a sync of a file or a folder that begins now brings to disk."""
        return {f"bytes {path}"} | {f"name {name}" for name in self._loose_names if os.path.dirname(name) == path}

    def synced(self, loose: set[str]) -> None:
        """Take note of a sync that has ended."""
        self._loose_bytes -= {text.removeprefix("bytes ") for text in loose}
        self._loose_names -= {text.removeprefix("name ") for text in loose}

    def promised(self) -> None:
        """Keep the state there is, as that of a promise."""
        kept = Disk.__new__(Disk)
        kept.__dict__ = {name: set(value) if isinstance(value, set) else value for name, value in self.__dict__.items()}
        self.promises.append(kept)


@contextlib.contextmanager
def traced(pid: int, top: str, log: pathlib.Path) -> Iterator[Disk]:
    """Watch a process and its threads during the block; what they did is in the disk when it ends.

    Args:
        pid: the process.
        top: the folder that it writes to.
        log: a file for the system calls.
    """
    disk = Disk(top)
    strace = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "64", "-o", str(log), "-e", f"trace={_CALLS}", "-p", str(pid)],
        stderr=subprocess.PIPE,
        env={"PATH": PATH},
    )
    assert strace.stderr is not None
    try:
        line = strace.stderr.readline()
        assert b"attached" in line, line
        yield disk
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=20)
    _replay(log, disk)


def _replay(log: pathlib.Path, disk: Disk) -> None:
    """Do what the calls did, in order; one that took time has a line where it began and one where it ended."""
    begun: dict[str, tuple[str, str, set[str]]] = {}
    for line in log.read_text(errors="replace").splitlines():
        if found := _RESUMED.match(line):
            pid, rest = found.groups()
            if pid in begun:
                name, text, loose = begun.pop(pid)
                _ended(disk, name, text + rest, loose)
        elif found := _LINE.match(line):
            pid, name, text = found.groups()
            loose = _began(disk, name, text)
            if text.endswith("<unfinished ...>"):
                begun[pid] = name, text.removesuffix("<unfinished ...>"), loose
            else:
                _ended(disk, name, text, loose)


def _began(disk: Disk, name: str, text: str) -> set[str]:
    if name.startswith("send") and _PROMISE in text:
        disk.promised()
    if name in ("pwrite64", "write", "ftruncate") and (fd := _FD.match(text)):
        disk.written(fd[1])
    if name in ("fsync", "fdatasync") and (fd := _FD.match(text)):
        return disk.loose(fd[1])
    return set()


def _ended(disk: Disk, name: str, text: str, loose: set[str]) -> None:
    if re.search(r"= -1 E", text):
        return
    paths = _TEXT.findall(text)
    if name.startswith("mkdir") or (name.startswith("open") and "O_CREAT" in text):
        disk.created(paths[0])
    elif name.startswith("rename"):
        disk.renamed(paths[0], paths[1])
    elif name.endswith("sync"):
        disk.synced(loose)
