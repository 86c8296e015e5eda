"""One tar entry's metadata, from its header blocks and to them.

    offset  size  field        offset  size  field
    0       100   name         257     8     magic and version
    100     8     mode         265     32    user name
    108     8     uid          297     32    group name
    116     8     gid          329     8     device major
    124     12    size         337     8     device minor
    136     12    mtime        345     155   name prefix (ustar)
    148     8     checksum     386     96    four sparse extents (GNU)
    156     1     type         482     1     more sparse blocks follow (GNU)
    157     100   link name    483     12    size with holes (GNU)

Numbers are octal text, or big-endian binary where the first bit is set. A pax record overrides the field of
its name, but for one without a value, as in Docker. Global pax records are read over, as Docker does: they
describe no file.
"""

import struct
import zlib
from functools import lru_cache

import msgspec

from ..errors import InvalidArgument

BLOCK = 512
REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO, CONTIGUOUS = (b"%d" % i for i in range(8))
GNU_SPARSE = b"S"
PAX, PAX_GLOBAL, PAX_SOLARIS, GNU_NAME, GNU_LINK = b"x", b"g", b"X", b"L", b"K"
V7_REGULAR = b"\0"

REGULARS = frozenset({REGULAR, V7_REGULAR, CONTIGUOUS, GNU_SPARSE})
EXTENSIONS = frozenset({PAX, PAX_GLOBAL, PAX_SOLARIS, GNU_NAME, GNU_LINK})
MAX_NAME = 1 << 16
"""The longest name or link that is read, in bytes: of a tree ten thousand deep, and far more than a path may have."""

_WITHOUT_CONTENT = frozenset({HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO})

_FIELDS = struct.Struct("100s24s12s12s8sc100s6s82x155s12x")
_ORDINARY = struct.Struct("100s24s11sc12s8scc99x6s82xc166x")  # the same of a file: links and prefixes are first bytes
_SECOND = 1_000_000_000
_MAX_OWNER = (1 << 32) - 2
_MAX_SIZE = 1 << 62
_MAX_MAJOR, _MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1
_XATTR = b"SCHILY.xattr."
_ZEROS = bytes(BLOCK)


class InvalidTar(InvalidArgument):
    """A stream is not a tar that can be read."""


class Entry(msgspec.Struct, gc=False):
    """One member of a tar.

    Attributes:
        name: as it stands in the archive, raw bytes.
        type: the type flag; `REGULAR` for every kind of plain file.
        size: bytes of content in the stream that follow the header.
        mtime: nanoseconds since the epoch.
        xattrs: name to value.
        sparse: for a file with holes, its full size and the (offset, size) of each stored piece.
    """

    name: bytes
    type: bytes = REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    linkname: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] = {}
    sparse: tuple[int, list[tuple[int, int]]] | None = None


def number(field: bytes) -> int:
    """Return the number in a header field.

    Raises:
        InvalidTar: it is none.
    """
    try:
        return int(field.rstrip(b"\0"), 8)
    except ValueError:
        return _odd_number(field)


