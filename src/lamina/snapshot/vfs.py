"""The driver `vfs`: every layer and every container has a whole tree of its own.

It needs nothing of the kernel and shares nothing: for tests, and for file systems that take no overlay.
"""

import contextlib
import os
import stat
from collections.abc import Iterator

from ..errors import DataLoss
from ..files import remove_tree
from ..mount import Mount
from ..tar import apply as tar_apply
from ..tar.apply import Applied, Keeper
from ..tar.changes import Change, Tree, changes
from ..tar.header import InvalidTar
from ..tar.pack import everything
from ..tar.reader import Reader
from ..tar.root import Root
from .copying import copy_tree
from .driver import Driver
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
                copy_tree(source, target)

    def apply(self, snapshot: str, reader: Reader, keeper: Keeper) -> Applied:
        with self.open(snapshot) as root:
            return tar_apply.apply(reader, root, _Removals(), keeper, privileged=self._privileged)

    def commit(self, snapshot: str, parent: str | None, applied: Applied) -> int:  # noqa: ARG002 - create took it
        if applied.links:
            path, target = map(os.fsdecode, next(iter(applied.links.items())))
            raise InvalidTar(f"hard link {path!r} to {target!r}, which is in no layer below")
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

    def exists(self, snapshot: str) -> bool:
        return os.path.isdir(self._paths.tree(snapshot))

    def __iter__(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from sorted(os.listdir(self._paths.folder))

    def metadata(self, snapshot: str) -> dict[str, str]:  # noqa: ARG002 - as Docker's
        return {}

    def check(self, snapshot: str, parent: str | None) -> Iterator[str]:  # noqa: ARG002 - a tree stands alone
        if not self.exists(snapshot):
            yield f"vfs/dir/{snapshot} is missing"


class _Removals:
    """Whiteouts that take away at once what the tree's parent brought (`tar.apply.Whiteouts`)."""

    def __init__(self) -> None:
        self._ours: set[bytes] = set()

    def hide(self, root: Root, path: bytes) -> None:
        folder, name = root.parent(path)
        try:
            info = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return
        if path not in self._ours:
            root.forget()
            remove_tree(name, root.parent(path)[0])
        elif stat.S_ISDIR(info.st_mode):
            self.opaque(root, path)

    def opaque(self, root: Root, path: bytes) -> None:
        for name in root.names(path):
            self.hide(root, path + b"/" + name if path else name)

    def made(self, path: bytes) -> None:
        while path and path not in self._ours:
            self._ours.add(path)
            path = path.rpartition(b"/")[0]

    def is_ours(self, path: bytes) -> bool:
        return path in self._ours
