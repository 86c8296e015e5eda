"""The running digests of uploads, so that what has arrived is not read again to be verified."""

import hashlib
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ..oci.digest import Digest, split
from ..streams import CHUNK

if TYPE_CHECKING:
    from hashlib import _Hash

_MOST = 4096


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