def _odd_number(field: bytes) -> int:
    """Return a number that is empty, binary, or has more around it."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=True)
        return value if field[0] == 0xFF else value & ((1 << (8 * len(field) - 1)) - 1)
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise InvalidTar(f"tar header has {field!r} where an octal number belongs") from error


_seconds = lru_cache(8192)(number)  # few values fill the fields of many headers


@lru_cache(1024)
def _owned(field: bytes) -> tuple[int, int, int, bool]:
    """Return mode, user and group of a header, and whether the kernel has such numbers."""
    mode, uid, gid = number(field[:8]) & 0o7777, number(field[8:16]), number(field[16:])
    return mode, uid, gid, 0 <= uid <= _MAX_OWNER and 0 <= gid <= _MAX_OWNER


@lru_cache(8192)
def _expected(field: bytes) -> int:
    """Return the low half of the Adler-32 of a block with this checksum: 1 plus the sum of its bytes, modulo 65521."""
    try:
        return (number(field) - 256 + sum(field) + 1) % 65521
    except InvalidTar:
        return -1


def has_checksum(block: bytes) -> bool:
    """Tell whether a block is a header: its bytes add up, as unsigned or (old archives) signed ones."""
    field = block[148:156]
    expected = _expected(field)
    if zlib.adler32(block) & 0xFFFF == expected:
        return True
    signed = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + block[156:]) + 256
    return expected >= 0 and signed == number(field)


def parse(block: bytes, offset: int) -> Entry:
    """Return the entry that one header block describes on its own.

    Raises:
        InvalidTar: the block is not a header; `offset` names the place.
    """
    name, owned, size, mtime, checksum, kind, linkname, magic, prefix = _FIELDS.unpack(block)
    if zlib.adler32(block) & 0xFFFF != _expected(checksum) and not has_checksum(block):
        raise InvalidTar(f"not a tar header at byte {offset}")
    mode, uid, gid, _ = _owned(owned)
    name = _text(name)
    if prefix[0] and magic == b"ustar\0":
        name = _text(prefix) + b"/" + name
    linkname = _text(linkname) if linkname[0] else b""
    entry = Entry(name, kind, mode, uid, gid, number(size), _seconds(mtime) * _SECOND, linkname)
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = number(block[329:337]), number(block[337:345])
    return entry


def ordinary(block: bytes) -> Entry | None:
    """Return the entry of the header of an ordinary file, as most are; None of any other, or of what is no header."""
    try:
        name, owned, text, end, mtime, checksum, kind, linkname, magic, prefix = _ORDINARY.unpack(block)
        size = int(text, 8)
    except (struct.error, ValueError):
        return None
    if kind != REGULAR or linkname != b"\0" or (prefix != b"\0" and magic == b"ustar\0"):
        return None
    if end not in b"\0 " or size < 0 or zlib.adler32(block) & 0xFFFF != _expected(checksum):
        return None
    name = name.partition(b"\0")[0]
    mode, uid, gid, can_be = _owned(owned)
    if name.endswith(b"/") or not can_be:
        return None
    return Entry(name, kind, mode, uid, gid, size, _seconds(mtime) * _SECOND)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def settle(entry: Entry, offset: int) -> Entry:
    """Complete an entry when all its headers were read: its type and the size of what follows.

    Raises:
        InvalidTar: its numbers make no sense.
    """
    kind = entry.type
    if kind in REGULARS:
        is_directory = entry.name.endswith(b"/") and kind != GNU_SPARSE
        entry.type = DIRECTORY if is_directory else REGULAR
    if entry.type in _WITHOUT_CONTENT:
        entry.size = 0
    if not 0 <= entry.size < _MAX_SIZE:
        raise InvalidTar(f"tar entry at byte {offset} has the size {entry.size}")
    if len(entry.name) > MAX_NAME or len(entry.linkname) > MAX_NAME:
        raise InvalidTar(f"tar entry at byte {offset} has a name or link of more than {MAX_NAME} bytes")
    if not 0 <= entry.uid <= _MAX_OWNER:
        entry.uid = _owner(entry.uid, offset)
    if not 0 <= entry.gid <= _MAX_OWNER:
        entry.gid = _owner(entry.gid, offset)
    if not (0 <= entry.major <= _MAX_MAJOR and 0 <= entry.minor <= _MAX_MINOR):
        raise InvalidTar(f"tar entry at byte {offset} is the device {entry.major}:{entry.minor}, which cannot be")
    return entry


def _owner(number: int, offset: int) -> int:
    """Return a user or group as the kernel takes it: negative ones are those that 32 bits make of them."""
    found = number + (1 << 32) if -(1 << 31) <= number < 0 else number
    if not 0 <= found <= _MAX_OWNER:
        raise InvalidTar(f"tar entry at byte {offset} has the owner {number}, which cannot be")
    return found


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the records of a pax header: `<length> <key>=<value>` and a newline, in their order.

    Raises:
        InvalidTar: a record's length or form is wrong.
    """
    records: list[tuple[bytes, bytes]] = []
    at, end = 0, len(data)
    while at < end and data[at] != 0:
        space = data.find(b" ", at, at + 20)
        if space < 0 or not data[at:space].isdigit():
            raise InvalidTar(f"pax record with the length {data[at : at + 20]!r}")
        stop = at + int(data[at:space])
        if stop <= space + 1 or stop > end or data[stop - 1] != 0x0A:
            raise InvalidTar("pax record with a wrong length")
        key, equals, value = data[space + 1 : stop - 1].partition(b"=")
        if not equals or not key:
            raise InvalidTar("pax record without a key")
        records.append((key, value))
        at = stop
    return records


