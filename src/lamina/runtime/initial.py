"""The places that a container needs in its tree: Docker's init layer (moby, daemon/initlayer/setup_unix.go)."""

import os
import stat

from ..tar.root import Root

_DIRECTORIES = (b"dev/pts", b"dev/shm", b"proc", b"sys")
_FILES = {
    b".dockerenv": 0o755,
    b"etc/resolv.conf": 0o644,
    b"etc/hosts": 0o644,
    b"etc/hostname": 0o644,
    b"dev/console": 0o755,
}
"""With their modes: Docker has 0755 for all. Those of /etc are copied and exported as what is mounted over them."""

_MTAB = b"etc/mtab"


def fill(root: Root) -> None:
    """Make what is missing; what is there in the right kind stays as it is."""
    for path in _DIRECTORIES:
        _make(root, path, stat.S_IFDIR)
    for path, mode in _FILES.items():
        _make(root, path, stat.S_IFREG, mode)
    _make(root, _MTAB, stat.S_IFLNK)


def _make(root: Root, path: bytes, kind: int, mode: int = 0o755) -> None:
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
        os.mkdir(name, mode, dir_fd=folder)
        os.chmod(name, mode, dir_fd=folder)  # whatever the caller's umask
    elif kind == stat.S_IFLNK:
        os.symlink(b"/proc/mounts", name, dir_fd=folder)
    else:
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode, dir_fd=folder)
        os.fchmod(fd, mode)
        os.close(fd)
