"""The driver `vfs`: every layer and every container has a whole tree of its own.

It needs nothing of the kernel and shares nothing: for tests, and for file systems that take no overlay.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator

from ..errors import DataLoss
from ..files import remove_tree, syncfs
from ..mount import Mount
from ..streams import Reader as Stream
from ..tar import apply as tar_apply
from ..tar.changes import Change, Tree, changes, everything
from ..tar.contract import Applied, no_target
from ..tar.reader import Reader
from ..tar.root import NotBelow, Root
from .copying import Copier
from .driver import Driver, Recorder
from .paths import VfsPaths


class Vfs(Driver):
    """Whole trees in `home`; `privileged` tells whether owners and devices can be kept."""

    name = "vfs"
    parent_first = True

    def __init__(self, home: str, *, privileged: bool) -> None:
        self._paths = VfsPaths(home)
        self._privileged = privileged

    def create(self, snapshot: str, parent: str | None) -> None:
        os.makedirs(self._paths.folder, 0o700, exist_ok=True)
        tree = self._paths.tree(snapshot)
        os.mkdir(tree, 0o755)
        os.chmod(tree, 0o755)
        if parent is not None:
            with self.open(parent) as source, Root(tree) as target:
                Copier(target).tree(source, b"", b"")

    def apply(self, snapshot: str, stream: Stream, recorder: Recorder | None = None) -> Applied:
        with self.open(snapshot) as root:
            reader = Reader(stream, recorder)
            return tar_apply.apply(reader, root, _Removals(), recorder, privileged=self._privileged)

    def commit(self, snapshot: str, parent: str | None, applied: Applied) -> int:
        if applied.links:
            raise no_target(*next(iter(applied.links.items())))
        return applied.size

    def prepare(self, snapshot: str, parent: str | None) -> None:
        self.create(snapshot, parent)

    def mount(self, snapshot: str) -> Mount:
        return Mount(self._paths.folder, upper=snapshot)

    def open(self, snapshot: str) -> Root:
        try:
            return Root(self._paths.tree(snapshot))
        except FileNotFoundError as error:
            raise DataLoss(f"the tree of layer directory {snapshot} is gone from {self._paths.folder}") from error

    def changes(self, snapshot: str, parent: str | None) -> Iterator[Change]:
        with self.open(snapshot) as root:
            if parent is None:
                yield from everything(root)
                return
            with self.open(parent) as below:
                yield from changes(root, Tree(below))

    def remove(self, snapshot: str) -> None:
        remove_tree(self._paths.tree(snapshot))

    def sync(self) -> int:
        syncfs(self._paths.folder)
        return os.stat(self._paths.folder).st_dev

    def exists(self, snapshot: str) -> bool:
        return os.path.isdir(self._paths.tree(snapshot))

    def __iter__(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from sorted(os.listdir(self._paths.folder))

    def metadata(self, snapshot: str) -> dict[str, str]:
        return {}

    def check(self, snapshot: str, parent: str | None) -> Iterator[str]:
        if not self.exists(snapshot):
            yield f"vfs/dir/{snapshot} is missing"

    def size(self, snapshot: str) -> None:
        return None  # the files of the layers below are in there too

    def strays(self) -> Iterator[str]:
        return iter(())

    def folder(self, snapshot: str) -> str:
        return self._paths.tree(snapshot)

    def parent(self, snapshot: str) -> str | None:
        return None

    def mend(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        return iter(())


class _Removals:
    """Whiteouts that take away at once what the tree's parent brought (`tar.contract.Whiteouts`)."""

    def __init__(self) -> None:
        self._ours: set[int] = set()  # hashes of the inode of the directory and the name in it
        self._last = b""

    def hide(self, root: Root, path: bytes) -> None:
        info = _lstat(root, path)
        if info is None:
            return
        if stat.S_ISDIR(info.st_mode):
            self.opaque(root, path)
        self._remove(root, path, info)
        root.forget()

    def opaque(self, root: Root, path: bytes) -> None:
        folders: list[tuple[bytes, os.stat_result]] = []
        for inner, _, _, info in root.walk(path):
            if stat.S_ISDIR(info.st_mode):
                folders.append((inner, info))
            else:
                self._remove(root, inner, info)
        while folders:
            self._remove(root, *folders.pop())
        root.forget()

    def _remove(self, root: Root, path: bytes, info: os.stat_result) -> None:
        above, name = root.parent(path)
        if not self.is_ours(above, name):
            with contextlib.suppress(OSError):  # a directory that holds something of the layer's own stays
                os.rmdir(name, dir_fd=above) if stat.S_ISDIR(info.st_mode) else os.unlink(name, dir_fd=above)

    def made(self, root: Root, path: bytes) -> None:
        new = [path]
        while (above := new[-1].rpartition(b"/")[0]) and not self._last.startswith(above + b"/"):
            new.append(above)
        for place in reversed(new):
            folder, name = root.parent(place)
            self._ours.add(hash((os.fstat(folder).st_ino, name)))
        self._last = path

    def is_ours(self, folder: int, name: bytes) -> bool:
        return hash((os.fstat(folder).st_ino, name)) in self._ours


def _lstat(root: Root, path: bytes) -> os.stat_result | None:
    try:
        folder, name = root.parent(path)
        return os.lstat(name, dir_fd=folder)
    except (FileNotFoundError, NotBelow):
        return None
