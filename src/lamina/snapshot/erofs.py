"""The driver `erofs`: a layer is its tar, as it came, and an image of inodes that lead into it; see `paths`.

Nothing is unpacked: `layerimages` has what is made of a tar instead. Containers write to a directory, as with overlay2.

Layers come in, go out and are read without any right; to mount them takes root, and a kernel that mounts EROFS images
from files (Linux 6.12), on a file system that it can do that with.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from ..errors import DataLoss
from ..files import is_want, open_regular, remove_tree, replace, syncfs
from ..mount import Image, Mount, detached
from ..streams import Reader as Stream
from ..tar.contract import Applied
from ..tar.header import InvalidTar
from ..tar.root import Root
from .driver import Driver, Recorder
from .paths import DIFF, HOLDERS, IMAGE, PARENT, TAR, WORK, ErofsPaths

if TYPE_CHECKING:
    from ..erofs.reader import Image as ErofsImage
    from ..tar.changes import Change
    from .layerimages import LayerImages

MAX_DEPTH = 500
"""The most layers that overlayfs joins (OVL_MAX_STACK)."""

_OPAQUE = b"trusted.overlay.opaque"
_MAX_ID = 200


class TooDeep(InvalidTar):
    """More layers than one mount can have."""


class Erofs(Driver):
    """The folder `home` of layers as tars, and of what containers wrote."""

    name = "erofs"
    parent_first = False
    most_layers = MAX_DEPTH - 1  # one more is below a container
    keeps_tars = True

    def __init__(self, home: str) -> None:
        self._paths = ErofsPaths(home)
        self._depths: dict[str, int] = {}  # of what was put on others here, to count it once

    def get_ready(self) -> None:
        _ = self._images

    def create(self, snapshot: str, parent: str | None) -> None:
        os.makedirs(self._paths.home, 0o700, exist_ok=True)
        os.mkdir(self._paths.folder(snapshot), 0o710)

    @functools.cached_property
    def _images(self) -> "LayerImages":
        """What layers have beside their tars."""
        from .layerimages import LayerImages  # noqa: PLC0415 - to mount them takes none of it

        return LayerImages(self._paths, self._chain, self.tar)

    def apply(self, snapshot: str, stream: Stream, recorder: Recorder | None = None) -> Applied:
        return self._images.take(snapshot, stream)

    def tar(self, snapshot: str) -> BinaryIO:
        path = self._paths.file(snapshot, TAR)
        try:
            return open(open_regular(path), "rb")
        except OSError as error:
            if is_want(error):
                raise
            raise DataLoss(f"{path}: {error.strerror}") from error

    def index(self, snapshot: str) -> "ErofsImage":
        return self._images.open(snapshot)

    def devices(self, snapshot: str) -> list[str]:
        return self._paths.devices(snapshot)

    def commit(self, snapshot: str, parent: str | None, applied: Applied) -> int:
        if parent is not None:
            self._stand_on(snapshot, parent)
        return self._images.settle(snapshot, parent, applied)

    def prepare(self, snapshot: str, parent: str | None) -> None:
        self.create(snapshot, parent)
        diff = self._paths.file(snapshot, DIFF)
        os.mkdir(diff, 0o755)
        os.chmod(diff, 0o755)
        if parent is not None:
            os.mkdir(self._paths.file(snapshot, WORK), 0o700)
            self._stand_on(snapshot, parent)

    def _stand_on(self, snapshot: str, parent: str) -> None:
        depth = self._depths.get(parent) or len(self._chain(parent))
        if depth > MAX_DEPTH:
            raise TooDeep(f"max depth exceeded: {depth} layers, at most {MAX_DEPTH} can be mounted")
        self._depths[snapshot] = depth + 1
        with open(self._paths.file(snapshot, PARENT), "w", encoding="ascii") as file:
            file.write(parent)

    def mount(self, snapshot: str) -> Mount:
        lowers = self._chain(snapshot)
        if self._is_layer(snapshot):
            return self._union(lowers)
        mount = self._union(lowers[1:])
        diff, work = f"{snapshot}/{DIFF}", f"{snapshot}/{WORK}"
        if not lowers[1:]:
            return Mount(self._paths.home, upper=diff)
        return Mount(self._paths.home, mount.lowers or (mount.upper,), diff, work, holders=self._paths.holders)

    def _union(self, snapshots: list[str]) -> Mount:
        """Return the mount that shows some trees, the topmost first, to read."""
        lowers = tuple(self._lower(snapshot) for snapshot in snapshots)
        if len(lowers) == 1 and isinstance(lowers[0], str):
            return Mount(self._paths.home, upper=lowers[0])
        return Mount(self._paths.home, lowers, holders=self._paths.holders)

    def _lower(self, snapshot: str) -> str | Image:
        if not self._is_layer(snapshot):
            return f"{snapshot}/{DIFF}"
        devices = (os.path.relpath(path, self._paths.home) for path in self.devices(snapshot))
        return Image(f"{snapshot}/{IMAGE}", tuple(devices))

    def _is_layer(self, snapshot: str) -> bool:
        """Tell whether a tree is a layer; else a container's.

        Raises:
            DataLoss: it is neither.
        """
        if any(os.path.exists(self._paths.file(snapshot, name)) for name in (IMAGE, TAR)):
            return True
        if not os.path.isdir(self._paths.file(snapshot, DIFF)):
            raise DataLoss(f"the files of layer directory {snapshot} are gone from {self._paths.home}")
        return False

    def open(self, snapshot: str) -> Root:
        if not self._is_layer(snapshot):
            return Root(self._paths.file(snapshot, DIFF))
        fd = detached(self._union([snapshot]))
        try:
            return Root(fd)
        finally:
            os.close(fd)

    def changes(self, snapshot: str, parent: str | None) -> Iterator["Change"]:
        from ..tar.changes import Tree, changes, everything  # noqa: PLC0415
        from .marks import Beneath  # noqa: PLC0415

        lowers = self._chain(snapshot)[1:]
        with self.open(snapshot) as root:
            if not lowers:
                yield from everything(root)
                return
            fd = detached(self._union(lowers))
            try:
                with Root(fd) as below:
                    yield from changes(root, Beneath(root, Tree(below), _OPAQUE))
            finally:
                os.close(fd)

    def remove(self, snapshot: str) -> None:
        self._depths.pop(snapshot, None)
        remove_tree(self._paths.folder(snapshot))

    def sync(self) -> int:
        syncfs(self._paths.home)
        return os.stat(self._paths.home).st_dev

    def exists(self, snapshot: str) -> bool:
        return os.path.isdir(self._paths.folder(snapshot))

    def __iter__(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            yield from sorted(name for name in os.listdir(self._paths.home) if name != HOLDERS)

    def metadata(self, snapshot: str) -> dict[str, str]:
        lowers = ":".join(self._paths.folder(lower) for lower in self._chain(snapshot)[1:])
        data = {"LowerDir": lowers} if lowers else {}
        if self._is_layer(snapshot):
            return {**data, "Image": self._paths.file(snapshot, IMAGE), "Tar": self._paths.file(snapshot, TAR)}
        return {**data, "UpperDir": self._paths.file(snapshot, DIFF), "WorkDir": self._paths.file(snapshot, WORK)}

    def check(self, snapshot: str, parent: str | None) -> Iterator[str]:
        if not self.exists(snapshot):
            yield f"{self.name}/{snapshot} is missing"
            return
        try:
            if (self.parent(snapshot) or None) != parent:
                yield f"{self.name}/{snapshot}/{PARENT} does not name the layer below it"
            if self._is_layer(snapshot):
                yield from self._images.damages(snapshot)
            elif parent and not os.path.isdir(self._paths.file(snapshot, WORK)):
                yield f"{self.name}/{snapshot}/{WORK} is missing"
        except DataLoss as error:
            yield str(error)

    def size(self, snapshot: str) -> int:
        return self._images.usage(snapshot)

    def strays(self) -> Iterator[str]:
        return iter(())

    def folder(self, snapshot: str) -> str:
        return self._paths.folder(snapshot)

    def parent(self, snapshot: str) -> str | None:
        path = self._paths.file(snapshot, PARENT)
        try:
            with open(open_regular(path), "rb") as file:
                text = file.read(_MAX_ID).decode("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if is_want(error):
                raise
            raise DataLoss(f"{path}: {error.strerror}") from error
        if not text.replace("-", "").isalnum():
            raise DataLoss(f"{path} is damaged: {text[:40]!r}")
        return text

    def _chain(self, snapshot: str | None) -> list[str]:
        """Return a tree and all below it, the topmost first."""
        chain: list[str] = []
        while snapshot is not None:
            chain.append(snapshot)
            if len(chain) > 2 * MAX_DEPTH:
                raise DataLoss(f"{self._paths.folder(chain[0])} stands on more than {len(chain)} others")
            snapshot = self.parent(snapshot)
        return chain

    def mend(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        yield from self._mend_parent(snapshot, parent, aside)
        if not self._is_layer(snapshot):
            work = self._paths.file(snapshot, WORK)
            if parent and not os.path.isdir(work):
                if os.path.lexists(work):
                    aside(work)
                os.mkdir(work, 0o700)
                yield work
        elif next(self._images.damages(snapshot), ""):
            yield from self._images.make_again(snapshot, parent, aside)

    def _mend_parent(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        path = self._paths.file(snapshot, PARENT)
        with contextlib.suppress(DataLoss):
            if self.parent(snapshot) == parent:
                return
        self._depths.clear()
        if parent is None or os.path.isdir(path):
            aside(path)
        if parent is not None:
            replace(path, parent.encode())
        yield path
