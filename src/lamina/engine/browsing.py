"""Files of images, read from the indexes of their layers: nothing is mounted, no right is needed but to read the store.

Owners, modes, times and attributes are those of the layers' tars, whatever the store could keep of them.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from ..errors import InvalidArgument
from ..filetree import File
from ..layers.files import open_content
from ..layers.layers import Layer
from ..oci import digest
from ..store.names import find
from ..store.store import Store


class FileInfo(msgspec.Struct, frozen=True, gc=False):
    """A file of an image.

    Attributes:
        path: from the image's root, without a slash before it; raw bytes. Empty for the root itself.
        mode: kind and permissions, as in `os.stat_result.st_mode`.
        uid: of its owner.
        gid: of its group.
        size: bytes of its content.
        mtime: nanoseconds since the epoch.
        target: of a symbolic link.
        device: major and minor number of a device.
        xattrs: name to value.
        identity: the same for all names of one file.
    """

    path: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] = {}
    identity: tuple[int, int] = (0, -1)


class Tree:
    """The files of an image.

    Args:
        store: where the image is.
        image: its name or id.

    Raises:
        ImageNotFound: there is no such image.
        LayerDamaged: what is known of a layer cannot be read.
    """

    def __init__(self, store: Store, image: str) -> None:
        self._store = store
        self._layers: list[Layer] = []
        for chain_id in digest.chains(store.images.get(find(store, image)).diff_ids):
            self._layers.append(store.layers.get(chain_id))
        self._union = store.indexes.open(self._layers)

    def find(self, path: str | bytes, *, follow: bool = True) -> File:
        """Return what a path leads to; links are followed inside of the image. See `Union.find`."""
        return self._union.find(os.fsencode(path), follow=follow)

    def names(self, folder: File) -> Iterator[File]:
        """Yield what is in a directory, by name."""
        return self._union.names(folder)

    def walk(self, folder: File) -> Iterator[File]:
        """Yield all that is below a directory, parents first and names sorted."""
        return self._union.walk(folder)

    def open(self, file: File) -> BinaryIO:
        """Open a regular file; see `open_file`."""
        if not file.inode.is_regular:
            raise InvalidArgument(f"/{os.fsdecode(file.path)}: {_kind(file)}")
        return open_content(self._store.layers, self._layers[file.layer], self._union.images[file.layer], file)


def _kind(file: File) -> str:
    return "Is a directory" if file.inode.is_directory else "not a regular file"


def info(file: File) -> FileInfo:
    """Return what there is to say of a file."""
    one = file.inode
    return FileInfo(
        file.path, one.mode, one.uid, one.gid, file.size, one.mtime, file.target, one.device, file.xattrs, file.identity
    )


def names(store: Store, image: str, path: str, *, deep: bool = False) -> Iterator[FileInfo]:
    """Yield what is in a directory of an image by name, or the one file that a path names.

    Args:
        store: where the image is.
        image: its name or id.
        path: in the image.
        deep: also what is in directories in it, each after its directory.

    Raises:
        ImageNotFound: there is no such image.
        NotFound: there is nothing at the path.
    """
    tree = Tree(store, image)
    file = tree.find(path, follow=path.endswith("/"))
    if file.inode.is_directory:
        return map(info, tree.walk(file) if deep else tree.names(file))
    return iter([info(file)])


def open_file(store: Store, image: str, path: str) -> BinaryIO:
    """Open the content of a file of an image, to read once from its beginning; the caller closes it.

    Links are followed inside of the image. What was read is verified by the read that meets the end.

    Raises:
        ImageNotFound: there is no such image.
        NotFound: there is nothing at the path.
        InvalidArgument: it is no regular file.
        LayerDamaged: also from `read`: it is not what came with the layer.
    """
    tree = Tree(store, image)
    return tree.open(tree.find(path))
