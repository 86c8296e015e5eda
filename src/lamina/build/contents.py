"""Digests of a context's files, remembered from build to build, so that a file is read again only if it may differ.

A digest holds as long as the file's device, inode, size, mtime and ctime are the same. The kernel sets the ctime at
every change, and nobody else can: only a change within the same tick of its clock as the one before leaves it as it
was. So the digest of a file that had changed less than `TICK` before it was read is not remembered (git calls such
files racily clean), and neither is one that changed while it was read. On file systems whose times are another
machine's, or not known to be set so, every file is read.

It is kept as one file for a context, by the digest of the context's path, in a folder that may be removed at any time:

    sha256                     of all that follows, 32 bytes
    msgpack {path: [[device, inode, size, mtime, ctime], digest]}
"""

import contextlib
import hashlib
import os
import time
from typing import TypeAlias

import msgspec

from ..files import file_system
from ..streams import CHUNK
from ..tar.root import open_regular

TICK = 2_000_000_000
"""Nanoseconds that are longer than any file system's step between two times: FAT's."""

MOST_CONTEXTS = 64
"""How many contexts are remembered: those that were built last."""

_SEAL = hashlib.sha256().digest_size
_LOCAL = frozenset(
    (
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # XFS
        0x9123683E,  # Btrfs
        0x01021994,  # tmpfs
        0x794C7630,  # overlayfs
        0xF2F52010,  # F2FS
        0x2FC12FC1,  # ZFS
        0xCA451A4E,  # bcachefs
    )
)
"""File systems whose ctime is this machine's clock (magic numbers of statfs(2))."""

_Stamp: TypeAlias = tuple[int, int, int, int, int]


class _Known(msgspec.Struct, array_like=True, frozen=True):
    stamp: _Stamp
    digest: bytes


class Contents:
    """The digests of a context's files; a context manager, which keeps what was learned.

    Args:
        folder: where it is kept; made when something comes into it.
        context: absolute path of the context.
    """

    def __init__(self, folder: str, context: str) -> None:
        self._path = os.path.join(folder, hashlib.sha256(os.fsencode(context)).hexdigest())
        self._known: dict[bytes, _Known] = self._load()
        self._seen: dict[bytes, _Known] = {}
        self._devices: dict[int, bool] = {}
        self._is_new = False

    def __enter__(self) -> "Contents":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._is_new:
            with contextlib.suppress(OSError):  # no right, or no room: then the next build reads all again
                self._save()

    def digest(self, folder: int, name: bytes, path: bytes, info: os.stat_result) -> bytes:
        """Return the SHA-256 of a regular file.

        Args:
            folder: descriptor of the directory that it is in.
            name: its name there.
            path: in the context.
            info: its lstat, taken in this build.

        Raises:
            NotRegular: something else has taken its place.
        """
        known = self._seen.get(path) or self._known.get(path)
        if known is None or known.stamp != _stamp(info):
            known, is_sure = _read(folder, name)
            if not (is_sure and self._is_ours(folder, name, known.stamp[0])):
                return known.digest
            self._is_new = True
        self._seen[path] = known
        return known.digest

    def _is_ours(self, folder: int, name: bytes, device: int) -> bool:
        """Tell whether the times of the files on a device, of which one is named, are of this machine's clock."""
        if device not in self._devices:
            self._devices[device] = file_system(b"/proc/self/fd/%d/%b" % (folder, name)) in _LOCAL
        return self._devices[device]

    def _load(self) -> dict[bytes, _Known]:
        try:
            with open(self._path, "rb") as file:
                seal, body = file.read(_SEAL), file.read()
            if hashlib.sha256(body).digest() == seal:
                return msgspec.msgpack.decode(body, type=dict[bytes, _Known])
        except (OSError, msgspec.DecodeError):
            pass
        return {}

    def _save(self) -> None:
        """Keep what is known, without waiting for the disk: what a loss of power damages is not believed."""
        unseen = {path: known for path, known in self._known.items() if path not in self._seen}
        if len(unseen) <= len(self._seen):  # of another target; more are of files that are gone, as a rule
            self._seen |= unseen
        body = msgspec.msgpack.encode(self._seen)
        folder = os.path.dirname(self._path)
        os.makedirs(folder, 0o700, exist_ok=True)
        temporary = f"{self._path}.{os.urandom(4).hex()}"
        with open(temporary, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(hashlib.sha256(body).digest() + body)
        os.rename(temporary, self._path)
        _forget(folder)


def _forget(folder: str) -> None:
    """Remove all but the contexts that were built last."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.stat().st_mtime_ns)
    for entry in found[:-MOST_CONTEXTS]:
        os.unlink(entry.path)


def read(folder: int, name: bytes) -> bytes:
    """Return the SHA-256 of a regular file, whatever is known of it."""
    return _read(folder, name)[0].digest


def _read(folder: int, name: bytes) -> tuple[_Known, bool]:
    """Return the digest of a file with the stamp that it had, and whether a later change is sure to change that."""
    begun = time.time_ns()
    fd = open_regular(folder, name)
    try:
        stamp = _stamp(before := os.fstat(fd))
        digest = hashlib.sha256()
        while data := os.read(fd, CHUNK):
            digest.update(data)
        is_sure = before.st_ctime_ns + TICK < begun and _stamp(os.fstat(fd)) == stamp
    finally:
        os.close(fd)
    return _Known(stamp, digest.digest()), is_sure


def _stamp(info: os.stat_result) -> _Stamp:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
