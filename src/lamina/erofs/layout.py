"""The on-disk format of EROFS, as far as it is used here: blocks of 512 bytes, because a tar's are.

    0     1024  zeros
    1024   128  superblock
    1152   128  device 1: `TAR`
    1280   128  device 2: `DATA`; zeros where the image has one device
    1408    64  inode of the root, number 44
    1472        inodes: each a multiple of 32 bytes, its number the offset in the image divided by 32
                  64 bytes of metadata
                  attributes: a header, numbers of shared ones, then its own
                  of a file with content: 8 bytes a chunk, which device and which block
                  of a directory or link: the part of its content that fills no block, if it fits into this one
    ...         attributes that several inodes share
    ...         blocks of directories, sorted by name; of long links
    ...         not EROFS's: checksums of contents, 8 bytes an inode, in the order of the numbers in their metadata

All numbers are little-endian. Images are the same for the same tree: they bear no date, and their UUID is the beginning
of the SHA-256 of the image with a UUID of zeros, by which damage is found.

Source: the kernel's Documentation/filesystems/erofs.rst and its on-disk definitions. docs/formats/erofs.md draws it.
"""

import struct
from typing import Final, NamedTuple

BLOCK_BITS: Final = 9
BLOCK: Final = 1 << BLOCK_BITS
SLOT: Final = 32
"""The unit of inode numbers, in bytes."""

MAGIC: Final = 0xE0F5E1E2
SUPER_OFFSET: Final = 1024
SUPER = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQ24x")
"""Magic, checksum, compatible features, bits of the block size, more slots, root, number of inodes, time of making,
its nanoseconds, blocks, block of inode 0, block of shared attributes, UUID, name, incompatible features, compression,
devices, first device slot, bits of directory blocks, prefixes, their start, inode of fragments."""

UUID_OFFSET: Final = SUPER_OFFSET + 48
HAS_MTIMES: Final = 2
NEEDS_CHUNKS_AND_DEVICES: Final = 4 | 8

DEVICE = struct.Struct("<64sII56x")
"""A tag (here a digest in hex, or nothing), blocks, and where they are mapped (nowhere)."""

DEVICE_OFFSET: Final = SUPER_OFFSET + SUPER.size
TAR: Final = 1
DATA: Final = 2
"""The devices: the tar, and what it does not hold as it is to be seen."""

ROOT_OFFSET: Final = DEVICE_OFFSET + 2 * DEVICE.size

INODE = struct.Struct("<HHHHQIIIIQIIQQ")
"""Format, attributes, mode, reserved, size, place, number, user, group, seconds, nanoseconds, links, reserved."""

NLINK_OFFSET: Final = 44
PLACE_OFFSET: Final = 16
SIZE_OFFSET: Final = 8

EXTENDED: Final = 1
FLAT, INLINE, CHUNKS = 0, 2 << 1, 4 << 1
"""How content is laid out: blocks of the image, the same with its end in the inode, chunks of devices."""

CHUNK = struct.Struct("<HHI")
"""Reserved, device, block."""

CHUNK_HAS_DEVICE: Final = 0x20
MAX_CHUNK_BITS: Final = 22
"""Of blocks in a chunk: 2 GiB."""

HOLE: Final = 0xFFFFFFFF
"""The block of a chunk that is all zeros. It bounds a device: 2 TiB."""

DIRENT = struct.Struct("<QHBB")
"""Inode, offset of the name in the block, type, reserved. Names follow the last one, each up to the next."""

REGULAR, DIRECTORY, CHARACTER, BLOCK_DEVICE, FIFO, SOCKET, SYMLINK = range(1, 8)
"""Types of inodes in directories."""

MODES: Final = {
    REGULAR: 0o100000,
    DIRECTORY: 0o040000,
    CHARACTER: 0o020000,
    BLOCK_DEVICE: 0o060000,
    FIFO: 0o010000,
    SOCKET: 0o140000,
    SYMLINK: 0o120000,
}
"""The same in an inode's mode (stat(2))."""

KINDS: Final = {mode: kind for kind, mode in MODES.items()}
"""Types by what the mode says."""

XATTRS = struct.Struct("<IB7x")
"""Filter of names (unused), number of shared attributes; their numbers follow, four bytes each, then the own ones."""

XATTR = struct.Struct("<BBH")
"""Length of the name without its prefix, prefix, length of the value; padded with both to four bytes."""

PREFIXES: Final = {
    b"user.": 1,
    b"system.posix_acl_access": 2,
    b"system.posix_acl_default": 3,
    b"trusted.": 4,
    b"security.": 6,
}
MAX_SHARED: Final = 255
MAX_XATTRS: Final = 12 + 4 * 65534
"""Bytes of an inode's attributes."""


CHECKSUM: Final = 8
"""Bytes of a checksum, behind the blocks of the image: the kernel does not look there."""


class Device(NamedTuple):
    """A file that contents lie in: its size in blocks, and a digest in hex where its owner gives one."""

    blocks: int
    digest: str = ""


def device_number(major: int, minor: int) -> int:
    """Return a device as the kernel encodes it on disks."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def xattr(key: bytes, value: bytes) -> bytes:
    """Return an attribute as it is written; its name has one of `PREFIXES`."""
    prefix, name = split(key)
    entry = XATTR.pack(len(name), prefix, len(value)) + name + value
    return entry + bytes(-len(entry) % 4)


def split(key: bytes) -> tuple[int, bytes]:
    """Return the number of the prefix that an attribute's name has, 0 where that is none, and the rest of the name."""
    for prefix, number in PREFIXES.items():
        if key.startswith(prefix):
            return number, key[len(prefix) :]
    return 0, key
