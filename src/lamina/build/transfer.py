"""COPY and ADD: sources into a tree.

    source      destination               then
    file        ends in /, or directory   it is made in there
    file        anything else             it is made, or replaced, under that name
    directory   any                       what it holds is copied there; directories merge

Directories that are missing on the way are made (mode 0755). Those that are there keep their times, so that the
same sources make the same layer.
"""

import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from ..compression import decompressed
from ..containers.files import Merge, Place
from ..dockerfile.instructions import File
from ..errors import InvalidArgument
from ..snapshot.copying import Copier
from ..streams import CHUNK
from ..tar.apply import apply
from ..tar.reader import Below, Reader
from ..tar.root import Root, open_regular
from .archives import Download, is_tar
from .context import Context
from .sources import Selected

_SECOND = 10**9


class BadDestination(InvalidArgument):
    """A destination does not fit what is to be copied there."""


class Manner(msgspec.Struct, frozen=True):
    """How a copy is made.

    Attributes:
        owner: of what is made; None for that of the source.
        mode: of what is made; None for that of the source.
        unpack: whether local tars are unpacked.
        now: seconds since the epoch, for files that have no time of their own.
    """

    owner: tuple[int, int] | None
    mode: int | None
    unpack: bool
    now: int


class Transfer:
    """Copies into one tree, at one destination.

    Args:
        root: the tree.
        destination: absolute; ends in / for a directory.
        manner: how.
    """

    def __init__(self, root: Root, destination: str, manner: Manner) -> None:
        self._root = root
        self._manner = manner
        self._place = Place(root, destination, "the image", follow=True)
        self._copier = Copier(root, manner.owner, manner.mode)
        self._into = self._place.wants_directory or (
            self._place.info is not None and stat.S_ISDIR(self._place.info.st_mode)
        )

    def copy(self, context: Context, selected: list[Selected]) -> None:
        """Copy files and directories of a context."""
        for one in selected:
            if one.is_directory:
                self._tree(context, one)
            elif self._manner.unpack and self._is_tar(context, one):
                self._unpack(context, one)
            else:
                self._file(context, one)

    def write(self, name: str, source: BinaryIO, mtime: int, mode: int) -> None:
        """Write one file from a stream."""
        path = self._target(os.fsencode(name))
        with self._made(path.rpartition(b"/")[0], mtime * _SECOND):
            folder, last = self._copier.make_way(path)
            fd = os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
            with open(fd, "wb") as file:
                while data := source.read(CHUNK):
                    file.write(data)
                if os.geteuid() == 0:
                    os.fchown(fd, *(self._manner.owner or (0, 0)))
                os.fchmod(fd, mode if self._manner.mode is None else self._manner.mode)
                file.flush()
                os.utime(fd, (mtime, mtime))

    def heredoc(self, file: File) -> None:
        """Write a file whose content stands in the Dockerfile."""
        import io  # noqa: PLC0415

        self.write(file.name, io.BytesIO(file.text.encode()), self._manner.now, 0o644)

    def download(self, found: Download) -> None:
        """Write a file that was fetched."""
        self.write(found.name, found.file, found.mtime, 0o600)

    def _target(self, name: bytes) -> bytes:
        """Return where a file of a name goes."""
        if not self._into:
            return self._place.path
        return self._place.path + b"/" + name if self._place.path else name

    def _tree(self, context: Context, one: Selected) -> None:
        if self._place.info is not None and not stat.S_ISDIR(self._place.info.st_mode):
            raise BadDestination(f"cannot copy a directory to the file {self._place.text}")
        with self._made(self._place.path, one.info.st_mtime_ns):
            self._copier.tree(context.root, one.path, self._place.path, context.walk(one.path))

    def _file(self, context: Context, one: Selected) -> None:
        path = self._target(one.name)
        with self._made(path.rpartition(b"/")[0], one.info.st_mtime_ns):
            folder, name = context.root.parent(one.path)
            self._copier.file(folder, name, one.info, path)

    def _is_tar(self, context: Context, one: Selected) -> bool:
        return stat.S_ISREG(one.info.st_mode) and is_tar(*context.root.parent(one.path))

    def _unpack(self, context: Context, one: Selected) -> None:
        folder, name = context.root.parent(one.path)
        with open(open_regular(folder, name), "rb") as file, self._made(self._place.path, one.info.st_mtime_ns):
            apply(Below(Reader(decompressed(file)), self._place.path), self._root, Merge())

    @contextmanager
    def _made(self, path: bytes, mtime: int) -> Iterator[None]:
        """Make a directory and those that lead to it, and see to it that the block leaves no times of now.

        Those made get the time of what is copied, the others keep theirs.
        """
        before = len(self._root.made)
        above = _deepest(self._root, path)
        kept = os.fstat(self._root.directory(above)).st_mtime_ns
        place = os.fstat(self._root.directory(path, make=True)).st_mtime_ns
        new = self._root.made[before:]
        try:
            yield
        finally:
            for folder in reversed(new):
                parent, name = self._root.parent(folder)
                if self._manner.owner is not None and os.geteuid() == 0:
                    os.chown(name, *self._manner.owner, dir_fd=parent, follow_symlinks=False)
                os.utime(name, ns=(mtime, mtime), dir_fd=parent, follow_symlinks=False)
            if not new:
                _set_time(self._root, path, place)
            _set_time(self._root, above, kept)


def _deepest(root: Root, path: bytes) -> bytes:
    """Return the deepest directory on the way to a path that is there."""
    while path:
        try:
            root.directory(path)
        except FileNotFoundError:
            path = path.rpartition(b"/")[0]
        else:
            break
    return path


def _set_time(root: Root, path: bytes, mtime: int) -> None:
    fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root.directory(path))
    try:
        os.utime(fd, ns=(mtime, mtime))
    finally:
        os.close(fd)


def destination(text: str, working_dir: str, sources: int, keyword: str) -> str:
    """Return an absolute destination; a last / or . stays a sign of a directory.

    Raises:
        BadDestination: several sources need a directory.
    """
    if not text:
        raise BadDestination(f"{keyword} failed: the destination is empty")
    is_directory = text.endswith("/") or posixpath.basename(text) in (".", "..")
    if sources > 1 and not is_directory:
        raise BadDestination(
            f"When using {keyword} with more than one source file, the destination must be a directory and end with a /"
        )
    path = posixpath.normpath(posixpath.join("/", working_dir, text)).replace("//", "/")
    return path + "/" if is_directory and path != "/" else path
