"""Tars that want out, want too much, or lie: each with what is said of it, where it is not taken.

In names and links `@` is the folder outside, by its absolute path without the first slash; `^` climbs to it.
"""

import tarfile
from collections.abc import Callable
from typing import NamedTuple

from tests.tars import Member, device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout

UP = "../" * 40


class Case(NamedTuple):
    """A layer, or two, the second over the first.

    Attributes:
        make: returns the tars, given the path of the folder outside.
        refused: part of the error; empty where the tar is taken.
    """

    make: Callable[[str], list[bytes]]
    refused: str = ""


def _of(*members: Member, refused: str = "") -> Case:
    return Case(lambda outside: [tar(*(_aimed(one, outside) for one in members))], refused)


def _over(below: list[Member], *members: Member, refused: str = "") -> Case:
    return Case(
        lambda outside: [tar(*(_aimed(one, outside) for one in part)) for part in (below, list(members))], refused
    )


def _raw(data: bytes, refused: str = "") -> Case:
    return Case(lambda _: [data], refused)


def _aimed(member: Member, outside: str) -> Member:
    info, data = member
    fresh = tarfile.TarInfo(_put(info.name, outside))
    for field in ("type", "size", "mode", "uid", "gid", "mtime", "devmajor", "devminor", "pax_headers"):
        setattr(fresh, field, getattr(info, field))
    fresh.linkname = _put(info.linkname, outside)
    return fresh, data


def _put(text: str, outside: str) -> str:
    return text.replace("^", UP + outside[1:]).replace("@", outside[1:])


def patched(block: bytes, at: int, value: bytes) -> bytes:
    """Return a header with other bytes in one place, and the checksum that it then has."""
    block = block[:at] + value + block[at + len(value) :]
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _header(name: str, at: int, value: bytes, data: bytes = b"") -> bytes:
    """Return a tar of a file whose header has other bytes in one place."""
    whole = tar(file(name, data), form=tarfile.GNU_FORMAT)
    return patched(whole[:512], at, value) + whole[512:]


def extension(kind: bytes, data: bytes) -> bytes:
    """Return an extension header: `x` or `g` with records of pax, `L` or `K` with a long name."""
    info = tarfile.TarInfo("extension")
    info.size, info.type = len(data), kind
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def record(key: bytes, value: bytes) -> bytes:
    """Return a record of pax."""
    size = len(key) + len(value) + 3
    size += len(str(size + len(str(size))))
    return b"%d %b=%b\n" % (size, key, value)


def _pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    return extension(kind, b"".join(record(*one) for one in records)) + tar(file("f", b"x"), form=tarfile.USTAR_FORMAT)


def _sparse(*records: tuple[bytes, bytes], data: bytes = b"x" * 512) -> bytes:
    head = extension(b"x", b"".join(record(*one) for one in records))
    return head + tar(file("f", data), form=tarfile.USTAR_FORMAT)


_V1 = ((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))
_OLD = tar(file("f", b"x" * 512), form=tarfile.GNU_FORMAT)


def _old(size: int, *pairs: tuple[int, int]) -> bytes:
    """Return a file with holes as GNU tar wrote it first."""
    block = patched(_OLD[:512], 156, b"S")
    table = b"".join(b"%011o\0%011o\0" % pair for pair in pairs)
    return patched(patched(block, 386, table), 483, b"\x80" + size.to_bytes(11, "big")) + _OLD[512:]


NAMES = {
    "up": _of(file("../x", b"!"), refused="is outside of the tree"),
    "up behind a directory": _of(file("d/../../x", b"!"), refused="is outside of the tree"),
    "absolute": _of(file("/@/x", b"!")),
    "only up": _of(directory(".."), refused="is outside of the tree"),
    "the root as a file": _of(file(".", b"!", mode=0o777, uid=5)),
    "the root as a link": _of(symlink("./", "/@"), file("x", b"!")),
    "the root as a device": _of(device("/", 1, 3)),
    "no name": _of(file("", b"!")),
    "NUL": _raw(_pax((b"path", b"a\0b")), "NUL byte in its name"),
    "NUL in a link": _raw(_pax((b"linkpath", b"a\0b")), "NUL byte in its name"),
    "newline and controls": _of(file("a\nb\x1b[2Jc\x7f", b"x"), symlink("l\r", "t\n\x1b]0;")),
    "not UTF-8": _of(file("a\udcff\udcfe/b", b"x")),
    "a component of 255 bytes": _of(file("n" * 255, b"x")),
    "a component of 256 bytes": _of(file("n" * 256, b"x"), refused="File name too long"),
    "4096 bytes": _of(file("/".join(["n" * 240] * 17), b"x")),
    "a link of 4096 bytes": _of(symlink("l", "t" * 4096), refused="File name too long"),
    "70,000 bytes": _of(file("d/" * 35_000 + "f"), refused="a name or link of more than 65536 bytes"),
    "a hard link to outside": _of(hardlink("h", "../../x"), refused="is outside of the tree"),
}

