"""Images read without a mount, and without a right to mount."""

import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from typing import cast

import msgspec

from ..errors import DataLoss
from ..files import open_regular
from . import layout
from .layout import (
    BLOCK,
    BLOCK_BITS,
    CHUNK,
    CHUNKS,
    DEVICE,
    DIRENT,
    HOLE,
    INLINE,
    INODE,
    SLOT,
    SUPER,
    UUID_OFFSET,
    XATTR,
    XATTRS,
    Device,
)

_LARGEST = 1 << 41
_NAMES = {number: prefix for prefix, number in layout.PREFIXES.items()}


class ImageDamaged(DataLoss):
    """An image is not what was written."""


class Inode(msgspec.Struct, frozen=True, gc=False):
    """An inode of an image.

    Attributes:
        number: by which it is found.
        mode: kind and permissions, as in `os.stat_result.st_mode`.
        mtime: nanoseconds since 1970.
        place: as the format has it; of a device, its number.
        order: its number for programs of 32 bits.
        links: its names.
    """

    number: int
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    form: int = 0
    place: int = 0
    attributes: int = 0
    order: int = 0
    links: int = 1

    @property
    def kind(self) -> int:
        """Its kind alone, as in the mode."""
        return self.mode & 0o170000

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_device(self) -> bool:
        """Whether it is a character or block device."""
        return stat.S_ISCHR(self.mode) or stat.S_ISBLK(self.mode)

    @property
    def is_whiteout(self) -> bool:
        """Whether it stands for an absence, as overlayfs has it: the character device 0:0."""
        return stat.S_ISCHR(self.mode) and not self.place

    @property
    def device(self) -> tuple[int, int]:
        """Of a device, its major and minor number; 0 of anything else."""
        if not self.is_device:
            return 0, 0
        return self.place >> 8 & 0xFFF, self.place & 0xFF | self.place >> 12 & ~0xFF

    @property
    def chunk_bits(self) -> int:
        """Of a file, the power of two of blocks in a chunk."""
        return self.place & 0x1F if self.form == CHUNKS else 0


