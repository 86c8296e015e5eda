"""The running digests of uploads, so that what has arrived is not read again to be verified.

A worker remembers them; of large uploads it also leaves a note for the others, since the request that ends an upload
may come to another one. A note counts until the machine starts anew: bytes may be lost then that were never synced.
"""

import contextlib
import functools
import hashlib
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ..oci.digest import Digest, InvalidDigest, parse, split
from ..streams import CHUNK

if TYPE_CHECKING:
    from hashlib import _Hash

_MOST = 4096
_NOTE = "digest"
_BOOT = "/proc/sys/kernel/random/boot_id"
NOTED = 1 << 20
"""The least bytes of an upload that a note is left of."""


class Running(NamedTuple):
    """A hash over the first `size` bytes of an upload."""

    algorithm: str
    size: int
    hash: "_Hash"


class Hashes:
    """The hashes of uploads by id; the oldest are forgotten, and what is forgotten is read again."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Running] = OrderedDict()

    def take(self, identity: str, size: int, algorithm: str) -> "_Hash | None":
        """Return the hash of an upload of this size, and forget it: the caller goes on with it."""
        found = self._known.pop(identity, None)
        if found is not None and found.size == size and found.algorithm == algorithm:
            return found.hash
        return None if size else hashlib.new(algorithm)

    def keep(self, identity: str, running: Running) -> None:
        """Remember the hash of an upload."""
        self._known[identity] = running
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    def forget(self, identity: str) -> None:
        """Forget an upload."""
        self._known.pop(identity, None)


def leave_note(folder: str, running: Running) -> None:
    """Leave a note in an upload's folder of what has arrived; one that cannot be left is none."""
    with contextlib.suppress(OSError), open(f"{folder}/{_NOTE}", "w") as file:
        file.write(f"{_boot()} {running.size} {running.algorithm}:{running.hash.hexdigest()}")


def noted(folder: str, size: int, algorithm: str) -> Digest | None:
    """Return the digest that was noted of an upload of this size."""
    with contextlib.suppress(OSError, ValueError, InvalidDigest), open(f"{folder}/{_NOTE}") as file:
        boot, count, found = file.read(1024).split(" ")
        if boot == _boot() and int(count) == size and found.startswith(f"{algorithm}:"):
            return parse(found)
    return None


@functools.cache
def _boot() -> str:
    with open(_BOOT) as file:
        return file.read().strip()


def of_file(fd: int, digest: Digest) -> Digest:
    """Return the digest of an open file, by the algorithm of another digest."""
    algorithm = split(digest)[0]
    found = hashlib.new(algorithm)
    buffer = memoryview(bytearray(CHUNK))
    offset = 0
    while count := os.preadv(fd, [buffer], offset):
        found.update(buffer[:count])
        offset += count
    return Digest(f"{algorithm}:{found.hexdigest()}")
