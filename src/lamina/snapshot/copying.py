"""Copies of files and trees with all that a layer records of them: owner, attributes, mode, times, links."""

import errno
import os
import stat

from ..streams import CHUNK
from ..tar.root import Root

_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM)


def copy_tree(source: Root, target: Root) -> None:
    """Copy all of a tree into an empty directory; files with several names stay one file."""
    links: dict[int, bytes] = {}
    folders: list[tuple[bytes, os.stat_result]] = []
    for path, folder, name, info in source.walk():
        place, _ = target.parent(path)
        if stat.S_ISDIR(info.st_mode):
            os.mkdir(name, 0o700, dir_fd=place)
            folders.append((path, info))
        elif info.st_ino in links:
            first, first_name = target.parent(links[info.st_ino])
            first = os.dup(first)
            os.link(first_name, name, src_dir_fd=first, dst_dir_fd=target.parent(path)[0], follow_symlinks=False)
            os.close(first)
        else:
            copy_file(folder, name, place, name)
            if info.st_nlink > 1:
                links[info.st_ino] = path
    for path, info in reversed(folders):
        copy_metadata(*source.parent(path), info, *target.parent(path))


def copy_file(folder: int, name: bytes, to: int, new: bytes) -> int:
    """Copy anything but a directory to a new name; return the bytes of its content."""
    info = os.lstat(name, dir_fd=folder)
    size = 0
    if stat.S_ISREG(info.st_mode):
        size = _copy_content(folder, name, to, new)
    elif stat.S_ISLNK(info.st_mode):
        target = os.readlink(name, dir_fd=folder)
        os.symlink(target, new, dir_fd=to)
        size = len(target)
    elif not stat.S_ISSOCK(info.st_mode):
        os.mknod(new, info.st_mode, info.st_rdev, dir_fd=to)
    copy_metadata(folder, name, info, to, new)
    return size


def _copy_content(folder: int, name: bytes, to: int, new: bytes) -> int:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=to)
        try:
            total = 0
            while size := _copy_range(source, target):
                total += size
            return total
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_range(source: int, target: int) -> int:
    try:
        return os.copy_file_range(source, target, CHUNK * 64)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
            raise
    data = os.read(source, CHUNK)
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]
    return len(data)


def copy_metadata(folder: int, name: bytes, info: os.stat_result, to: int, new: bytes) -> None:
    """Give a file or directory the owner, attributes, mode and times of another one, whose lstat is `info`."""
    if os.geteuid() == 0:
        os.chown(new, info.st_uid, info.st_gid, dir_fd=to, follow_symlinks=False)
    _copy_xattrs(b"/proc/self/fd/%d/%b" % (folder, name), b"/proc/self/fd/%d/%b" % (to, new))
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(new, stat.S_IMODE(info.st_mode), dir_fd=to)
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
