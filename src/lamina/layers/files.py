"""The files of layers, read without a mount: their indexes, and contents one by one.

An index (`filetree.index`) is made when it is first asked for, from what the store knows of the layer's tar, and kept
as the file `<hex of the chain id>` in a folder that may be removed at any time. One that is damaged or of another
version is made anew; where it cannot be kept, it is made each time. Those of layers that are gone go with the next one.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from fastcrc import crc64

from ..filetree import File, Index, index
from ..filetree.index import IndexDamaged
from ..oci import digest
from ..oci.digest import Digest
from ..streams import CHUNK
from .layers import Layer, LayerDamaged, Layers

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ZEROS = bytes(CHUNK)


class Indexes:
    """The indexes of some layers, in the folder `home`, which is made when something comes into it."""

    def __init__(self, home: str, layers: Layers) -> None:
        self._home = home
        self._layers = layers

    def get(self, layer: Layer) -> Index:
        """Return the index of a layer.

        Raises:
            LayerDamaged: the layer's tar is not known any more.
        """
        path = self._path(layer.chain_id)
        with contextlib.suppress(OSError, IndexDamaged), open(path, "rb") as file:
            return index.decode(file.read())
        data = index.build(self._layers.outline(layer))
        with contextlib.suppress(OSError):  # no right, or no room
            self._put(path, data)
        return index.decode(data)

    def drop(self, chain_id: Digest) -> None:
        """Remove the index of a layer that goes; an absent one without error."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(chain_id))

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


def open_content(layers: Layers, layer: Layer, file: File) -> BinaryIO:
    """Open the content of a regular file of a layer, to read once from its beginning; the caller closes it.

    Raises:
        LayerDamaged: it is not there; or, from the read that meets the end, it is not what came with the layer.
    """
    fd, is_tar = layers.open_file(layer, file.place)
    pieces = _pieces(fd, layer, file, file.node.offset if is_tar else None)
    return cast(BinaryIO, io.BufferedReader(_Content(fd, pieces), CHUNK))


class _Content(io.RawIOBase):
    """A file over the pieces that are read from a descriptor, which it closes."""

    def __init__(self, fd: int, pieces: Iterator[bytes]) -> None:
        self._fd = fd
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
            os.close(self._fd)
        super().close()


def _pieces(fd: int, layer: Layer, file: File, packed: int | None) -> Iterator[bytes]:
    """Yield what is stored of a file's content, and zeros between.

    What is stored has its place in the file, or, if it is `packed`, lies together from there on.
    """
    node = file.node
    what = f"{os.fsdecode(file.place)!r} of layer {layer.chain_id} was modified in the store"
    damage = LayerDamaged(f"{what}; load or build its image again")
    stored = [(0, node.size)] if node.more.sparse is None else node.more.sparse
    at, checksum = 0, 0
    for offset, length in [*stored, (node.size, 0)]:
        for start in range(at, offset, CHUNK):
            yield _ZEROS[: offset - start]
        at, end = offset, offset + length
        shift = 0 if packed is None else packed - at
        while at < end:
            data = os.pread(fd, min(CHUNK, end - at), at + shift)
            if not data:
                raise damage
            checksum = crc64.go_iso(data, checksum)
            at += len(data)
            yield data
        packed = None if packed is None else packed + length
    if checksum != node.checksum:
        raise damage