LINKS = {
    "a file over a link": _of(symlink("l", "/@"), file("l/x", b"!")),
    "a file over a chain": _of(
        symlink("a", "b"), symlink("b", "d/c"), directory("d"), symlink("d/c", "^"), file("a/x", b"!")
    ),
    "a directory that becomes a link": _of(directory("d", mode=0o777), symlink("d", "^"), file("d/x", b"!")),
    "a link that becomes a directory": _of(symlink("d", "/@"), directory("d", mode=0o777, uid=5), file("d/x", b"!")),
    "over a link below": _over([symlink("l", "^")], file("l/x", b"!"), whiteout("l/secret"), opaque("l")),
    "a hard link to a link": _of(symlink("l", "/@/secret"), hardlink("h", "l"), file("h", b"!", mode=0o777)),
    "a hard link over a link": _of(symlink("l", "/@"), hardlink("h", "l/secret"), refused="in no layer below"),
    "a hard link to a device": _of(device("sda", 8, 0), hardlink("h", "sda"), file("h", b"!")),
    "a hard link to itself": _of(hardlink("h", "h"), refused="in no layer below"),
    "a hard link to a directory": _of(directory("d"), hardlink("h", "d"), refused="to a directory"),
    "hard links in a circle": _of(hardlink("a", "b"), hardlink("b", "a"), refused="in no layer below"),
    "links in a circle": _of(symlink("a", "b"), symlink("b", "a"), file("a/x"), refused="too many symbolic links"),
    "a long way": _of(
        directory("/".join(["d"] * 700)),
        symlink("l", "d/" * 700 + "../" * 700 + "@"),
        symlink("m", "l/" + "../" * 1300),
        file("m/@/x", b"!"),
        refused="the way is too long",
    ),
    "a whiteout over a link": _of(symlink("l", "/@"), whiteout("l/secret"), whiteout("l/d")),
    "an opaque link": _of(symlink("l", "^"), opaque("l")),
    "the owner of a link": _of(symlink("l", "/@/secret", uid=5, gid=5, mtime=1, xattrs={"trusted.x": b"1"})),
    "devices and pipes over a link": _of(symlink("l", "/@"), fifo("l/pipe"), device("l/null", 1, 3)),
}

