"""The driver `erofs`: a layer is its tar, as it came, and an image of inodes that lead into it; see `paths`.

Nothing is unpacked. A layer's image is written when all of its tar has come, without looking at its parent; what does
need the parent is done by `commit`, which reads the headers of the tar once more (`filetree.settling`). Containers
write to a directory, as with overlay2.

Layers come in, go out and are read without any right; to mount them takes root, and a kernel that mounts EROFS images
from files (Linux 6.12), on a file system that it can do that with.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..erofs.reader import Image as ErofsImage
from ..erofs.reader import ImageDamaged
from ..erofs.writer import Writer
from ..errors import DataLoss
from ..files import eager, fsync, is_want, open_regular, remove_tree, replace, replacing, syncfs
from ..filetree.layertree import LayerTree
from ..filetree.settling import has_to_settle, is_settled, settle
from ..filetree.spare import Spare, digest
from ..filetree.union import Union
from ..mount import Image, Mount, detached
from ..streams import Reader as Stream
from ..streams import Tee
from ..tar.apply import Applied, refused
from ..tar.changes import Change, Tree, changes
from ..tar.header import InvalidTar
from ..tar.pack import everything
from ..tar.reader import Reader
from ..tar.root import Root
from .driver import Driver, Recorder
from .marks import Beneath
from .paths import DATA, DIFF, HOLDERS, IMAGE, PARENT, TAR, WORK, ErofsPaths

MAX_DEPTH = 500
"""The most layers that overlayfs joins (OVL_MAX_STACK)."""

_OPAQUE = b"trusted.overlay.opaque"
_NEW = ".new"
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

    def create(self, snapshot: str, parent: str | None) -> None:
        os.makedirs(self._paths.home, 0o700, exist_ok=True)
        os.mkdir(self._paths.folder(snapshot), 0o710)

    def apply(self, snapshot: str, stream: Stream, recorder: Recorder | None = None) -> Applied:
        with _told(), self._spare(snapshot, fresh=True) as spare:
            tree = LayerTree(spare)
            with eager(self._paths.file(snapshot, TAR)) as file:
                tree.read(Reader(Tee(stream, file)))
                size = file.tell()
            self._write_image(snapshot, tree.finish(size))
            return tree.applied

    def _spare(self, snapshot: str, *, fresh: bool) -> Spare:
        return Spare(self._paths.file(snapshot, DATA), fresh=fresh)

    def tar(self, snapshot: str) -> BinaryIO:
        path = self._paths.file(snapshot, TAR)
        try:
            return open(open_regular(path), "rb")
        except OSError as error:
            if is_want(error):
                raise
            raise DataLoss(f"{path}: {error.strerror}") from error

    def index(self, snapshot: str) -> ErofsImage:
        path = self._paths.file(snapshot, IMAGE)
        try:
            return ErofsImage(path)
        except OSError as error:
            if is_want(error):
                raise
            raise DataLoss(f"{path}: {error.strerror}") from error

    def devices(self, snapshot: str) -> list[str]:
        paths = [self._paths.file(snapshot, name) for name in (TAR, DATA)]
        return paths if os.path.exists(paths[1]) else paths[:1]

    def commit(self, snapshot: str, parent: str | None, applied: Applied) -> int:
        if parent is not None:
            self._stand_on(snapshot, parent)
        if not has_to_settle(applied, is_base=parent is None) or self._is_settled(snapshot, parent, applied):
            return applied.size
        with _told(), self._spare(snapshot, fresh=False) as spare:
            with self.index(snapshot) as earlier:
                image = self._image(snapshot, parent, spare, earlier)
            self._write_image(snapshot, image)
            return image.size

    def _is_settled(self, snapshot: str, parent: str | None, applied: Applied) -> bool:
        with ErofsImage(self._paths.file(snapshot, IMAGE)) as image, self._below(parent) as below:
            return is_settled(image, below, applied)

    @contextlib.contextmanager
    def _below(self, parent: str | None) -> Iterator[Union]:
        """Open the images of a layer and all below it."""
        with contextlib.ExitStack() as stack:
            chain = self._chain(parent)[::-1]
            yield Union([stack.enter_context(ErofsImage(self._paths.file(layer, IMAGE))) for layer in chain])

    def _image(self, snapshot: str, parent: str | None, spare: Spare, earlier: ErofsImage | None = None) -> Writer:
        """Return a layer's image, made from its tar and from what it stands on."""
        tree = LayerTree(spare, earlier)
        with self.tar(snapshot) as file:
            tree.read(Reader(file))
            size = file.seek(0, os.SEEK_END)
        if has_to_settle(tree.applied, is_base=parent is None):
            spare.fresh = True
            with self._below(parent) as below:
                settle(tree, below, [self.devices(layer) for layer in self._chain(parent)[::-1]], spare)
        return tree.finish(size)

    def _write_image(self, snapshot: str, image: Writer) -> None:
        """Write the image of a layer that nothing refers to yet: its caller makes all of it durable at once."""
        with open(self._paths.file(snapshot, IMAGE), "wb", opener=_private) as file:
            image.write(file)

    def prepare(self, snapshot: str, parent: str | None) -> None:
        self.create(snapshot, parent)
        diff = self._paths.file(snapshot, DIFF)
        os.mkdir(diff, 0o755)
        os.chmod(diff, 0o755)
        if parent is not None:
            os.mkdir(self._paths.file(snapshot, WORK), 0o700)
            self._stand_on(snapshot, parent)

    def _stand_on(self, snapshot: str, parent: str) -> None:
        if (depth := len(self._chain(parent))) > MAX_DEPTH:
            raise TooDeep(f"max depth exceeded: {depth} layers, at most {MAX_DEPTH} can be mounted")
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

    def changes(self, snapshot: str, parent: str | None) -> Iterator[Change]:
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
                yield from self._damages(snapshot)
            elif parent and not os.path.isdir(self._paths.file(snapshot, WORK)):
                yield f"{self.name}/{snapshot}/{WORK} is missing"
        except DataLoss as error:
            yield str(error)

    def _damages(self, snapshot: str) -> Iterator[str]:
        """Yield what is wrong with the files that a layer has beside its tar, a line each."""
        where = f"{self.name}/{snapshot}"
        if not os.path.isfile(self._paths.file(snapshot, TAR)):
            yield f"{where}/{TAR} is missing"
        try:
            with ErofsImage(self._paths.file(snapshot, IMAGE)) as image:
                devices = image.devices
        except (OSError, ImageDamaged) as error:
            yield f"{where}/{IMAGE} is damaged or missing" + (
                f": {error.strerror}" if isinstance(error, OSError) else ""
            )
            return
        data = self._paths.file(snapshot, DATA)
        if len(devices) < 2:
            if os.path.lexists(data):
                yield f"{where}/{DATA} is there, though the image does not know it"
            return
        try:
            is_sound = digest(data) == devices[1].digest
        except OSError:
            is_sound = False
        if not is_sound:
            yield f"{where}/{DATA} is damaged or missing"

    def size(self, snapshot: str) -> int:
        path = self._paths.file(snapshot, IMAGE)
        try:
            with ErofsImage(path) as image:
                return image.usage()
        except OSError as error:
            if is_want(error):
                raise
            raise DataLoss(f"{path}: {error.strerror}") from error

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
        elif next(self._damages(snapshot), ""):
            yield from self._make_again(snapshot, parent, aside)

    def _mend_parent(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        path = self._paths.file(snapshot, PARENT)
        with contextlib.suppress(DataLoss):
            if self.parent(snapshot) == parent:
                return
        if parent is None or os.path.isdir(path):
            aside(path)
        if parent is not None:
            replace(path, parent.encode())
        yield path

    def _make_again(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        """Make what a layer has beside its tar anew, each file in one durable step."""
        data, path = self._paths.file(snapshot, DATA), self._paths.file(snapshot, IMAGE)
        remove_tree(data + _NEW)
        with Spare(data + _NEW, fresh=True) as spare:
            image = self._image(snapshot, parent, spare)
        for old in (data, path):
            if os.path.isdir(old):
                aside(old)
        if spare.blocks:
            fsync(data + _NEW)
            os.rename(data + _NEW, data)
            yield data
        elif os.path.lexists(data):
            aside(data)
        with replacing(path, 0o600) as file:
            image.write(file)
        yield path


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say in our words that the disk is full, or refuses otherwise."""
    try:
        yield
    except OSError as error:
        raise refused(error, os.path.basename(os.fsencode(error.filename or IMAGE))) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