class Image:
    """An image in a file, mapped into memory, or in `data`: a context manager.

    All of it is compared with the digest that it bears before any of it is believed.

    Raises:
        ImageDamaged: it is not what was written.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, data: bytes | None = None) -> None:
        self._map = _mapped(path) if data is None else data
        try:
            self._check(path)
        except BaseException:
            self.close()
            raise
        fields = SUPER.unpack_from(self._map, layout.SUPER_OFFSET)
        self._shared = fields[11] * BLOCK
        self._checksums = fields[9] * BLOCK
        if len(self._map) != self._checksums + fields[6] * layout.CHECKSUM:
            self.close()
            raise ImageDamaged(f"{path} is of another version: `lamina system check --repair` writes it anew")
        self.root = self.inode(fields[5])
        slots = (DEVICE.unpack_from(self._map, layout.DEVICE_OFFSET + at * DEVICE.size) for at in range(fields[16]))
        self.devices = [Device(blocks, tag.rstrip(b"\0").decode("ascii")) for tag, blocks, _ in slots]
        """The files that contents lie in."""

    def __enter__(self) -> "Image":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()

    def _check(self, path: str) -> None:
        if len(self._map) < layout.ROOT_OFFSET + INODE.size:
            raise ImageDamaged(f"{path} is damaged: it has not the size of an EROFS image")
        with memoryview(self._map) as image:
            found = hashlib.sha256(image[:UUID_OFFSET])
            found.update(bytes(16))
            found.update(image[UUID_OFFSET + 16 :])
            if found.digest()[:16] != image[UUID_OFFSET : UUID_OFFSET + 16]:
                raise ImageDamaged(f"{path} is damaged: it does not have the digest that it names")

    def inode(self, number: int) -> Inode:
        """Return an inode by its number."""
        form, attributes, mode, _, size, place, order, uid, gid, seconds, nanoseconds, links, _, _ = INODE.unpack_from(
            self._map, number * SLOT
        )
        mtime = seconds * 1_000_000_000 + nanoseconds
        return Inode(number, mode, uid, gid, mtime, size, form & ~1, place, attributes, order, links)

    def checksum(self, order: int) -> int:
        """Return the checksum of an inode's content: see `tar.checksum`; `has_holes` says which of the two."""
        at = self._checksums + order * layout.CHECKSUM
        return int.from_bytes(self._map[at : at + layout.CHECKSUM], "little")

    def find(self, folder: Inode, name: bytes) -> Inode | None:
        """Return what a directory has under a name."""
        low, high = 0, (folder.size + BLOCK - 1) // BLOCK
        while low < high:  # the last block whose first name is not greater
            middle = (low + high) // 2
            if next(self._entries(folder, middle))[0] <= name:
                low = middle + 1
            else:
                high = middle
        for found, number in self._entries(folder, low - 1) if low else ():
            if found == name:
                return self.inode(number)
        return None

    def names(self, folder: Inode) -> Iterator[tuple[bytes, Inode]]:
        """Yield what is in a directory, sorted by name."""
        for block in range((folder.size + BLOCK - 1) // BLOCK):
            for name, number in self._entries(folder, block):
                if name not in (b".", b".."):
                    yield name, self.inode(number)

    def _entries(self, folder: Inode, block: int) -> Iterator[tuple[bytes, int]]:
        """Yield names and inode numbers of one block of a directory."""
        start, size = self._block(folder, block)
        number, at, _, _ = DIRENT.unpack_from(self._map, start)
        count = at // DIRENT.size
        for index in range(1, count + 1):
            after, end = number, size
            if index < count:
                after, end, _, _ = DIRENT.unpack_from(self._map, start + index * DIRENT.size)
            yield self._map[start + at : start + end].rstrip(b"\0"), number
            number, at = after, end

    def _block(self, inode: Inode, block: int) -> tuple[int, int]:
        """Return where a block of an inode's content is in the image, and how many bytes of it there are."""
        size = min(inode.size - block * BLOCK, BLOCK)
        if inode.form == INLINE and block == inode.size // BLOCK:
            return self._after_xattrs(inode), size
        return (inode.place + block) * BLOCK, size

    def _after_xattrs(self, inode: Inode) -> int:
        attributes = XATTRS.size + 4 * (inode.attributes - 1) if inode.attributes else 0
        return inode.number * SLOT + INODE.size + attributes

    def usage(self) -> int:
        """Return the bytes of all files and links, each inode once (`Writer.size`)."""
        total = 0
        linked: dict[int, int] = {}
        todo = [self.root]
        while todo:
            for _, inode in self.names(todo.pop()):
                if inode.is_directory:
                    todo.append(inode)
                elif inode.links > 1:
                    linked[inode.number] = inode.size
                else:
                    total += inode.size
        return total + sum(linked.values())

    def target(self, link: Inode) -> bytes:
        """Return what a symbolic link says."""
        places = [self._block(link, block) for block in range((link.size + BLOCK - 1) // BLOCK)]
        return b"".join([self._map[start : start + size] for start, size in places])

    def xattrs(self, inode: Inode) -> dict[bytes, bytes]:
        """Return an inode's extended attributes, by name."""
        if not inode.attributes:
            return {}
        at = inode.number * SLOT + INODE.size
        end = self._after_xattrs(inode)
        shared = XATTRS.unpack_from(self._map, at)[1]
        at += XATTRS.size
        found: dict[bytes, bytes] = {}
        for _ in range(shared):
            number = int.from_bytes(self._map[at : at + 4], "little")
            self._xattr(self._shared + 4 * number, found)
            at += 4
        while at < end:
            at = self._xattr(at, found)
        return found

    def _xattr(self, at: int, found: dict[bytes, bytes]) -> int:
        """Read an attribute; return where the next one is."""
        length, prefix, size = cast("tuple[int, int, int]", XATTR.unpack_from(self._map, at))
        at += XATTR.size
        found[_NAMES[prefix] + self._map[at : at + length]] = self._map[at + length : at + length + size]
        return at + -(-(length + size) // 4) * 4

    def pieces(self, file: Inode) -> Iterator[tuple[int, int, int, int]]:
        """Yield the pieces of a file that are no holes: offset, size, device, and where in the device they are."""
        if file.form != CHUNKS:
            return
        step = 1 << file.chunk_bits + BLOCK_BITS
        table = -(-self._after_xattrs(file) // CHUNK.size) * CHUNK.size
        for number, offset in enumerate(range(0, file.size, step)):
            _, device, block = CHUNK.unpack_from(self._map, table + number * CHUNK.size)
            if block != HOLE:
                yield offset, min(step, file.size - offset), device, block * BLOCK

    def has_holes(self, file: Inode) -> bool:
        """Tell whether a part of a file is in no device."""
        return file.size > sum(size for _, size, _, _ in self.pieces(file))


def _mapped(path: str) -> "mmap.mmap | bytes":
    fd = open_regular(path)
    try:
        size = os.fstat(fd).st_size
        if size >= _LARGEST:
            raise ImageDamaged(f"{path} is damaged: it has not the size of an EROFS image")
        return mmap.mmap(fd, 0, prot=mmap.PROT_READ) if size else b""
    finally:
        os.close(fd)
