"""Tars that are too large or too deep, written without holding them; sizes are the caller's."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from tests.hostile.corpus import extension, record

from lamina.compression import zstd
from lamina.tar.header import DIRECTORY, HARDLINK, Entry, blocks

_END = bytes(1024)


def wide(count: int) -> Iterator[bytes]:
    """Files in one directory."""
    return _tar(Entry(b"f%d" % at) for at in range(count))


def parted(count: int) -> Iterator[bytes]:
    """Files, each in a directory of its own."""
    for at in range(count // 2):
        yield blocks(Entry(b"d%d/" % at, DIRECTORY, 0o755)) + blocks(Entry(b"d%d/f" % at))
    yield _END


def deep(depth: int) -> Iterator[bytes]:
    """Directories in each other, a file in each after the next directory."""
    for at in range(depth):
        path = b"d/" * (at + 1)
        yield blocks(Entry(path, DIRECTORY, 0o755)) + blocks(Entry(path + b"z"))
    yield _END


def deep_at_once(depth: int) -> Iterator[bytes]:
    """A file that far down, and nothing said of the directories."""
    return _tar([Entry(b"d/" * depth + b"z")])


def deep_beside_a_link(depth: int) -> Iterator[bytes]:
    """The same as `deep`, while a hard link waits for a target that never comes."""
    yield blocks(Entry(b"a", HARDLINK, linkname=b"b"))
    yield from deep(depth)


def link_far_down(depth: int) -> Iterator[bytes]:
    """A hard link to what would be that far down."""
    return _tar([Entry(b"a", HARDLINK, linkname=b"d/" * depth + b"z")])


def zeros(size: int) -> Iterator[bytes]:
    """A file of zeros."""
    yield blocks(Entry(b"zeros", size=size))
    yield from _nothing(size)
    yield _END


def after_the_end(size: int) -> Iterator[bytes]:
    """Nothing, and then zeros."""
    yield from _nothing(size)


def pieces(count: int) -> Iterator[bytes]:
    """A file with holes, of so many pieces of no bytes."""
    numbers = b"%d\n" % count + b"".join(b"%d\n0\n" % (at * 512) for at in range(count))
    numbers += bytes(-len(numbers) % 512)
    head = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"%d" % (count * 512)))
    yield extension(b"x", b"".join(record(*one) for one in head))
    yield blocks(Entry(b"f", size=len(numbers))) + numbers + _END


def attributes(count: int) -> Iterator[bytes]:
    """Directories with a megabyte of attributes each, that the kernel does not take."""
    for at in range(count):
        yield extension(b"x", record(b"SCHILY.xattr.nothing.x", b"x" * 1_000_000))
        yield blocks(Entry(b"d%d/" % at, DIRECTORY, 0o755))
    yield _END


def _tar(entries: Iterable[Entry]) -> Iterator[bytes]:
    yield from map(blocks, entries)
    yield _END


def _nothing(size: int) -> Iterator[bytes]:
    piece = bytes(1 << 20)
    for at in range(0, size, len(piece)):
        yield piece[: size - at]


def write(made: Iterable[bytes], file: BinaryIO, compress: str = "") -> None:
    """Write a tar to a file, plain or compressed (`gzip`, `zstd`)."""
    if compress == "gzip":
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as out:
            out.writelines(made)
    elif compress == "zstd":
        stream = zstd().ZstdCompressor()
        file.writelines(stream.compress(one) for one in made)
        file.write(stream.flush())
    else:
        file.writelines(made)


FULL: dict[str, tuple[Callable[[int], Iterator[bytes]], int, str]] = {
    "1,000,000 files in a directory": (wide, 1_000_000, ""),
    "500,000 directories with a file": (parted, 1_000_000, ""),
    "10,000 deep, with files": (deep, 10_000, ""),
    "10,000 deep at once": (deep_at_once, 10_000, ""),
    "10,000 deep beside a hard link": (deep_beside_a_link, 10_000, ""),
    "a hard link 32,000 deep": (link_far_down, 32_000, ""),
    "4 GiB of zeros, gzip": (zeros, 4 << 30, "gzip"),
    "4 GiB of zeros, zstd": (zeros, 4 << 30, "zstd"),
    "4 GiB after the end, zstd": (after_the_end, 4 << 30, "zstd"),
    "1,000,000 pieces": (pieces, 1_000_000, ""),
    "2 GB of attributes": (attributes, 2_000, "zstd"),
}
"""What the long run has: by name the maker, its size, and the compression."""
