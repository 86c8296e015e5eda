"""A layer's entries into a tree, in one pass (image-spec, layer.md, Applying Changesets).

Whiteouts and opaque markers concern only what lies below the layer, never what the layer itself brings, in
whatever order they come. Names stay inside the tree: see `root`. As Docker does, the entry of the root itself
is passed over, an entry replaces what an earlier one of its name made, except that directories merge, and a
time out of range becomes the epoch.

Metadata is set in the one order that loses nothing: owner, extended attributes, mode, times; directories at
the end, the deepest first. Without privilege, owners and devices stay in the tar only, and every file can be
read by its owner.
"""

import contextlib
import errno
import os
import stat

from ..errors import LaminaError, ResourceExhausted
from ..files import chmod, remove_tree
from . import whiteout
from .contract import Applied, Entries, Keeper, Whiteouts
from .header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARDLINK,
    REGULAR,
    SYMLINK,
    Entry,
    InvalidTar,
)
from .root import NotBelow, Root, clean, is_whiteout, open_regular

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_TIME = 1 << 62
"""Times from here on, in nanoseconds, are none: they become the epoch."""

MAX_WORK = 100_000_000
"""How many things may be looked at again because directories are replaced, before it is too much."""

MAX_WAITING = 512 << 20
"""The most bytes of names, links and attributes that may wait for a layer's end."""

_UNSUPPORTED = (errno.ENOTSUP, errno.EPERM, errno.EINVAL)
OVERLAY = (b"trusted.overlay.", b"user.overlay.")
"""Attributes that the kernel takes for marks: they are the driver's alone, whatever a tar says."""


class ApplyFailed(LaminaError):
    """The system refused to make a layer's file."""


def apply(
    reader: Entries, root: Root, whiteouts: Whiteouts, keeper: Keeper | None = None, *, privileged: bool = True
) -> Applied:
    """Make the entries of a tar below a directory.

    Raises:
        InvalidTar: an entry cannot be what it says.
        Breakout: a name leads outside.
        ResourceExhausted: the disk is full.
        ApplyFailed: the system refused otherwise; the message names the entry.
    """
    applier = _Applier(root, whiteouts, keeper, privileged)
    name = b""
    try:
        for entry in reader:
            name = entry.name
            applier.entry(entry, reader)
        return applier.finish()
    except OSError as error:
        raise refused(error, name) from error


def refused(error: OSError, name: bytes) -> LaminaError:
    """Return what to raise where the system refused to make the file of an entry."""
    what = f"cannot unpack {os.fsdecode(name[:200])!r}: {error.strerror}"
    return ResourceExhausted(what) if error.errno in (errno.ENOSPC, errno.EDQUOT) else ApplyFailed(what)