WHITEOUTS = {
    "of nothing": _of(file(".wh."), refused="whiteout without a name"),
    "of the directory": _of(file("d/.wh.."), refused="whiteout without a name"),
    "of the one above": _of(file("d/.wh..."), refused="whiteout without a name"),
    "with content": _of(file(".wh.x", b"content")),
    "as a link": _over([file("x")], symlink(".wh.x", "^")),
    "as a directory, with files": _of(directory(".wh.d"), file(".wh.d/x", b"!")),
    "of AUFS": _of(directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", b"!"), opaque("")),
    "linked to": _of(file(".wh.x"), hardlink("h", ".wh.x"), refused="in no layer below"),
    "as a device": _over([file("x", b"x")], device("x", 0, 0)),
    "by attribute": _over(
        [file("d/x", b"x")],
        directory("d", xattrs={"trusted.overlay.opaque": b"y", "user.overlay.opaque": b"y"}),
        file("e", b"x", xattrs={"trusted.overlay.redirect": b"/../..", "trusted.overlay.metacopy": b""}),
    ),
}

HEADERS = {
    "a wrong checksum": _raw(b"f".ljust(512, b"\0") + bytes(1024), "not a tar header at byte 0"),
    "the size is no number": _raw(_header("f", 124, b"9z"), "where an octal number belongs"),
    "the size is negative": _raw(_header("f", 124, b"\xff" * 12), "has the size -1"),
    "the size is beyond all disks": _raw(_header("f", 124, b"\x80\x00\x00\x00\x40" + bytes(7)), "has the size"),
    "the size is beyond the end": _raw(_header("f", 124, b"00000100000\0"), "tar ends early"),
    "the owner is huge": _raw(_header("f", 108, b"\x80" + b"\xff" * 7), "which cannot be"),
    "the owner is -1": _raw(_header("f", 108, b"\xff" * 8), "has the owner -1"),
    "the group is 2^32-1": _raw(_pax((b"gid", b"4294967295")), "has the owner 4294967295"),
    "the owner is -2": _raw(_header("f", 108, b"\xff" * 7 + b"\xfe")),
    "a huge device": _raw(
        patched(tar(device("d", 1, 1))[:512], 329, b"\x80\xff\xff\xff\xff\xff\xff\xff") + bytes(1024), "the device"
    ),
    "the time is huge": _raw(_header("f", 136, b"\x80" + b"\xff" * 11)),
    "an unknown type": _raw(_header("f", 156, b"Q"), "unknown type"),
    "a link without a target": _raw(_header("f", 156, b"2"), "without a target"),
    "one zero block between": _raw(
        tar(file("a"), end=b"") + bytes(512) + tar(file("b")), "tar goes on after a zero block"
    ),
    "cut in the header": _raw(tar(file("a"))[:300], "tar ends early"),
    "cut in the content": _raw(tar(file("a", b"x" * 600))[:1000], "tar ends early"),
    "trailing garbage": _raw(tar(file("a", b"x")) + b"junk" * 1000),
}

PAX = {
    "a length of 0": _raw(extension(b"x", b"0 path=a\n") + tar(file("f")), "wrong length"),
    "a negative length": _raw(extension(b"x", b"-9 path=a\n") + tar(file("f")), "with the length"),
    "a length past the end": _raw(extension(b"x", b"99 path=a\n") + tar(file("f")), "wrong length"),
    "a length too short": _raw(extension(b"x", b"8 path=abc\n") + tar(file("f")), "wrong length"),
    "a length of many digits": _raw(extension(b"x", b"9" * 5000 + b" a=b\n") + tar(file("f")), "with the length"),
    "no key": _raw(_pax((b"", b"x")), "without a key"),
    "a negative size": _raw(_pax((b"size", b"-1")), "where a number belongs"),
    "another size": _raw(_pax((b"size", b"1000000")), "tar ends early"),
    "a size of 4,000 digits": _raw(_pax((b"size", b"9" * 4000)), "where a number belongs"),
    "an empty path": _raw(_pax((b"path", b""))),
    "another path": _raw(_pax((b"path", b"../../x")), "is outside of the tree"),
    "time of many digits": _raw(_pax((b"mtime", b"9" * 400)), "time"),
    "a name of many megabytes": _raw(extension(b"L", b"n" * (2 << 20)) + tar(file("f")), "extension header of 2097152"),
    "a record of many megabytes": _raw(_pax((b"comment", b"n" * (2 << 20))), "extension header of"),
    "many headers for one entry": _raw(extension(b"x", record(b"a", b"b" * 400_000)) * 9 + tar(file("f")), "extension"),
    "many empty names for one entry": _raw(extension(b"L", b"") * 9000 + tar(file("f")), "extension header"),
    "thousands of global headers": _raw(extension(b"g", record(b"path", b"../x")) * 4000 + tar(file("f", b"x"))),
    "a header for nothing": _raw(extension(b"x", record(b"path", b"a")) + bytes(1024), "not a tar header"),
    "NUL in an attribute's name": _raw(_pax((b"SCHILY.xattr.user.a\0b", b"x")), "NUL byte"),
    "an attribute without a name": _raw(_pax((b"SCHILY.xattr.", b"x")), "cannot unpack"),
    "an attribute of no kind": _raw(_pax((b"SCHILY.xattr.nothing.x", b"x"))),
    "a capability that is none": _raw(_pax((b"SCHILY.xattr.security.capability", b"x"))),
}

SPARSE = {
    "0.1 of exabytes": _raw(
        _sparse((b"GNU.sparse.size", b"%d" % (1 << 61)), (b"GNU.sparse.map", b"0,512")),
        "at most 17592186044416 are unpacked",
    ),
    "1.0 beyond numbers": _raw(_sparse(*_V1, (b"GNU.sparse.realsize", b"9" * 20), data=b"0\n".ljust(512, b"\0"))),
    "old, of exabytes": _raw(_old(1 << 60, (0, 512)), "at most 17592186044416 are unpacked"),
    "old, negative": _raw(_old(-1 % (1 << 87), (0, 512)), "are unpacked"),
    "overlapping": _raw(
        _sparse((b"GNU.sparse.size", b"9000"), (b"GNU.sparse.map", b"0,256,100,256")), "does not fit its sizes"
    ),
    "backwards": _raw(_old(9000, (4096, 256), (0, 256)), "does not fit its sizes"),
    "past the end": _raw(_sparse((b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"0,512")), "does not fit its sizes"),
    "more than is stored": _raw(
        _sparse((b"GNU.sparse.size", b"9000"), (b"GNU.sparse.map", b"0,1024")), "does not fit its sizes"
    ),
    "0.0 with half a pair": _raw(
        _sparse((b"GNU.sparse.size", b"9000"), (b"GNU.sparse.offset", b"0")), "does not fit its sizes"
    ),
    "1.0 without an end": _raw(_sparse(*_V1, (b"GNU.sparse.realsize", b"9000"), data=b"9" * 5000), "without an end"),
    "1.0 of millions": _raw(
        _sparse(*_V1, (b"GNU.sparse.realsize", b"1"), data=b"99999999\n".ljust(512, b"0")), "of more than"
    ),
    "1.0 with a name that leads out": _raw(
        _sparse(*_V1, (b"GNU.sparse.name", b"../x"), (b"GNU.sparse.realsize", b"0"), data=b"0\n".ljust(512, b"\0")),
        "is outside of the tree",
    ),
}
SPARSE["1.0 beyond numbers"] = SPARSE["1.0 beyond numbers"]._replace(refused="are unpacked")

ALL = {
    f"{kind}: {name}": case
    for kind, cases in {
        "names": NAMES,
        "links": LINKS,
        "whiteouts": WHITEOUTS,
        "headers": HEADERS,
        "pax": PAX,
        "sparse": SPARSE,
    }.items()
    for name, case in cases.items()
}
