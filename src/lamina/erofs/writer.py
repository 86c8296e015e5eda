"""Images made: inodes are packed as they come, directories when all have come.

    image = Writer()
    root = Folder(Meta())
    root.names[b"etc"] = etc = Folder(Meta(0o755))
    etc.names[b"passwd"] = image.file(Meta(0o644), size=42, block=3)
    image.finish(root, [Device(blocks=5)])
    image.write(file)

What is held in memory is the image itself, and the names. An inode that no name leads to in the end stays in the image
as some unused bytes.
"""

import hashlib
import sys
from array import array
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import NamedTuple

from ..errors import InvalidArgument
from ..streams import Writer as Target
from . import layout
from .directory import Folder, Meta, Node, fitting, pack
from .layout import (
    BLOCK,
    BLOCK_BITS,
    CHUNK,
    CHUNK_HAS_DEVICE,
    CHUNKS,
    DEVICE,
    DIRECTORY,
    EXTENDED,
    FLAT,
    HOLE,
    INLINE,
    INODE,
    MAX_CHUNK_BITS,
    NLINK_OFFSET,
    PLACE_OFFSET,
    REGULAR,
    ROOT_OFFSET,
    SIZE_OFFSET,
    SLOT,
    SUPER,
    SYMLINK,
    XATTRS,
    Device,
)

_SECOND = 1_000_000_000
_ONE_CHUNK = Struct("<H2xH2xQIIIIQII18xHI24x")  # `INODE` and `CHUNK` without what is 0, up to the next slot
_FILE_MODE = layout.MODES[REGULAR]


class TooLarge(InvalidArgument):
    """Something is beyond what the format can hold."""


