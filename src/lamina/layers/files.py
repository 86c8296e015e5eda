"""The files of layers, read without a mount: what they are, and contents one by one.

What a layer's files are stands in an EROFS image (`filetree`). A driver that keeps tars has it beside the tar. For
others it is made when it is first asked for, from what the store knows of the layer's tar, and kept as the file
`<hex of the chain id>` in a folder that may be removed at any time. One that is damaged or of another version is made
anew; where it cannot be kept, it is made each time. Those of layers that are gone go with the next one.
"""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

from ..erofs.reader import Image, ImageDamaged
from ..filetree import File, Union, index
from ..oci import digest
from ..oci.digest import Digest
from ..streams import CHUNK
from ..tar import checksum
from .layers import Layer, LayerDamaged, Layers

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ZEROS = bytes(CHUNK)


class Indexes:
    """The indexes of some layers, in the folder `home`, which is made when something comes into it."""

    def __init__(self, home: str, layers: Layers) -> None:
        self._home = home
        self._layers = layers

    def open(self, layers: Sequence[Layer]) -> Union:
        """Return what a stack of layers shows, the base first.

        Raises:
            LayerDamaged: what is known of a layer cannot be read.
        """
        images: list[Image] = []
        for layer in layers:
            keeps = self._layers.keeps_indexes
            images.append(self._layers.index(layer) if keeps else self._cached(layer, images))
        return Union(images)

    def drop(self, chain_id: Digest) -> None:
        """Remove the index of a layer that goes; an absent one without error."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(chain_id))

    def _cached(self, layer: Layer, below: list[Image]) -> Image:
        path = self._path(layer.chain_id)
        with contextlib.suppress(OSError, ImageDamaged):
            return Image(path)
        with self._layers.outline(layer) as entries:
            data = index.build(entries, below)
        with contextlib.suppress(OSError):  # no right, or no room
            self._put(path, data)
        return Image(path, data)

    def _path(self, chain_id: Digest) -> str:
        return os.path.join(self._home, digest.encoded(chain_id))

    def _put(self, path: str, data: bytes) -> None:
        """Keep an index, without waiting for the disk: one that a loss of power damages is made anew."""
        os.makedirs(self._home, 0o700, exist_ok=True)
        for name in os.listdir(self._home):
            if Digest(f"sha256:{name}") not in self._layers:
                os.unlink(os.path.join(self._home, name))
        temporary = f"{path}.{os.urandom(4).hex()}"
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
        os.rename(temporary, path)


def open_content(layers: Layers, layer: Layer, image: Image, file: File) -> BinaryIO:
    """Open the content of a regular file of a layer, to read once from its beginning; the caller closes it.

    Args:
        layers: of the store.
        layer: whose the file is.
        image: of that layer.
        file: what it is.

    Raises:
        LayerDamaged: it is not there; or, from the read that meets the end, it is not what came with the layer.
    """
    fds = layers.open_file(layer, file.path)
    where = image.pieces(file.inode) if layers.keeps_indexes else iter([(0, file.inode.size, 1, 0)])
    return cast(BinaryIO, io.BufferedReader(_Content(fds, _pieces(fds, where, layer, image, file)), CHUNK))


class _Content(io.RawIOBase):
    """A file over the pieces that are read from some descriptors, which it closes."""

    def __init__(self, fds: list[int], pieces: Iterator[bytes]) -> None:
        self._fds = fds
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        self._rest = self._rest or memoryview(next(self._pieces, b""))
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            for fd in self._fds:
                os.close(fd)
        super().close()


def _pieces(
    fds: list[int], where: Iterator[tuple[int, int, int, int]], layer: Layer, image: Image, file: File
) -> Iterator[bytes]:
    """Yield a file's content; `where` says what of it lies in which of the descriptors, and the rest are zeros."""
    what = f"{os.fsdecode(file.path)!r} of layer {layer.chain_id} was modified in the store"
    damage = LayerDamaged(f"{what}; load or build its image again")
    found = checksum.Holed() if image.has_holes(file.inode) else checksum.Whole()
    size, at = file.inode.size, 0
    for offset, length, device, position in where:
        yield from _zeros(offset - at)
        at, end = offset, offset + length
        while at < end:
            data = (
                os.pread(fds[device - 1], min(CHUNK, end - at), position + at - offset) if device <= len(fds) else b""
            )
            if not data:
                raise damage
            found.add(at, data)
            at += len(data)
            yield data
    yield from _zeros(size - at)
    if found.finish(size) != image.checksum(file.inode.order):
        raise damage


def _zeros(size: int) -> Iterator[bytes]:
    for at in range(0, size, CHUNK):
        yield _ZEROS[: size - at]
