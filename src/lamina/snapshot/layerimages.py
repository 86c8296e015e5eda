"""The images that the driver `erofs` has beside the tars of its layers: of inodes that lead into those.

An image is written when all of the tar has come, without looking at the layer's parent; what does need the parent is
done by `settle`, which reads the headers of the tar once more (`filetree.settling`).
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..erofs.reader import Image, ImageDamaged
from ..erofs.writer import Writer
from ..errors import DataLoss
from ..files import eager, fsync, is_want, remove_tree, replacing
from ..filetree import settling
from ..filetree.layertree import LayerTree
from ..filetree.spare import Spare, digest
from ..filetree.union import Union
from ..streams import Reader as Stream
from ..streams import Tee
from ..tar.apply import refused
from ..tar.contract import Applied
from ..tar.reader import Reader
from .paths import DATA, IMAGE, TAR, ErofsPaths

_NEW = ".new"


class LayerImages:
    """The images of a driver's layers.

    Args:
        paths: where they are.
        chain: returns a layer and all below it, the topmost first.
        tar: opens a layer's tar.
    """

    def __init__(
        self, paths: ErofsPaths, chain: Callable[[str | None], list[str]], tar: Callable[[str], BinaryIO]
    ) -> None:
        self._paths = paths
        self._chain = chain
        self._tar = tar

    def take(self, snapshot: str, stream: Stream) -> Applied:
        """Take a layer's tar in, and write its image."""
        with _told(), self._spare(snapshot, fresh=True) as spare:
            tree = LayerTree(spare)
            with eager(self._paths.file(snapshot, TAR)) as file:
                tree.read(Reader(Tee(stream, file)))
                size = file.tell()
            self._write(snapshot, tree.finish(size))
            return tree.applied

    def settle(self, snapshot: str, parent: str | None, applied: Applied) -> int:
        """Write the image of a layer anew if its parent changes what that shows; return the layer's size."""
        is_base = parent is None
        if not settling.has_to_settle(applied, is_base=is_base) or self._is_settled(snapshot, parent, applied):
            return applied.size
        with _told(), self._spare(snapshot, fresh=False) as spare:
            with self.open(snapshot) as earlier:
                image = self._made(snapshot, parent, spare, earlier)
            self._write(snapshot, image)
            return image.size

    def open(self, snapshot: str) -> Image:
        """Open a layer's image.

        Raises:
            DataLoss: it is not there, or not as it was written.
        """
        path = self._paths.file(snapshot, IMAGE)
        try:
            return Image(path)
        except OSError as error:
            if is_want(error):
                raise
            raise DataLoss(f"{path}: {error.strerror}") from error

    def usage(self, snapshot: str) -> int:
        """Return the bytes of a layer's files and links; see `open` for what is raised."""
        with self.open(snapshot) as image:
            return image.usage()

    def damages(self, snapshot: str) -> Iterator[str]:
        """Yield what is wrong with the files that a layer has beside its tar, a line each."""
        where = f"erofs/{snapshot}"
        if not os.path.isfile(self._paths.file(snapshot, TAR)):
            yield f"{where}/{TAR} is missing"
        try:
            with Image(self._paths.file(snapshot, IMAGE)) as image:
                devices = image.devices
        except (OSError, ImageDamaged) as error:
            why = f": {error.strerror}" if isinstance(error, OSError) else ""
            yield f"{where}/{IMAGE} is damaged or missing{why}"
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

    def make_again(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        """Make what a layer has beside its tar anew, each file in one durable step; see `Driver.mend`."""
        data, path = self._paths.file(snapshot, DATA), self._paths.file(snapshot, IMAGE)
        remove_tree(data + _NEW)
        with Spare(data + _NEW, fresh=True) as spare:
            image = self._made(snapshot, parent, spare)
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

    def _is_settled(self, snapshot: str, parent: str | None, applied: Applied) -> bool:
        with Image(self._paths.file(snapshot, IMAGE)) as image, self._below(parent) as below:
            return settling.is_settled(image, below, applied)

    @contextlib.contextmanager
    def _below(self, parent: str | None) -> Iterator[Union]:
        """Open the images of a layer and all below it."""
        with contextlib.ExitStack() as stack:
            chain = self._chain(parent)[::-1]
            yield Union([stack.enter_context(Image(self._paths.file(layer, IMAGE))) for layer in chain])

    def _made(self, snapshot: str, parent: str | None, spare: Spare, earlier: Image | None = None) -> Writer:
        """Return a layer's image, made from its tar and from what it stands on."""
        tree = LayerTree(spare, earlier)
        with self._tar(snapshot) as file:
            tree.read(Reader(file))
            size = file.seek(0, os.SEEK_END)
        if settling.has_to_settle(tree.applied, is_base=parent is None):
            spare.fresh = True
            with self._below(parent) as below:
                devices = [self._paths.devices(layer) for layer in self._chain(parent)[::-1]]
                settling.settle(tree, below, devices, spare)
        return tree.finish(size)

    def _spare(self, snapshot: str, *, fresh: bool) -> Spare:
        return Spare(self._paths.file(snapshot, DATA), fresh=fresh)

    def _write(self, snapshot: str, image: Writer) -> None:
        """Write the image of a layer that nothing refers to yet: its caller makes all of it durable at once."""
        with open(self._paths.file(snapshot, IMAGE), "wb", opener=_private) as file:
            image.write(file)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say in our words that the disk is full, or refuses otherwise."""
    try:
        yield
    except OSError as error:
        raise refused(error, os.path.basename(os.fsencode(error.filename or IMAGE))) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