class _Applier:
    def __init__(self, root: Root, whiteouts: Whiteouts, keeper: Keeper | None, privileged: bool) -> None:
        self._root = root
        root.counts = whiteouts.is_ours
        self._whiteouts = whiteouts
        self._keeper = keeper
        self._privileged = privileged
        self._owner = (os.geteuid(), os.getegid())
        if os.fstat(root.fd).st_mode & stat.S_ISGID:
            self._owner = (-1, -1)  # files inherit the group: set it always
        self._directories: dict[bytes, Entry] = {}
        self._merged: set[bytes] = set()  # those of them that were there before
        self._applied = Applied()
        self._work = 0
        self._waiting = 0
        self._by_links: list[bytes] = []  # files whose names lead over links of the layer

    def entry(self, entry: Entry, reader: Entries) -> None:
        """Make one entry."""
        path = clean(entry.name)
        if not path:
            return
        if self._applied.links:
            self._applied.replace(path)
        if whiteout.is_special(path):
            self._whiteout(path)
            return
        folder, name = self._root.parent(path, make=True)
        if self._root.covering:
            self._cover(path.rpartition(b"/")[0])
            folder, name = self._root.parent(path)
        if entry.type == REGULAR:
            self._file(entry, reader, folder, path, name)
        elif entry.type == DIRECTORY:
            self._directory(entry, folder, path, name)
        elif entry.type == SYMLINK:
            self._symlink(entry, folder, path, name)
        elif entry.type == HARDLINK:
            self._hardlink(entry, path, name)
        else:
            self._device(entry, folder, path, name)
        self._whiteouts.made(self._root, path)

    def finish(self) -> Applied:
        """Set the directories' metadata; return the outcome."""
        applied = self._applied
        for path, entry in reversed(self._directories.items()):
            try:
                folder, name = self._root.parent(path)
                fd = os.open(name, _OPEN_DIRECTORY, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError, NotBelow):
                continue  # a later entry replaced it
            try:
                if self._privileged and path in self._merged:
                    os.fchown(fd, entry.uid, entry.gid)
                    _drop_xattrs(fd, entry)
                self._describe(fd, entry, 0o700)
            finally:
                os.close(fd)
        applied.implied = [path for path in self._root.made if path not in self._directories]
        return applied

    def _file(self, entry: Entry, reader: Entries, folder: int, path: bytes, name: bytes) -> None:
        try:
            fd = os.open(name, _CREATE, 0o600, dir_fd=folder)
        except FileExistsError:
            folder = self._clear(path)
            fd = os.open(name, _CREATE, 0o600, dir_fd=folder)
        try:
            if entry.sparse is not None:
                self._applied.size += _write_sparse(fd, entry.sparse, reader)
            else:
                self._applied.size += entry.size
                for piece in reader.content():
                    _write(fd, piece)
            self._describe(fd, entry, 0o600)
        finally:
            os.close(fd)
        if (real := self._root.detour(path.rpartition(b"/")[0])) is not None:
            self._by_links.append(_join(real, name))

    def _describe(self, fd: int, entry: Entry, needed: int) -> None:
        """Set owner, attributes, mode and times of an open file or directory."""
        mode = entry.mode
        if not self._privileged:
            mode = mode & 0o1777 | needed
        elif (entry.uid, entry.gid) != self._owner:
            os.fchown(fd, entry.uid, entry.gid)
        if entry.xattrs:
            _set_xattrs(fd, entry, follow=True)
        os.fchmod(fd, mode)
        os.utime(fd, ns=_times(entry))

    def _directory(self, entry: Entry, folder: int, path: bytes, name: bytes) -> None:
        real = self._root.detour(path.rpartition(b"/")[0])
        place = path if real is None else _join(real, name)
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
                self._merged.add(place)
            else:
                os.mkdir(name, 0o700, dir_fd=self._clear(path))
                self._whiteouts.opaque(self._root, path)
        self._directories[place] = entry
        self._wait(place, entry.name, *entry.xattrs, *entry.xattrs.values())

    def _symlink(self, entry: Entry, folder: int, path: bytes, name: bytes) -> None:
        if not entry.linkname:
            raise InvalidTar(f"symbolic link {os.fsdecode(entry.name[:200])!r} without a target")
        try:
            os.symlink(entry.linkname, name, dir_fd=folder)
        except FileExistsError:
            folder = self._clear(path)
            os.symlink(entry.linkname, name, dir_fd=folder)
        self._applied.size += len(entry.linkname)
        self._describe_at(folder, name, entry)

    def _hardlink(self, entry: Entry, path: bytes, name: bytes) -> None:
        target = clean(entry.linkname)
        try:
            source, source_name = self._root.parent(target)
            source = os.dup(source)
        except FileNotFoundError:
            self._clear(path)
            self._applied.links[path] = target
            self._wait(path, target)
            return
        try:
            if stat.S_ISDIR(os.lstat(source_name, dir_fd=source).st_mode):
                raise InvalidTar(f"hard link {os.fsdecode(entry.name[:200])!r} to a directory")
            if not _same_file(source, source_name, self._root.parent(path)):
                if is_whiteout(source, source_name):
                    raise InvalidTar(f"hard link {os.fsdecode(entry.name[:200])!r} to a name that its layer hides")
                folder = self._clear(path)
                os.link(source_name, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            self._clear(path)
            self._applied.links[path] = target
            self._wait(path, target)
        finally:
            os.close(source)

    def _device(self, entry: Entry, folder: int, path: bytes, name: bytes) -> None:
        kinds = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}
        if entry.type not in kinds:
            raise InvalidTar(f"entry {os.fsdecode(entry.name[:200])!r} has the unknown type {entry.type!r}")
        if entry.type != FIFO and not self._privileged:
            return
        folder = self._clear(path)
        os.mknod(name, kinds[entry.type] | 0o600, os.makedev(entry.major, entry.minor), dir_fd=folder)
        self._describe_at(folder, name, entry)
        chmod(name, entry.mode, folder)

    def _describe_at(self, folder: int, name: bytes, entry: Entry) -> None:
        """Set owner, attributes and times of what cannot be opened."""
        if self._privileged:
            if (entry.uid, entry.gid) != self._owner:
                os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
            if entry.xattrs:
                _set_xattrs(b"/proc/self/fd/%d/%b" % (folder, name), entry, follow=False)
        os.utime(name, ns=_times(entry), dir_fd=folder, follow_symlinks=False)

    def _wait(self, *kept: bytes) -> None:
        """Count what waits for the layer's end, so that it stays within what is sensible."""
        self._waiting += sum(map(len, kept))
        if self._waiting > MAX_WAITING:
            raise InvalidTar(f"tar with more than {MAX_WAITING} bytes of directories' names and attributes")

    def _cover(self, folder: bytes) -> None:
        """Hide what lies below directories that took the place of something from below, on the way to one."""
        self._whiteouts.made(self._root, folder)
        while self._root.covering:
            self._whiteouts.opaque(self._root, self._root.covering.pop())

    def _whiteout(self, path: bytes) -> None:
        folder, slash, name = path.rpartition(b"/")
        hidden = whiteout.hides(name)
        if whiteout.is_nameless(name):
            raise InvalidTar(f"whiteout without a name: {os.fsdecode(path[:200])!r}")
        if whiteout.is_special(folder):
            return
        self._root.directory(folder, make=True)
        self._cover(folder)
        if name == whiteout.OPAQUE:
            self._applied.opaque_root |= not folder
            self._whiteouts.opaque(self._root, folder)
        elif hidden and folder + slash + hidden not in self._applied.links:
            real = self._root.detour(folder)
            self._applied.hidden.append(folder + slash + hidden if real is None else _join(real, hidden))
            self._wait(path)
            self._whiteouts.hide(self._root, folder + slash + hidden)

    def _clear(self, path: bytes) -> int:
        """Remove what is at a path, keeping the contents that this layer brought; return its folder."""
        folder, name = self._root.parent(path)
        try:
            info = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return folder
        self._applied.size -= self._give_up(path, info)
        if stat.S_ISDIR(info.st_mode):
            self._forget_below(path + b"/")
            folder, name = self._root.parent(path)
            remove_tree(name, folder)
        else:
            folder, name = self._root.parent(path)
            os.unlink(name, dir_fd=folder)
        if stat.S_ISLNK(info.st_mode):
            self._root.forget()
            self._keep_linked()
            folder = self._again(path)
        return folder

    def _keep_linked(self) -> None:
        """Keep the contents of files whose names led over links, as one of the links went."""
        for path in self._by_links:
            with contextlib.suppress(FileNotFoundError, NotBelow):
                folder, name = self._root.parent(path)
                if self._keeper is not None and stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                    _keep(self._keeper, folder, name)
        self._by_links.clear()

    def _again(self, path: bytes) -> int:
        """Return the folder of a path after a link went that may have been on the way to it."""
        try:
            return self._root.parent(path)[0]
        except (FileNotFoundError, NotBelow) as error:
            raise InvalidTar(f"{os.fsdecode(path)!r} replaces a link on its own way") from error

    def _forget_below(self, prefix: bytes) -> None:
        """Drop all that waits for the layer's end in a directory that goes."""
        self._root.forget()
        applied = self._applied
        self._work += len(self._directories) + len(self._root.made) + len(applied.links) + len(applied.hidden)
        if self._work > MAX_WORK:
            raise InvalidTar("tar that replaces its own directories over and over")
        self._directories = {path: entry for path, entry in self._directories.items() if not path.startswith(prefix)}
        self._root.made = [path for path in self._root.made if not path.startswith(prefix)]
        applied.links = {path: target for path, target in applied.links.items() if not path.startswith(prefix)}
        applied.hidden = [path for path in applied.hidden if not path.startswith(prefix)]

    def _give_up(self, path: bytes, info: os.stat_result) -> int:
        """Hand the layer's own files at or below a path to the keeper; return the bytes that go with them."""
        lost = 0
        names: dict[int, int] = {}
        folder, name = self._root.parent(path)
        found = self._root.walk(path) if stat.S_ISDIR(info.st_mode) else iter([(path, folder, name, info)])
        for _, place, file, status in found:
            if stat.S_ISDIR(status.st_mode) or not self._whiteouts.is_ours(place, file):
                continue
            names[status.st_ino] = names.get(status.st_ino, 0) + 1
            if names[status.st_ino] == status.st_nlink:
                lost += status.st_size
            if self._keeper is not None and stat.S_ISREG(status.st_mode):
                _keep(self._keeper, place, file)
        return lost


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _keep(keeper: Keeper, folder: int, name: bytes) -> None:
    fd = open_regular(folder, name)
    try:
        keeper.keep(fd)
    finally:
        os.close(fd)


