"""The files that a build may copy: a folder of the host, an unpacked tar, or nothing; less what is ignored."""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from ..dockerfile.ignore import Ignore
from ..errors import InvalidArgument, NotFound
from ..streams import read_small
from ..tar.root import NotBelow, Root, clean, open_regular
from . import contents
from .contents import Contents

LIMIT = 8 << 20
"""Bytes of a Dockerfile, or of the rules of what to ignore, at most."""

IGNORE_FILE = ".dockerignore"


class NoDockerfile(NotFound):
    """There is no Dockerfile where one should be."""


class Found(NamedTuple):
    """A file of a context, in `Root.walk`'s form."""

    path: bytes
    folder: int
    name: bytes
    info: os.stat_result


class Context:
    """A tree of files to copy from; a context manager.

    Args:
        root: the tree.
        where: its name, for messages.
        ignore: which of its files are passed over; None for none.
        contents: what is remembered of its files; None for a tree that comes and goes.
    """

    def __init__(self, root: Root, where: str, ignore: Ignore | None = None, contents: Contents | None = None) -> None:
        self.root = root
        self.where = where
        self._ignore = ignore
        self._contents = contents

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *exc: object) -> None:
        self.root.close()

    def content(self, folder: int, name: bytes, path: bytes, info: os.stat_result) -> bytes:
        """Return the SHA-256 of a regular file of the tree; see `Contents.digest`."""
        if self._contents is None:
            return contents.read(folder, name)
        return self._contents.digest(folder, name, path, info)

    def excludes(self, path: bytes) -> bool:
        """Tell whether a clean path is ignored."""
        return self._ignore is not None and bool(path) and self._ignore.excludes(os.fsdecode(path))

    def walk(self, path: bytes = b"") -> Iterator[Found]:
        """Yield all that is below a directory and not ignored, parents first and names sorted.

        An ignored directory is yielded if something in it is not ignored.
        """
        if self._ignore is None:
            yield from (Found(*found) for found in self.root.walk(path))
            return
        held: list[Found] = []  # ignored directories that lead to where we are
        for found in self.root.walk(path, self._is_pruned):
            one = Found(*found)
            held = [folder for folder in held if one.path.startswith(folder.path + b"/")]
            if not self.excludes(one.path):
                yield from (self._again(folder) for folder in held)
                held = []
                yield self._again(one)
            elif stat.S_ISDIR(one.info.st_mode):
                held.append(one)

    def _is_pruned(self, path: bytes) -> bool:
        return self._ignore is not None and self._ignore.prunes(os.fsdecode(path))

    def _again(self, found: Found) -> Found:
        """Return a found file with a descriptor that is valid now."""
        return found._replace(folder=self.root.parent(found.path)[0])


def open_folder(path: str) -> Root:
    """Open a folder as the tree of a context.

    Raises:
        InvalidArgument: it is not a folder that can be read.
    """
    try:
        return Root(path)
    except OSError as error:
        raise InvalidArgument(f"unable to prepare context: path {path!r}: {error.strerror}") from error


def read_file(root: Root, path: str) -> bytes | None:
    """Return a small file of a tree, or None; links are followed inside of it."""
    with contextlib.suppress(FileNotFoundError, NotBelow, NotADirectoryError):
        folder, name = root.parent(root.follow(clean(os.fsencode(path))))
        if stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
            with open(open_regular(folder, name), "rb") as file:
                return read_small(file, LIMIT, path)
    return None


def ignore_of(root: Root, dockerfile: str) -> Ignore | None:
    """Return the ignore rules of a context: `<Dockerfile>.dockerignore`, or `.dockerignore`."""
    for name in (f"{dockerfile}{IGNORE_FILE}" if dockerfile else "", IGNORE_FILE):
        data = read_file(root, name) if name else None
        if data is not None:
            return Ignore.parse(data, name)
    return None
