"""Files of images, read from their layers' tars: nothing is mounted, and owners and modes are those of the tars."""

import os
from collections.abc import Iterator

import msgspec

from ..errors import InvalidArgument
from ..filetree import File, Union
from ..oci import digest
from ..store.names import find
from ..store.store import Store
from ..streams import CHUNK
from ..tar.header import REGULAR, Entry
from ..tar.reader import Reader

_ZEROS = bytes(CHUNK)


class FileInfo(msgspec.Struct, frozen=True):
    """A file of an image.

    Attributes:
        path: from the image's root, without a slash before it; raw bytes.
        mode: kind and permissions, as in `os.stat_result.st_mode`.
        uid: of its owner.
        gid: of its group.
        size: bytes of its content.
        mtime: nanoseconds since the epoch.
        target: of a symbolic link.
    """

    path: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes = b""


def names(store: Store, image: str, path: str, *, deep: bool = False) -> list[FileInfo]:
    """Return what is in a directory of an image by name, or the one file that a path names.

    Args:
        store: where the image is.
        image: its name or id.
        path: in the image.
        deep: also what is in directories in it, each after its directory.

    Raises:
        ImageNotFound: there is no such image.
        NotFound: there is nothing at the path.
    """
    tree = _tree(store, image)
    place = os.fsencode(path)
    at, file = tree.find(place, follow=False)
    if not file.is_directory and path.endswith("/"):
        at, file = tree.find(place)
    return list(_listed(tree, at, deep=deep)) if file.is_directory else [_info(at, file)]


def _listed(tree: Union, folder: bytes, *, deep: bool) -> Iterator[FileInfo]:
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        inner: list[bytes] = []
        for name, file in tree.names(at):
            path = at + b"/" + name if at else name
            yield _info(path, file)
            inner += [path] * (deep and file.is_directory)
        waiting += reversed(inner)


def _info(path: bytes, file: File) -> FileInfo:
    entry = file.entry
    return FileInfo(path, file.mode, entry.uid, entry.gid, file.size, entry.mtime, entry.linkname)


def content(store: Store, image: str, path: str) -> Iterator[bytes | memoryview]:
    """Yield the content of a file of an image; its layer is verified by the time that the last piece has come.

    Raises:
        ImageNotFound: there is no such image.
        NotFound: there is nothing at the path.
        InvalidArgument: it is no regular file.
        LayerDamaged: from the iteration.
    """
    _, file = _tree(store, image).find(os.fsencode(path))
    if file.entry.type != REGULAR:
        raise InvalidArgument(f"{path}: Is a directory" if file.is_directory else f"{path}: not a regular file")
    return _content(store, _chain_ids(store, image)[file.layer], file.number)


def _content(store: Store, chain_id: digest.Digest, number: int) -> Iterator[bytes | memoryview]:
    with store.layers.tar(store.layers.get(chain_id)) as stream:
        tar = Reader(stream)
        for at, entry in enumerate(tar):
            if at == number:
                yield from _filled(entry, tar)


def _filled(entry: Entry, tar: Reader) -> Iterator[bytes | memoryview]:
    """Yield a file's content with zeros in its holes."""
    if entry.sparse is None:
        yield from tar.content()
        return
    size, pieces = entry.sparse
    data = (memoryview(piece) for piece in tar.content())
    rest, at = memoryview(b""), 0
    for offset, length in [*pieces, (size, 0)]:
        while at < offset:
            yield _ZEROS[: offset - at]
            at += min(offset - at, len(_ZEROS))
        while at < offset + length:
            rest = rest or next(data)
            yield rest[: offset + length - at]
            rest, at = rest[offset + length - at :], at + min(offset + length - at, len(rest))


def _chain_ids(store: Store, image: str) -> list[digest.Digest]:
    return digest.chains(store.images.get(find(store, image)).diff_ids)


def _tree(store: Store, image: str) -> Union:
    tree = Union()
    for chain_id in _chain_ids(store, image):
        with store.layers.tar(store.layers.get(chain_id)) as stream:
            tree.add(Reader(stream))
    return tree