def _write(fd: int, piece: memoryview) -> None:
    done = os.write(fd, piece)
    while done < len(piece):
        done += os.write(fd, piece[done:])


def _write_sparse(fd: int, sparse: tuple[int, list[tuple[int, int]]], reader: Entries) -> int:
    """Write the stored pieces where they belong; return the full size."""
    size, pieces = sparse
    os.ftruncate(fd, size)
    content = reader.content()
    piece = memoryview(b"")
    for offset, length in pieces:
        while length:
            if not piece:
                piece = next(content)
            done = os.pwrite(fd, piece[:length], offset)
            offset, length, piece = offset + done, length - done, piece[done:]  # noqa: PLW2901 - a cursor
    return size


def _times(entry: Entry) -> tuple[int, int]:
    mtime = entry.mtime if 0 <= entry.mtime < MAX_TIME else 0
    return mtime, mtime


def _drop_xattrs(fd: int, entry: Entry) -> None:
    """Take away the attributes that a directory has from before, but for those of the system's own."""
    for name in os.listxattr(fd):
        key = os.fsencode(name)
        if key.startswith((b"user.", b"trusted.")) and key not in entry.xattrs and not key.startswith(OVERLAY):
            os.removexattr(fd, name)


def _set_xattrs(target: int | bytes, entry: Entry, *, follow: bool) -> None:
    for key, value in entry.xattrs.items():
        if key.startswith(OVERLAY):
            continue
        try:
            os.setxattr(target, key, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise


def _same_file(folder: int, name: bytes, other: tuple[int, bytes]) -> bool:
    try:
        return os.path.samestat(os.lstat(name, dir_fd=folder), os.lstat(other[1], dir_fd=other[0]))
    except FileNotFoundError:
        return False


def usage(root: Root) -> int:
    """Return the bytes of all files and links below a directory, each inode once: Docker's size of a layer."""
    total = 0
    seen: set[int] = set()
    for _, _, _, info in root.walk():
        if stat.S_ISDIR(info.st_mode) or info.st_ino in seen:
            continue
        if info.st_nlink > 1:
            seen.add(info.st_ino)
        total += info.st_size
    return total
