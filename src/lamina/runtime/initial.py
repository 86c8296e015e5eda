"""The places that a container needs in its tree: Docker's init layer (moby, daemon/initlayer/setup_unix.go)."""

import os
import stat

from ..tar.root import Root

_DIRECTORIES = (b"dev/pts", b"dev/shm", b"proc", b"sys")
_FILES = (b".dockerenv", b"etc/resolv.conf", b"etc/hosts", b"etc/hostname", b"dev/console")
_MTAB = b"etc/mtab"


def fill(root: Root) -> None:
    """Make what is missing; what is there in the right kind stays as it is."""
    for path in _DIRECTORIES:
        _make(root, path, stat.S_IFDIR)
    for path in _FILES:
        _make(root, path, stat.S_IFREG)
    _make(root, _MTAB, stat.S_IFLNK)


def _make(root: Root, path: bytes, kind: int) -> None:
    folder, name = root.parent(path, make=True)
    try:
        found = stat.S_IFMT(os.lstat(name, dir_fd=folder).st_mode)
    except FileNotFoundError:
        found = 0
    if found == kind:
        return
    if found == stat.S_IFDIR:
        return  # an image's own directory is not ours to remove
    if found:
        os.unlink(name, dir_fd=folder)
    if kind == stat.S_IFDIR:
        os.mkdir(name, 0o755, dir_fd=folder)
        os.chmod(name, 0o755, dir_fd=folder)  # whatever the caller's umask
    elif kind == stat.S_IFLNK:
        os.symlink(b"/proc/mounts", name, dir_fd=folder)
    else:
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o755, dir_fd=folder)
        os.fchmod(fd, 0o755)
        os.close(fd)
