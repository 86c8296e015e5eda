"""Files of an image to the host, or into a tar: `cp` without a container, without a mount and without root.

What a copy does depends on what it meets, as `containers.files` has it. Without root, what is made belongs to the
user, and devices are left out.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

import msgspec

from ..containers.files import CannotCopy, FileNotFound, Place, landing
from ..errors import NotFound
from ..files import chmod
from ..filetree import File
from ..snapshot.copying import Copier
from ..store.store import Store
from ..streams import CHUNK, chunks
from ..tar.header import HARDLINK, REGULAR, Entry, blocks, padding
from ..tar.pack import END, KINDS
from .browsing import Tree

_ZEROS = bytes(CHUNK)
_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM)


class Source(msgspec.Struct, frozen=True):
    """What is copied from an image.

    Attributes:
        tree: of the image.
        file: where the path leads.
        name: what a copy is called.
        wants_contents: whether only what is in the directory is meant.
    """

    tree: Tree
    file: File
    name: bytes
    wants_contents: bool


def source(store: Store, image: str, path: str, *, follow: bool) -> Source:
    """Return what a path names; one that ends in `/.` means what is in a directory.

    Raises:
        ImageNotFound: there is no such image.
        FileNotFound: there is nothing at the path.
        CannotCopy: the path ends as that of a directory, and is that of something else.
    """
    tree = Tree(store, image)
    wants_directory = path.endswith(("/", "/."))
    try:
        file = tree.find(os.path.normpath(path), follow=follow or wants_directory)
    except NotFound as error:
        raise FileNotFound(f"image {image}", path) from error
    if wants_directory and not file.inode.is_directory:
        raise CannotCopy(f"{path} is not a directory")
    return Source(tree, file, os.fsencode(os.path.basename(os.path.normpath(path))), path.endswith("/."))


def copy(one: Source, target: Place, owner: tuple[int, int] | None) -> None:
    """Copy from an image to a place of the host.

    Args:
        one: what.
        target: where to.
        owner: of what is made, None for that of the source.

    Raises:
        FileNotFound: the target's directory is not there.
        CannotCopy: a directory would take the place of a file.
        LayerDamaged: a file is not what came with its layer.
    """
    is_directory = one.file.inode.is_directory
    to = landing(target, one.name, is_directory=is_directory, wants_contents=one.wants_contents)
    maker = _Maker(one.tree, target, owner)
    if not is_directory:
        maker.file(one.file, to)
        return
    maker.directory(one.file, to, describes=not (target.is_directory and one.wants_contents))


class _Maker:
    """Makes files of an image in a tree of the host."""

    def __init__(self, tree: Tree, target: Place, owner: tuple[int, int] | None) -> None:
        self._tree = tree
        self._root = target.root
        self._owner = owner
        self._copier = Copier(target.root, owner)
        self._first: dict[tuple[int, int], bytes] = {}

    def directory(self, top: File, to: bytes, *, describes: bool) -> None:
        """Make a directory with all that it has; it gets its own metadata if `describes`."""
        self._copier.directory(to) if to else None
        folders = [(top, to)] if to and describes else []
        for file in self._tree.walk(top):
            path = (to + b"/" if to else b"") + file.path[len(top.path) :].lstrip(b"/")
            if file.inode.is_directory:
                self._copier.directory(path)
                folders.append((file, path))
            else:
                self.file(file, path)
        for file, path in reversed(folders):
            self._describe(file, *self._root.parent(self._root.follow(path)))

    def file(self, file: File, to: bytes) -> None:
        """Make anything but a directory, in the place of what is there."""
        inode = file.inode
        if inode.is_device and os.geteuid():
            return
        folder, name = self._copier.make_way(to)
        if first := self._first.get(file.identity):
            self._copier.link(first, to)
            return
        self._first[file.identity] = to
        if inode.is_regular:
            self._content(file, folder, name)
        elif inode.is_symlink:
            os.symlink(file.target, name, dir_fd=folder)
        else:
            os.mknod(name, inode.mode, os.makedev(*inode.device), dir_fd=folder)
        self._describe(file, folder, name)

    def _content(self, file: File, folder: int, name: bytes) -> None:
        """Write a file; one that turns out to be damaged is taken away again."""
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with open(fd, "wb", buffering=0) as made, self._tree.open(file) as stream:
                for data in chunks(stream):
                    if data == _ZEROS[: len(data)]:
                        made.seek(len(data), os.SEEK_CUR)
                    else:
                        made.write(data)
                made.truncate(file.inode.size)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
            raise

    def _describe(self, file: File, folder: int, name: bytes) -> None:
        """Set owner, attributes, mode and times, in the order that loses nothing."""
        inode = file.inode
        if not os.geteuid():
            os.chown(name, *(self._owner or (inode.uid, inode.gid)), dir_fd=folder, follow_symlinks=False)
        for key, value in file.xattrs.items():
            try:
                os.setxattr(b"/proc/self/fd/%d/%b" % (folder, name), key, value, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
        if not inode.is_symlink:
            chmod(name, stat.S_IMODE(inode.mode), folder)
        os.utime(name, ns=(inode.mtime, inode.mtime), dir_fd=folder, follow_symlinks=False)


def archive(one: Source) -> Iterator[bytes]:
    """Yield a tar of a file or a directory, named as it is in the image; of only what it holds, if that is meant."""
    first: dict[tuple[int, int], bytes] = {}
    top = one.file
    name = top.path.rpartition(b"/")[2]
    prefix = name + b"/" if name and not one.wants_contents else b""
    if prefix:
        yield from _member(one.tree, top, name, first)
    if top.inode.is_directory:
        for file in one.tree.walk(top):
            yield from _member(one.tree, file, prefix + file.path[len(top.path) :].lstrip(b"/"), first)
    yield END


def _member(tree: Tree, file: File, name: bytes, first: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    inode = file.inode
    kind = KINDS[stat.S_IFMT(inode.mode)]
    entry = Entry(name + b"/" * inode.is_directory, kind, stat.S_IMODE(inode.mode), inode.uid, inode.gid)
    entry.mtime, entry.xattrs, (entry.major, entry.minor) = inode.mtime, file.xattrs, inode.device
    entry.linkname = file.target
    if not inode.is_directory and first.setdefault(file.identity, name) != name:
        entry.type, entry.linkname = HARDLINK, first[file.identity]
    elif kind == REGULAR:
        entry.size = inode.size
    yield blocks(entry)
    if entry.size:
        with tree.open(file) as stream:
            yield from chunks(stream)
        yield padding(entry.size)
