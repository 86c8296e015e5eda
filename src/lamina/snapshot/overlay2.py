"""The driver `overlay2`: a directory a layer, in Docker's layout; see `paths`.

A layer is unpacked without looking at its parent: whiteouts become marks that overlayfs reads (a character
device 0:0, the attribute `overlay.opaque`). What does need the parent waits for `commit`: the metadata of
directories that the tar does not mention, hard links to files below, an opaque root.
"""

import base64
import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from itertools import chain

from ..errors import DataLoss, NotFound
from ..files import remove_tree, replace, syncfs
from ..mount import Mount
from ..streams import CHUNK
from ..streams import Reader as Stream
from ..tar import apply as tar_apply
from ..tar.changes import Change, changes
from ..tar.contract import Applied, no_target
from ..tar.header import InvalidTar
from ..tar.reader import Reader
from ..tar.root import NotBelow, Root, is_whiteout_inode, prefixes
from .copying import copy_file, copy_metadata
from .driver import Driver, Recorder
from .marks import Beneath, Marks
from .paths import Overlay2Paths
from .union import Union, is_opaque

MAX_DEPTH = 128
"""The most layers that one `lower` names: as many short names fit the page that mount(2) takes."""

_SHORT = 26


class TooDeep(InvalidTar):
    """More layers than one mount can have."""