class Writer:
    """An image in the making.

    Attributes:
        size: bytes of all files and links that have a name, each inode once.
    """

    def __init__(self) -> None:
        self._inodes = bytearray(ROOT_OFFSET + INODE.size)
        self._blocks = bytearray()
        self._placed: list[int] = []  # where in `_inodes` a place in `_blocks` is named
        self._shared = bytearray()
        self._attributes: dict[tuple[bytes, bytes], int] = {}  # where in `_shared`, or -1
        self._checksums = array("Q")  # of each inode, in the order in which they came
        self.size = 0

    @property
    def count(self) -> int:
        """The number of inodes."""
        return len(self._checksums)

    def file(self, meta: Meta, size: int, block: int, device: int = layout.TAR, checksum: int = 0) -> Node:
        """Add a file whose content lies in one piece.

        Args:
            meta: of the file.
            size: bytes.
            block: of the device, where it begins.
            device: which.
            checksum: of the content.

        Raises:
            TooLarge: it lies beyond 2 TiB.
        """
        count = (size + BLOCK - 1) >> BLOCK_BITS
        bits = (count - 1).bit_length()
        if not count or bits > MAX_CHUNK_BITS or meta.xattrs or block >= HOLE:
            bits = min(bits, MAX_CHUNK_BITS)
            return self.chunks(meta, size, bits, range(block, block + count, 1 << bits), device, checksum)
        inodes = self._inodes
        number = len(inodes) >> 5
        seconds, nanoseconds = divmod(meta.mtime, _SECOND)
        inodes += _ONE_CHUNK.pack(
            EXTENDED | CHUNKS, _FILE_MODE | meta.mode, size, CHUNK_HAS_DEVICE | bits, len(self._checksums),
            meta.uid, meta.gid, seconds, nanoseconds, 1, device, block,
        )  # fmt: skip
        self._checksums.append(checksum)
        self.size += size
        return number << 3 | REGULAR

    def chunks(self, meta: Meta, size: int, bits: int, blocks: Iterable[int], device: int, checksum: int = 0) -> Node:
        """Add a file by its chunks.

        Args:
            meta: of the file.
            size: bytes.
            bits: a chunk has as many blocks as this power of two.
            blocks: of the device, where each chunk begins; `HOLE` for one of zeros.
            device: which.
            checksum: of the content.

        Raises:
            TooLarge: a chunk lies beyond 2 TiB.
        """
        table: list[bytes] = []
        for block in blocks:
            if block > HOLE:
                raise TooLarge("a file lies beyond the 2 TiB that an EROFS image of a layer can name")
            table.append(CHUNK.pack(0, device if block != HOLE else 0, block))
        self.size += size
        if not table:
            return self._add(REGULAR, meta, FLAT, 0, size)
        node = self._add(REGULAR, meta, CHUNKS, CHUNK_HAS_DEVICE | bits, size, b"".join(table))
        self._checksums[-1] = checksum
        return node

    def symlink(self, meta: Meta, target: bytes) -> Node:
        """Add a symbolic link."""
        self.size += len(target)
        return self._with_content(SYMLINK, meta, target).number << 3 | SYMLINK

    def special(self, meta: Meta, kind: int, major: int = 0, minor: int = 0) -> Node:
        """Add a device or a pipe; `kind` is its type in directories."""
        return self._add(kind, meta, FLAT, layout.device_number(major, minor), 0)

    def link(self, node: Node) -> None:
        """Count another name of an inode."""
        self._count(node, 1)

    def unlink(self, node: Node) -> None:
        """Count a name less."""
        if not self._count(node, -1) and node & 7 in (REGULAR, SYMLINK):
            self.size -= self._read(node, SIZE_OFFSET, 8)

    def target(self, node: Node) -> bytes:
        """Return what a symbolic link says."""
        size = self._read(node, SIZE_OFFSET, 8)
        if not self._read(node, 0, 2) & INLINE:
            start = self._read(node, PLACE_OFFSET, 4) * BLOCK
            return bytes(self._blocks[start : start + size])
        attributes = self._read(node, 2, 2)
        start = (node >> 3) * SLOT + INODE.size + (XATTRS.size + 4 * (attributes - 1) if attributes else 0)
        return bytes(self._inodes[start : start + size])

    def is_whiteout(self, node: Node) -> bool:
        """Tell whether an inode stands for an absence, as overlayfs has it: the character device 0:0."""
        return node & 7 == layout.CHARACTER and not self._read(node, PLACE_OFFSET, 4)

    def finish(self, root: Folder, devices: list[Device]) -> None:
        """Add the directories; nothing can be added after them.

        Args:
            root: the directory that all others are below.
            devices: in the order of their numbers.

        Raises:
            TooLarge: a device has more than 2 TiB.
        """
        for folder in reversed(root.below()):
            self._directory(folder, is_root=folder is root)
        self._inodes += bytes(-len(self._inodes) % BLOCK)
        self._shared += bytes(-len(self._shared) % BLOCK)
        shared = len(self._inodes) // BLOCK
        first = shared + len(self._shared) // BLOCK
        for at in self._placed:
            _put(self._inodes, at, 4, first + int.from_bytes(self._inodes[at : at + 4], "little"))
        if any(device.blocks > HOLE for device in devices):
            raise TooLarge("a tar of more than the 2 TiB that an EROFS image of a layer can name")
        for number, device in enumerate(devices):
            at = layout.DEVICE_OFFSET + number * DEVICE.size
            DEVICE.pack_into(self._inodes, at, device.digest.encode(), device.blocks, 0)
        SUPER.pack_into(
            self._inodes, layout.SUPER_OFFSET, layout.MAGIC, 0, layout.HAS_MTIMES, BLOCK_BITS, 0, ROOT_OFFSET // SLOT,
            self.count, 0, 0, first + len(self._blocks) // BLOCK, 0, shared, bytes(16), bytes(16),
            layout.NEEDS_CHUNKS_AND_DEVICES, 0, len(devices), layout.DEVICE_OFFSET // DEVICE.size, 0, 0, 0, 0,
        )  # fmt: skip
        if sys.byteorder == "big":
            self._checksums.byteswap()
        uuid = hashlib.sha256(self._inodes)
        for part in (self._shared, self._blocks, self._checksums):
            uuid.update(part)
        self._inodes[layout.UUID_OFFSET : layout.UUID_OFFSET + 16] = uuid.digest()[:16]

    def write(self, target: Target) -> None:
        """Write the finished image."""
        for part in (self._inodes, self._shared, self._blocks, self._checksums):
            target.write(memoryview(part).cast("B"))

    def _directory(self, folder: Folder, *, is_root: bool) -> None:
        """Add a directory, whose folders have been added, and tell them where they are."""
        content, here, above = pack(folder)
        inner = folder.folders()
        place = self._with_content(DIRECTORY, folder.meta, content, 2 + len(inner), is_root=is_root)
        folder.number = place.number
        folder.above = place.find(above)
        _put(*place.find(here), 8, folder.number)
        for one in (*inner, *([folder] if is_root else [])):
            _put(*one.above, 8, folder.number)

    def _with_content(
        self, kind: int, meta: Meta, content: bytes | bytearray, links: int = 1, *, is_root: bool = False
    ) -> "_Place":
        """Add an inode with content in the image: its last part in the inode if it fits, all else in blocks.

        A link is in one place, where `target` finds it.
        """
        xattrs = self._xattrs(meta.xattrs)
        head = INODE.size + len(xattrs)
        size, start = len(content), len(self._blocks)
        whole = size - size % BLOCK
        in_blocks = is_root or size == whole or (kind == SYMLINK and whole)
        at = -1 if in_blocks else fitting(len(self._inodes), head, size - whole)
        if at < 0:
            self._blocks += content
            self._blocks += bytes(-size % BLOCK)
            form, whole = FLAT, size
        else:
            self._blocks += content[:whole]
            self._inodes += bytes(at - len(self._inodes))
            form = INLINE
        if is_root:
            self._inodes[ROOT_OFFSET : ROOT_OFFSET + INODE.size] = self._inode(
                kind, meta, form, start // BLOCK, size, b"", links
            )
            number = ROOT_OFFSET // SLOT
        else:
            number = self._add(kind, meta, form, start // BLOCK, size, content[whole:], xattrs, links) >> 3
        if whole:
            self._placed.append(number * SLOT + PLACE_OFFSET)
        return _Place(number, self._blocks, start, whole, self._inodes, number * SLOT + head)

    def _add(
        self,
        kind: int,
        meta: Meta,
        form: int,
        place: int,
        size: int,
        tail: bytes | bytearray = b"",
        xattrs: bytes | None = None,
        links: int = 1,
    ) -> Node:
        """Add an inode with its attributes, and what follows them."""
        inodes = self._inodes
        xattrs = self._xattrs(meta.xattrs) if xattrs is None else xattrs
        number = len(inodes) // SLOT
        inodes += self._inode(kind, meta, form, place, size, xattrs, links)
        inodes += xattrs
        if form == CHUNKS:
            inodes += bytes(-len(inodes) % CHUNK.size)
        inodes += tail
        inodes += bytes(-len(inodes) % SLOT)
        return number << 3 | kind

    def _inode(self, kind: int, meta: Meta, form: int, place: int, size: int, xattrs: bytes, links: int) -> bytes:
        seconds, nanoseconds = divmod(meta.mtime, _SECOND)
        attributes = (len(xattrs) - XATTRS.size) // 4 + 1 if xattrs else 0
        mode = layout.MODES[kind] | meta.mode
        head = (EXTENDED | form, attributes, mode, 0, size, place, self.count)
        self._checksums.append(0)
        return INODE.pack(*head, meta.uid, meta.gid, seconds, nanoseconds, links, 0, 0)

    def _xattrs(self, xattrs: Mapping[bytes, bytes]) -> bytes:
        """Return attributes as they follow an inode; what another inode has had before is shared from now on."""
        if not xattrs:
            return b""
        shared: list[int] = []
        own: list[bytes] = []
        for key, value in sorted(xattrs.items()):
            found = self._attributes.get((key, value))
            if found is None or len(shared) == layout.MAX_SHARED:
                self._attributes.setdefault((key, value), -1)
                own.append(layout.xattr(key, value))
                continue
            if found < 0:
                found = self._attributes[key, value] = len(self._shared)
                self._shared += layout.xattr(key, value)
            shared.append(found // 4)
        numbers = b"".join([number.to_bytes(4, "little") for number in shared])
        whole = XATTRS.pack(0, len(shared)) + numbers + b"".join(own)
        if len(whole) > layout.MAX_XATTRS:
            raise TooLarge(f"{len(whole)} bytes of extended attributes: an EROFS inode takes {layout.MAX_XATTRS}")
        return whole

    def _read(self, node: Node, offset: int, size: int) -> int:
        at = (node >> 3) * SLOT + offset
        return int.from_bytes(self._inodes[at : at + size], "little")

    def _count(self, node: Node, more: int) -> int:
        """Change the number of names of an inode; return it."""
        count = self._read(node, NLINK_OFFSET, 4) + more
        _put(self._inodes, (node >> 3) * SLOT + NLINK_OFFSET, 4, count)
        return count


class _Place(NamedTuple):
    """Where an inode is, and its content: the first `whole` bytes in blocks, the rest after the inode."""

    number: int
    blocks: bytearray
    start: int
    whole: int
    inodes: bytearray
    tail: int

    def find(self, offset: int) -> tuple[bytearray, int]:
        """Return where a byte of the content is."""
        if offset < self.whole:
            return self.blocks, self.start + offset
        return self.inodes, self.tail + offset - self.whole


def _put(buffer: bytearray, at: int, size: int, number: int) -> None:
    buffer[at : at + size] = number.to_bytes(size, "little")
