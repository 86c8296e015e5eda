"""Copies of files and trees with all that a layer records of them: owner, attributes, mode, times, links."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator

from ..errors import Conflict
from ..files import chmod, remove_tree
from ..streams import CHUNK
from ..tar.root import NotBelow, Root, open_regular

_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM)
Found = tuple[bytes, int, bytes, os.stat_result]
"""Clean path, folder, name and lstat of a file."""


class NotADirectory(Conflict):
    """A directory cannot take the place of a file, nor a file that of a directory."""


class Copier:
    """Copies into one tree; names that lead over its links stay inside of it.

    Directories merge, other things take each other's place. Files with several names stay one file.

    Args:
        target: the tree.
        owner: of all that is made, None for that of the source.
        mode: permissions of all that is made, None for those of the source.
    """

    def __init__(self, target: Root, owner: tuple[int, int] | None = None, mode: int | None = None) -> None:
        self._target = target
        self._owner = owner
        self._mode = mode
        self._links: dict[tuple[int, int], bytes] = {}

    def tree(self, source: Root, path: bytes, to: bytes, found: Iterable[Found] | None = None) -> None:
        """Copy what a directory holds into another one, which is there.

        Args:
            source: the tree that it is in.
            path: the directory, clean.
            to: the other one, clean.
            found: what of it is copied, as `Root.walk` yields it; None for all.

        Raises:
            NotADirectory: a directory meets a file, or the reverse.
        """
        folders: list[tuple[bytes, os.stat_result]] = []
        for inner, folder, name, info in source.walk(path) if found is None else found:
            place = _join(to, inner[len(path) :].lstrip(b"/"))
            if stat.S_ISDIR(info.st_mode):
                self.directory(place)
                folders.append((inner, info))
            else:
                self.file(folder, name, info, place)
        for inner, info in reversed(folders):
            place = _join(to, inner[len(path) :].lstrip(b"/"))
            self.describe(*source.parent(inner), info, place)

    def directory(self, path: bytes) -> None:
        """Make a directory where there is none; its metadata is left to `describe`."""
        folder, name = self._target.parent(path)
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            try:
                self._target.directory(path)
            except (NotBelow, FileNotFoundError) as error:
                raise NotADirectory(f"cannot overwrite non-directory {_text(path)!r} with a directory") from error

    def file(self, folder: int, name: bytes, info: os.stat_result, to: bytes) -> None:
        """Copy anything but a directory to a clean path, whose directory is there; sockets are passed over."""
        if stat.S_ISSOCK(info.st_mode):
            return
        place, new = self.make_way(to)
        inode = (info.st_dev, info.st_ino)
        if first := self._links.get(inode):
            self.link(first, to)
            return
        if info.st_nlink > 1:
            self._links[inode] = to
        if stat.S_ISREG(info.st_mode):
            _copy_content(folder, name, place, new)
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(name, dir_fd=folder), new, dir_fd=place)
        else:
            os.mknod(new, info.st_mode, info.st_rdev, dir_fd=place)
        self._describe(folder, name, info, place, new)

    def describe(self, folder: int, name: bytes, info: os.stat_result, to: bytes) -> None:
        """Give what is at a clean path, links followed, the metadata of a file or directory."""
        self._describe(folder, name, info, *self._target.parent(self._target.follow(to)))

    def _describe(self, folder: int, name: bytes, info: os.stat_result, place: int, new: bytes) -> None:
        mode = stat.S_IMODE(info.st_mode) if self._mode is None else self._mode
        owner = (info.st_uid, info.st_gid) if self._owner is None else self._owner
        copy_metadata(folder, name, info, place, new, owner=owner, mode=mode)

    def make_way(self, path: bytes) -> tuple[int, bytes]:
        """Remove what is at a clean path; return its folder and name.

        Raises:
            NotADirectory: it is a directory.
        """
        folder, name = self._target.parent(path)
        try:
            info = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return folder, name
        if stat.S_ISDIR(info.st_mode):
            raise NotADirectory(f"cannot overwrite directory {_text(path)!r} with non-directory")
        remove_tree(name, folder)
        return folder, name

    def link(self, first: bytes, to: bytes) -> None:
        """Make one more name, at a clean path where nothing is, for a file at another one."""
        folder, name = self._target.parent(first)
        source = os.dup(folder)
        try:
            place, new = self._target.parent(to)
            os.link(name, new, src_dir_fd=source, dst_dir_fd=place, follow_symlinks=False)
        finally:
            os.close(source)


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name


def _text(path: bytes) -> str:
    return "/" + os.fsdecode(path)


def copy_file(folder: int, name: bytes, to: int, new: bytes) -> int:
    """Copy anything but a directory to a new name, with its metadata; return its size."""
    info = os.lstat(name, dir_fd=folder)
    if stat.S_ISREG(info.st_mode):
        _copy_content(folder, name, to, new)
    elif stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), new, dir_fd=to)
    elif not stat.S_ISSOCK(info.st_mode):
        os.mknod(new, info.st_mode, info.st_rdev, dir_fd=to)
    copy_metadata(folder, name, info, to, new)
    return info.st_size


def _copy_content(folder: int, name: bytes, to: int, new: bytes) -> None:
    source = open_regular(folder, name)
    try:
        target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=to)
        try:
            for start, end in _pieces(source):
                os.lseek(source, start, os.SEEK_SET)
                os.lseek(target, start, os.SEEK_SET)
                while start < end and (count := _copy_range(source, target, end - start)):
                    start += count  # noqa: PLW2901 - a cursor
            os.ftruncate(target, os.fstat(source).st_size)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _pieces(fd: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data: what is between, if the disk has it not, may be more than any disk holds."""
    info = os.fstat(fd)
    if info.st_blocks * 512 >= info.st_size:
        yield 0, info.st_size
        return
    end = 0
    while end < info.st_size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # there is no more
                raise
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def _copy_range(source: int, target: int, most: int) -> int:
    try:
        return os.copy_file_range(source, target, min(CHUNK * 64, most))
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
            raise
    data = os.read(source, min(CHUNK, most))
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]
    return len(data)


def copy_metadata(
    folder: int,
    name: bytes,
    info: os.stat_result,
    to: int,
    new: bytes,
    *,
    owner: tuple[int, int] | None = None,
    mode: int | None = None,
) -> None:
    """Give a file or directory the owner, attributes, mode and times of another one, whose lstat is `info`.

    Args:
        folder: where the other one is.
        name: its name there.
        info: its lstat.
        to: where the one to describe is.
        new: its name there.
        owner: takes the place of the other one's.
        mode: takes the place of the other one's.
    """
    if os.geteuid() == 0:
        uid, gid = owner or (info.st_uid, info.st_gid)
        os.chown(new, uid, gid, dir_fd=to, follow_symlinks=False)
    _copy_xattrs(b"/proc/self/fd/%d/%b" % (folder, name), b"/proc/self/fd/%d/%b" % (to, new))
    if not stat.S_ISLNK(info.st_mode):
        chmod(new, stat.S_IMODE(info.st_mode) if mode is None else mode, to)
    os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=to, follow_symlinks=False)


def _copy_xattrs(source: bytes, target: bytes) -> None:
    for key in os.listxattr(source, follow_symlinks=False):
        if ".overlay." in key:
            continue
        try:
            os.setxattr(target, key, os.getxattr(source, key, follow_symlinks=False), follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