class Overlay2(Driver):
    """Docker's overlay2 folder at `home`; `privileged` tells whether the kernel lets us use trusted attributes."""

    name = "overlay2"
    parent_first = False

    def __init__(self, home: str, *, privileged: bool) -> None:
        self._paths = Overlay2Paths(home)
        self._privileged = privileged
        self._opaque = b"trusted.overlay.opaque" if privileged else b"user.overlay.opaque"

    def create(self, snapshot: str, parent: str | None) -> None:
        paths = self._paths
        os.makedirs(paths.links, 0o700, exist_ok=True)
        os.mkdir(paths.folder(snapshot), 0o710)
        os.mkdir(paths.diff(snapshot), 0o755)
        os.chmod(paths.diff(snapshot), 0o755)
        short = _new_short()
        _write(paths.file(snapshot, "link"), short.encode())  # first, so that `remove` knows what link was made
        os.symlink(paths.link_target(snapshot), paths.link(short))

    def apply(self, snapshot: str, stream: Stream, recorder: Recorder | None = None) -> Applied:
        with self.open(snapshot) as root:
            marks = Marks(self._opaque)
            return tar_apply.apply(Reader(stream, recorder), root, marks, recorder, privileged=self._privileged)

    def commit(self, snapshot: str, parent: str | None, applied: Applied) -> int:
        if parent is not None:
            self._stand_on(snapshot, parent)
        if not (applied.implied or applied.links or applied.hidden or applied.opaque_root):
            return applied.size
        with self.open(snapshot) as root, self._union(snapshot) as below:
            try:
                return applied.size + self._settle(root, below, applied)
            except OSError as error:
                raise tar_apply.refused(error, os.fsencode(error.filename or b"")) from error

    def _settle(self, root: Root, below: Union, applied: Applied) -> int:
        """Do what had to wait for the parent; return the bytes copied up."""
        copied = self._link_up(root, below, applied)
        beneath = Beneath(root, below, self._opaque)
        for path in [*applied.implied, *root.made]:
            _inherit(root, beneath, path)
        if applied.opaque_root:  # overlayfs reads no mark on a root: mark each name in it
            for name in below.names(b""):
                Marks(self._opaque).hide(root, name)
        for path in applied.hidden:  # a mark that hides nothing would be listed where no directories merge
            if beneath.visible(path) is None:
                _unmark(root, path)
        return copied

    def _link_up(self, root: Root, below: Union, applied: Applied) -> int:
        """Make the hard links whose targets lie below the layer; return the bytes copied.

        The target is copied up first, as overlayfs does. Where the layer has something else of the target's name, or
        hides it, the first link has the content, and the others link to that one.
        """
        copied = 0
        done: set[bytes] = set()
        copies: dict[bytes, bytes] = {}
        shows: dict[bytes, bool] = {}  # of the last folder
        for path, target, stays in applied.waiting():
            source = target if target in done else copies.get(target)
            if source is None:
                folder = target.rpartition(b"/")[0]
                if folder not in shows:
                    shows = {folder: self._shows(root, folder)}
                source = target if stays and shows[folder] and not _is_there(root, target) else path
                copies[target] = source
                copied += _copy_up(root, below, target, source, path)
            if source != path:
                _link(root, source, path)
            done.add(path)
        return copied

    def _shows(self, root: Root, folder: bytes) -> bool:
        """Tell whether what lies below in a directory shows through the layer's own files on the way there."""
        for part in chain(prefixes(folder), [folder] if folder else []):
            above, name = root.parent(part)
            try:
                info = os.lstat(name, dir_fd=above)
            except FileNotFoundError:
                return True
            if not stat.S_ISDIR(info.st_mode) or is_opaque(above, name, self._opaque):
                return False
        return True

    def prepare(self, snapshot: str, parent: str | None) -> None:
        self.create(snapshot, parent)
        if parent is not None:
            self._stand_on(snapshot, parent)

    def _stand_on(self, snapshot: str, parent: str) -> None:
        paths = self._paths
        lowers = [f"l/{self._link(parent)}", *self._lowers(parent)]
        if len(lowers) > MAX_DEPTH:
            raise TooDeep(f"max depth exceeded: {len(lowers)} layers, at most {MAX_DEPTH} can be mounted")
        os.makedirs(paths.file(snapshot, "work"), 0o700, exist_ok=True)
        _write(paths.file(parent, "committed"), b"", 0o600)
        _write(paths.file(snapshot, "lower"), ":".join(lowers).encode())

    def mount(self, snapshot: str) -> Mount:
        lowers = tuple(self._lowers(snapshot))
        diff = f"{snapshot}/diff"
        if not lowers:
            return Mount(self._paths.home, upper=diff)
        if os.path.exists(self._paths.file(snapshot, "committed")):
            return Mount(self._paths.home, (diff, *lowers), user_xattrs=not self._privileged)
        return Mount(self._paths.home, lowers, diff, f"{snapshot}/work", user_xattrs=not self._privileged)

    def open(self, snapshot: str) -> Root:
        try:
            return Root(self._paths.diff(snapshot))
        except FileNotFoundError as error:
            raise DataLoss(f"the files of layer directory {snapshot} are gone from {self._paths.home}") from error

    def changes(self, snapshot: str, parent: str | None) -> Iterator[Change]:
        with self.open(snapshot) as root, self._union(snapshot) as below:
            yield from changes(root, Beneath(root, below, self._opaque))

    def remove(self, snapshot: str) -> None:
        try:
            names = [self._link(snapshot)]
        except NotFound:
            names = []
        except DataLoss:  # a loss of power took the file's bytes, and left the link
            names = self._leading(snapshot)
        for short in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._paths.link(short))
        remove_tree(self._paths.folder(snapshot))

    def sync(self) -> int:
        syncfs(self._paths.home)
        return os.stat(self._paths.home).st_dev

    def exists(self, snapshot: str) -> bool:
        return os.path.isdir(self._paths.folder(snapshot))

    def __iter__(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from sorted(name for name in os.listdir(self._paths.home) if name != "l")

    def metadata(self, snapshot: str) -> dict[str, str]:
        folder = self._paths.folder(snapshot)
        data = {"MergedDir": f"{folder}/merged", "UpperDir": f"{folder}/diff", "WorkDir": f"{folder}/work"}
        if lowers := self._folders(snapshot):
            data["LowerDir"] = ":".join(lowers)
        return data

    def check(self, snapshot: str, parent: str | None) -> Iterator[str]:
        if not os.path.isdir(self._paths.diff(snapshot)):
            yield f"{self.name}/{snapshot}/diff is missing"
            return
        try:
            short = self._link(snapshot)
            expected = [f"l/{self._link(parent)}", *self._lowers(parent)] if parent else []
            lowers = self._lowers(snapshot)
        except (NotFound, DataLoss) as error:
            yield str(error)
            return
        if _readlink(self._paths.link(short)) != self._paths.link_target(snapshot):
            yield f"{self.name}/l/{short} does not lead to {snapshot}"
        if lowers != expected:
            yield f"{self.name}/{snapshot}/lower does not name the layers below it"
        if parent and not os.path.isdir(self._paths.file(snapshot, "work")):
            yield f"{self.name}/{snapshot}/work is missing"
        if parent and not os.path.isfile(self._paths.file(parent, "committed")):
            yield f"{self.name}/{parent}/committed is missing, though {snapshot} stands on it"

    def size(self, snapshot: str) -> int:
        with self.open(snapshot) as root:
            return tar_apply.usage(root)

    def strays(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            for short in sorted(os.listdir(self._paths.links)):
                snapshot = os.path.basename(os.path.dirname(_readlink(self._paths.link(short))))
                if not snapshot or not self.exists(snapshot) or not self._is_named(snapshot, short):
                    yield self._paths.link(short)

    def folder(self, snapshot: str) -> str:
        return self._paths.folder(snapshot)

    def parent(self, snapshot: str) -> str | None:
        for folder in self._folders(snapshot)[:1]:
            return os.path.basename(os.path.dirname(folder))
        return None

    def mend(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        paths = self._paths
        yield from _make_folder(paths.links, aside)
        if parent:
            yield from _make_folder(paths.file(snapshot, "work"), aside)
        yield from self._mend_link(snapshot, aside)
        lowers = [f"l/{self._link(parent)}", *self._lowers(parent)] if parent else []
        lower = paths.file(snapshot, "lower")
        if lowers and (not os.path.isfile(lower) or self._lowers(snapshot) != lowers):
            yield _put(lower, ":".join(lowers).encode(), aside)
        elif not lowers and os.path.lexists(lower):
            aside(lower)
            yield lower
        if parent and not os.path.isfile(committed := paths.file(parent, "committed")):
            yield _put(committed, b"", aside, 0o600)

    def _mend_link(self, snapshot: str, aside: Callable[[str], None]) -> Iterator[str]:
        """Let a tree and its short name know each other, by the name that one of them still knows."""
        paths = self._paths
        target = paths.link_target(snapshot)
        leading = self._leading(snapshot)
        try:
            short = self._link(snapshot)
        except (NotFound, DataLoss):
            short = ""
        if short in leading:
            return
        if not short or leading or self._is_taken(short):
            short = min((name for name in leading if _is_short(name)), default=_new_short())
            yield _put(paths.file(snapshot, "link"), short.encode(), aside)
        if short not in leading:
            if os.path.lexists(paths.link(short)):
                aside(paths.link(short))
            os.symlink(target, paths.link(short))
            yield paths.link(short)

    def _leading(self, snapshot: str) -> list[str]:
        """Return the short names whose links lead to a tree."""
        target = self._paths.link_target(snapshot)
        return [name for name in os.listdir(self._paths.links) if _readlink(self._paths.link(name)) == target]

    def _is_taken(self, short: str) -> bool:
        """Tell whether a short name is another tree's."""
        other = os.path.basename(os.path.dirname(_readlink(self._paths.link(short))))
        return bool(other) and self._is_named(other, short)

    def _is_named(self, snapshot: str, short: str) -> bool:
        """Tell whether a tree says that a short name is its own; damage does not count against it."""
        try:
            return self._link(snapshot) == short
        except (NotFound, DataLoss):
            return self.exists(snapshot)

    def _link(self, snapshot: str) -> str:
        text = self._read(snapshot, "link")
        if not _is_short(text):
            raise DataLoss(f"{self._paths.file(snapshot, 'link')} is damaged: {text[:40]!r}")
        return text

    def _lowers(self, snapshot: str) -> list[str]:
        """Return the short names of all below a tree, the topmost first, as `l/<name>`."""
        try:
            return self._read(snapshot, "lower").split(":")
        except NotFound:
            return []

    def _read(self, snapshot: str, name: str) -> str:
        path = self._paths.file(snapshot, name)
        try:
            with open(path, "rb") as file:
                return file.read(CHUNK).decode("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound(f"{path} is missing") from error

    def _folders(self, snapshot: str) -> list[str]:
        """Return the absolute folders of all below a tree, the topmost first."""
        folders: list[str] = []
        for lower in self._lowers(snapshot):
            target = _readlink(os.path.join(self._paths.home, lower))
            if not target:
                raise DataLoss(f"{self._paths.home}/{lower} is missing: {snapshot} stands on it")
            folders.append(os.path.normpath(os.path.join(self._paths.links, target)))
        return folders

    def _union(self, snapshot: str) -> Union:
        try:
            return Union(self._folders(snapshot), self._opaque)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataLoss(f"{error.filename} is missing: {snapshot} stands on it") from error


def _unmark(root: Root, path: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        folder, name = root.parent(path)
        if is_whiteout_inode(os.lstat(name, dir_fd=folder)):
            os.unlink(name, dir_fd=folder)


def _inherit(root: Root, below: Beneath, path: bytes) -> None:
    """Give a directory that the tar only implies the metadata of the one below it."""
    found = below.visible(path)
    if found is None or not stat.S_ISDIR(found.info.st_mode):
        return
    with contextlib.suppress(FileNotFoundError, NotBelow):
        folder, name = root.parent(path)
        if stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode):
            copy_metadata(found.folder, found.name, found.info, folder, name)


def _is_there(root: Root, path: bytes) -> bool:
    try:
        folder, name = root.parent(path)
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _copy_up(root: Root, below: Union, target: bytes, path: bytes, wanted: bytes) -> int:
    found = below.find(target)
    if found is None or stat.S_ISDIR(found.info.st_mode):
        raise no_target(wanted, target)
    return copy_file(found.folder, found.name, *root.parent(path, make=True))


def _link(root: Root, target: bytes, path: bytes) -> None:
    folder, name = root.parent(target)
    source = os.dup(folder)
    try:
        folder, link = root.parent(path)
        os.link(name, link, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(source)


def _write(path: str, data: bytes, mode: int = 0o644) -> None:
    """Write a file of a tree that nothing refers to yet: its caller makes all of it durable at once."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, mode)
    try:
        os.write(fd, data)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _new_short() -> str:
    return base64.b32encode(os.urandom(17)).decode()[:_SHORT]


def _is_short(text: str) -> bool:
    return len(text) == _SHORT and text.isascii() and text.isalnum()


def _make_folder(path: str, aside: Callable[[str], None]) -> Iterator[str]:
    """Make a folder where there is none; yield its path."""
    if not os.path.isdir(path):
        if os.path.lexists(path):
            aside(path)
        os.mkdir(path, 0o700)
        yield path


def _put(path: str, data: bytes, aside: Callable[[str], None], mode: int = 0o644) -> str:
    """Write a mark in one durable step; return its path."""
    if os.path.isdir(path):
        aside(path)
    replace(path, data, mode)
    return path


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
