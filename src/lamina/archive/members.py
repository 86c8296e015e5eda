"""The files of an archive, or of a folder, by name and in any order."""

import errno
import os
import stat
from typing import BinaryIO, Protocol

from ..errors import NotFound
from ..streams import Reader, Slice, read_small
from ..tar.header import HARDLINK, REGULAR, SYMLINK, InvalidTar
from ..tar.reader import Reader as TarReader
from ..tar.root import Breakout, NotBelow, Root, clean, open_regular

MAX_MEMBERS = 1_000_000
"""The most members that an archive of images may have."""

MAX_NAMES = 128 << 20
"""The most bytes that their names may have together."""

_MAX_LINKS = 10


class MemberNotFound(NotFound):
    """An archive lacks a file that it should have."""


class Members(Protocol):
    """Files by name, each a stream from its beginning as often as wanted."""

    where: str
    """The name of the archive or folder, for messages."""

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a file."""
        ...

    def size(self, name: str) -> int:
        """Return the size of a file; see `open` for what is raised."""
        ...

    def open(self, name: str) -> Reader:
        """Return a reader of a file, which needs no closing.

        Raises:
            MemberNotFound: there is none.
        """
        ...


def read(members: Members, name: str, limit: int) -> bytes:
    """Return a small file.

    Raises:
        MemberNotFound: there is none.
        TooLarge: it is larger than `limit`.
    """
    return read_small(members.open(name), limit, f"{shown(name)} of {members.where}")


def shown(name: str) -> str:
    """Return a member's name as it may stand in a message."""
    return name if name.isprintable() else repr(name)


class Tarball(Members):
    """The files of an uncompressed tar that can be sought; links lead inside of it only.

    Raises:
        InvalidTar: it is no tar, or holds more members than are sensible.
    """

    def __init__(self, file: BinaryIO, where: str) -> None:
        self.where = where
        self._fd = file.fileno()
        self._files: dict[bytes, tuple[int, int]] = {}
        self._links: dict[bytes, bytes] = {}
        file.seek(0)
        reader = TarReader(file)
        names = 0
        for entry in reader:
            name = clean(entry.name)
            if entry.type == REGULAR:
                self._files[name] = (reader.position, entry.size)
                self._links.pop(name, None)
            elif entry.type == SYMLINK:
                self._files.pop(name, None)
                self._links[name] = clean(_beside(name, entry.linkname))
            elif entry.type == HARDLINK and clean(entry.linkname) != name:
                self._files.pop(name, None)
                self._links[name] = clean(entry.linkname)
            names += len(name) + len(entry.linkname)
            if len(self._files) + len(self._links) > MAX_MEMBERS or names > MAX_NAMES:
                raise InvalidTar(f"{where} has more than {MAX_MEMBERS} members, or {MAX_NAMES} bytes of their names")

    def __contains__(self, name: str) -> bool:
        return self._place(name) is not None

    def size(self, name: str) -> int:
        return self._require(name)[1]

    def open(self, name: str) -> Reader:
        return Slice(self._fd, *self._require(name))

    def _require(self, name: str) -> tuple[int, int]:
        place = self._place(name)
        if place is None:
            raise MemberNotFound(f"{self.where} has no file {name!r}")
        return place

    def _place(self, name: str) -> tuple[int, int] | None:
        try:
            path = clean(os.fsencode(name))
        except Breakout:
            return None
        for _ in range(_MAX_LINKS):
            if path not in self._links:
                break
            path = self._links[path]
        return self._files.get(path)


def _beside(name: bytes, target: bytes) -> bytes:
    return target if target.startswith(b"/") else name.rpartition(b"/")[0] + b"/" + target


class Folder(Members):
    """The files of a folder; links lead inside of it only."""

    def __init__(self, path: str) -> None:
        self.where = path
        self._root = Root(path)

    def close(self) -> None:
        """Give the folder back."""
        self._root.close()

    def __contains__(self, name: str) -> bool:
        return self._lstat(name) is not None

    def size(self, name: str) -> int:
        info = self._lstat(name)
        if info is None:
            raise MemberNotFound(f"{self.where} has no file {name!r}")
        return info.st_size

    def open(self, name: str) -> Reader:
        self.size(name)
        folder, last = self._parent(name)
        return _Owned(open_regular(folder, last))

    def _lstat(self, name: str) -> os.stat_result | None:
        try:
            folder, last = self._parent(name)
            info = os.lstat(last, dir_fd=folder)
        except (NotBelow, Breakout):
            return None
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
                raise
            return None
        return info if stat.S_ISREG(info.st_mode) else None

    def _parent(self, name: str) -> tuple[int, bytes]:
        return self._root.parent(self._root.follow(clean(os.fsencode(name))))


class _Owned:
    """A reader of a descriptor that goes with it."""

    def __init__(self, fd: int) -> None:
        self._file = open(fd, "rb", buffering=0)  # noqa: SIM115 - closed with the reader

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size) or b""

    def __del__(self) -> None:
        self._file.close()