def override(entry: Entry, records: list[tuple[bytes, bytes]]) -> None:
    """Apply pax records to an entry; those of GNU sparse files are left to `sparse`.

    Raises:
        InvalidTar: a value is not of its key's kind.
    """
    xattrs: dict[bytes, bytes] = {}
    for key, value in records:
        if key.startswith(_XATTR):
            xattrs[_no_nul(key[len(_XATTR) :])] = value
        elif not value:
            continue
        elif key == b"path":
            entry.name = _no_nul(value)
        elif key == b"linkpath":
            entry.linkname = _no_nul(value)
        elif key == b"size":
            entry.size = decimal(value)
        elif key == b"uid":
            entry.uid = decimal(value)
        elif key == b"gid":
            entry.gid = decimal(value)
        elif key == b"mtime":
            entry.mtime = _time(value)
    if xattrs:
        entry.xattrs = xattrs


def _no_nul(value: bytes) -> bytes:
    if b"\0" in value:
        raise InvalidTar(f"tar entry with a NUL byte in its name: {value[:100]!r}")
    return value


def decimal(value: bytes) -> int:
    """Return the number in a pax record.

    Raises:
        InvalidTar: it is none.
    """
    if not value.isdigit() or len(value) > 20:
        raise InvalidTar(f"pax record with {value[:40]!r} where a number belongs")
    return int(value)


def _time(value: bytes) -> int:
    whole, _, fraction = value.partition(b".")
    try:
        seconds = int(whole or b"0")
        nanoseconds = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    except ValueError as error:
        raise InvalidTar(f"pax record with {value[:40]!r} where a time belongs") from error
    if abs(seconds) > 1 << 62:
        raise InvalidTar("pax record with a time out of range")
    return seconds * _SECOND + (-nanoseconds if whole.startswith(b"-") else nanoseconds)


def blocks(entry: Entry) -> bytes:
    """Return the header blocks of an entry: ustar, with a pax header only for what ustar cannot say.

    The same entry gives the same bytes: no names of users, no times but mtime in whole seconds, records
    sorted by key. `sparse` is not written.
    """
    records: dict[bytes, bytes] = {_XATTR + key: value for key, value in entry.xattrs.items()}
    name = _fit(records, b"path", entry.name, 100)
    linkname = _fit(records, b"linkpath", entry.linkname, 100)
    uid = _octal(records, b"uid", entry.uid, 8)
    gid = _octal(records, b"gid", entry.gid, 8)
    size = _octal(records, b"size", entry.size, 12)
    mtime = _octal(records, b"mtime", entry.mtime // _SECOND, 12)
    block = _block(name, entry.mode, uid, gid, size, mtime, entry.type, linkname, entry.major, entry.minor)
    return _pax(records, name) + block if records else block


def _fit(records: dict[bytes, bytes], key: bytes, value: bytes, width: int) -> bytes:
    if len(value) > width:
        records[key] = value
    return value[:width]


def _octal(records: dict[bytes, bytes], key: bytes, value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    records[key] = b"%d" % value
    return b"0" * (width - 1) + b"\0"


def _block(
    name: bytes,
    mode: int,
    uid: bytes,
    gid: bytes,
    size: bytes,
    mtime: bytes,
    kind: bytes,
    linkname: bytes,
    major: int,
    minor: int,
) -> bytes:
    head = b"%b%07o\0%b%b%b%b" % (name.ljust(100, b"\0"), mode, uid, gid, size, mtime)
    devices = b"%07o\0%07o\0" % (major, minor)
    tail = b"%b%bustar\x0000%b%b" % (kind, linkname.ljust(100, b"\0"), bytes(64), devices.ljust(183, b"\0"))
    checksum = b"%06o\0 " % (sum(head) + sum(tail) + 8 * 32)
    return head + checksum + tail


def _pax(records: dict[bytes, bytes], name: bytes) -> bytes:
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    size = b"%011o\0" % len(data)
    zero = b"0000000\0"
    title = b"PaxHeaders.0/" + name.rpartition(b"/")[2]
    header = _block(title[:100], 0, zero, zero, size, b"0" * 11 + b"\0", PAX, b"", 0, 0)
    return header + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of `size` bytes."""
    return _ZEROS[: -size % BLOCK]
