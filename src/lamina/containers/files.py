"""A container's files, read and written from outside: `docker cp` and `docker export`.

What a copy does depends on what it meets, as docker's manual says of `cp`:

    source      destination         then
    file        nothing             it is made; its directory must be there, and the name may not end in /
    file        file                it is replaced
    file        directory           it is made in there
    directory   nothing             it is made, with all that the source holds
    directory   file                an error
    directory   directory           it is made in there; with a source that ends in /. only what it holds

What a name that ends in / or /. leads to is a directory. A copy is called as its source was, also where that was a
link that was followed.
"""

import os
import stat
from collections.abc import Iterator

from ..errors import InvalidArgument
from ..errors import NotFound as NotFoundError
from ..snapshot.copying import Copier
from ..streams import Reader
from ..tar.apply import apply
from ..tar.changes import Change, Kind, everything
from ..tar.header import InvalidTar
from ..tar.pack import pack
from ..tar.reader import Below
from ..tar.reader import Reader as TarReader
from ..tar.root import NotBelow, Root, clean


class FileNotFound(NotFoundError):
    """There is no such file."""

    def __init__(self, where: str, path: str) -> None:
        super().__init__(f"Could not find the file {path} in {where}")


class CannotCopy(InvalidArgument):
    """What is to be copied does not fit where it should go."""


class Place:
    """A path in a tree: of a container, or of the host.

    Args:
        root: the tree.
        path: absolute, or relative to the tree's root.
        where: the tree's name, for messages.
        follow: look at what a link at the path leads to.

    Attributes:
        path: where it is, clean, over all links that were followed.
        name: the last component of the path that was given.
        info: its lstat, None if nothing is there.

    Raises:
        CannotCopy: the path ends as that of a directory, and is that of something else; links lead in a circle.
    """

    def __init__(self, root: Root, path: str, where: str, *, follow: bool) -> None:
        self.root = root
        self.text = path
        self.where = where
        self.wants_directory = path.endswith(("/", "/."))
        self.wants_contents = path.endswith("/.") or path == "."
        given = clean(os.fsencode(os.path.normpath(f"/{path}")))  # what climbs above the root stays at it
        self.name = given.rpartition(b"/")[2]
        try:
            self.path = root.follow(given) if follow or self.wants_directory else given
        except NotBelow as error:
            raise CannotCopy(f"{error} in {where}") from error
        self.info = _lstat(root, self.path)
        if self.wants_directory and self.info is not None and not stat.S_ISDIR(self.info.st_mode):
            raise CannotCopy(f"{path} is not a directory")

    @property
    def is_directory(self) -> bool:
        """Whether a directory is there."""
        return self.info is not None and stat.S_ISDIR(self.info.st_mode)

    def require(self) -> os.stat_result:
        """Return the lstat of what is there.

        Raises:
            FileNotFound: nothing is.
        """
        if self.info is None:
            raise FileNotFound(self.where, self.text)
        return self.info


def copy(source: Place, target: Place, owner: tuple[int, int] | None) -> None:
    """Copy from one place to another; see the table above.

    Args:
        source: what; it must be there.
        target: where to.
        owner: of what is made, None for that of the source.

    Raises:
        FileNotFound: the source, or the target's directory, is not there.
        CannotCopy: a directory would take the place of a file.
    """
    info = source.require()
    copier = Copier(target.root, owner)
    is_directory = stat.S_ISDIR(info.st_mode)
    to = landing(target, source.name, is_directory=is_directory, wants_contents=source.wants_contents)
    if not is_directory:
        copier.file(*source.root.parent(source.path), info, to)
        return
    copier.directory(to) if to else None
    copier.tree(source.root, source.path, to)
    if to and not (target.is_directory and source.wants_contents):
        copier.describe(*source.root.parent(source.path), info, to)


def landing(target: Place, name: bytes, *, is_directory: bool, wants_contents: bool) -> bytes:
    """Return the clean path that a copy is made at; see the table above.

    Args:
        target: where to.
        name: of the source.
        is_directory: whether the source is one.
        wants_contents: whether only what is in it is meant.

    Raises:
        FileNotFound: the target's directory is not there.
        CannotCopy: a directory would take the place of a file.
    """
    if target.info is None and (target.wants_contents or (target.wants_directory and not is_directory)):
        raise FileNotFound(target.where, target.text)
    if is_directory and target.info is not None and not target.is_directory:
        raise CannotCopy(f"cannot copy a directory to the file {target.text}")
    _require_folder(target)
    if not target.is_directory or (is_directory and wants_contents):
        return target.path
    return _join(target.path, name)


def archive(source: Place) -> Iterator[bytes]:
    """Yield a tar of a file or a directory, named by its last component; of only what it holds, if that is meant."""
    info = source.require()
    if source.wants_contents:
        with Root(source.root.directory(source.path)) as inner:
            yield from export(inner)
        return
    folder = source.path.rpartition(b"/")[0]
    with Root(source.root.directory(folder)) as root:
        name = source.path.rpartition(b"/")[2]
        members = [Change(Kind.ADDED, name, info)] if name else []
        inside = root.walk(name) if stat.S_ISDIR(info.st_mode) else iter(())
        members += [Change(Kind.ADDED, path, status) for path, _, _, status in inside]
        yield from pack(members, root)


def extract(stream: Reader, target: Place) -> None:
    """Unpack a tar into a directory.

    Raises:
        CannotCopy: the target is no directory.
        InvalidTar: the stream is no tar.
    """
    if not stat.S_ISDIR(target.require().st_mode):
        raise CannotCopy(f"{target.text} is not a directory")
    apply(Below(TarReader(stream), target.path), target.root, Merge())


def export(root: Root) -> Iterator[bytes]:
    """Yield a tar of a whole tree."""
    return pack(everything(root), root)


class Merge:
    """Entries go over what is there, and names of whiteouts are refused (the contract of `tar.contract.Whiteouts`)."""

    def hide(self, root: Root, path: bytes) -> None:
        raise InvalidTar(f"the name of {os.fsdecode(path)!r} begins with .wh., which stands for an absence in layers")

    def opaque(self, root: Root, path: bytes) -> None:
        pass  # a new directory has nothing below it

    def made(self, root: Root, path: bytes) -> None:
        pass

    def is_ours(self, folder: int, name: bytes) -> bool:
        return True


def _require_folder(target: Place) -> None:
    folder = target.path.rpartition(b"/")[0]
    if folder and _lstat(target.root, folder) is None:
        raise FileNotFound(target.where, f"/{os.fsdecode(folder)}")


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _lstat(root: Root, path: bytes) -> os.stat_result | None:
    if not path:
        return os.fstat(root.fd)
    try:
        folder, name = root.parent(path)
        return os.lstat(name, dir_fd=folder)
    except (FileNotFoundError, NotBelow):
        return None
