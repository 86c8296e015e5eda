"""Tars in a few words, built with the standard library and GNU tar: never with the code under test.

tar(file("a", b"data"), directory("d", mode=0o700), symlink("l", "a"), whiteout("gone"))
"""

import io
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

Member = tuple[tarfile.TarInfo, bytes]


def _member(name: str, kind: bytes, data: bytes = b"", **meta: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1_700_000_000
    xattrs = meta.pop("xattrs", {})
    info.pax_headers = {
        f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in xattrs.items()
    }
    info.pax_headers |= meta.pop("pax", {})
    for key, value in meta.items():
        setattr(info, key, value)
    return info, data


def file(name: str, data: bytes = b"", **meta: Any) -> Member:
    return _member(name, tarfile.REGTYPE, data, **meta)


def directory(name: str, **meta: Any) -> Member:
    return _member(name, tarfile.DIRTYPE, **meta)


def symlink(name: str, target: str, **meta: Any) -> Member:
    return _member(name, tarfile.SYMTYPE, linkname=target, **meta)


def hardlink(name: str, target: str, **meta: Any) -> Member:
    return _member(name, tarfile.LNKTYPE, linkname=target, **meta)


def device(name: str, major: int, minor: int, kind: bytes = tarfile.CHRTYPE, **meta: Any) -> Member:
    return _member(name, kind, devmajor=major, devminor=minor, **meta)


def fifo(name: str, **meta: Any) -> Member:
    return _member(name, tarfile.FIFOTYPE, **meta)


def whiteout(path: str) -> Member:
    folder, slash, name = path.rpartition("/")
    return file(f"{folder}{slash}.wh.{name}", mode=0o600)


def opaque(folder: str) -> Member:
    return file(f"{folder}/.wh..wh..opq".lstrip("/"))


def tar(*members: Member, form: Literal[0, 1, 2] = tarfile.PAX_FORMAT, end: bytes | None = None) -> bytes:
    """Return a tar of some members; `end` takes the place of the zero blocks."""
    out = io.BytesIO()
    for info, data in members:
        out.write(info.tobuf(form, "utf-8", "surrogateescape"))
        out.write(data + bytes(-len(data) % 512))
    out.write(bytes(1024) if end is None else end)
    return out.getvalue()


def gnu(folder: Path, *options: str, names: Iterable[str] = (".",)) -> bytes:
    """Return the tar that GNU tar makes of a folder."""
    command = ["tar", "-C", str(folder), "--sort=name", *options, "-cf", "-", *names]
    return subprocess.run(command, capture_output=True, check=True).stdout


def corpus(folder: Path) -> dict[str, bytes]:
    """Return one real tar of every kind that people have in images, by a name that says which."""
    source = folder / "source"
    source.mkdir()
    _fill(source)
    sparse = folder / "sparse"
    sparse.mkdir()
    with open(sparse / "holes", "wb") as f:
        for at in range(0, 40 << 20, 5 << 20):
            f.seek(at)
            f.write(b"data at %d" % at)
        f.truncate(64 << 20)
    huge = folder / "huge"
    huge.mkdir()
    with open(huge / "huge", "wb") as f:
        f.truncate(9 << 30)
        f.write(b"begins")
    made: dict[str, Callable[[], bytes]] = {
        "gnu": lambda: gnu(source, "--format=gnu"),
        "oldgnu": lambda: gnu(source, "--format=oldgnu"),
        "pax": lambda: gnu(source, "--format=pax", "--xattrs", "--xattrs-include=*"),
        "pax without dot": lambda: gnu(source, "--format=pax", names=sorted(p.name for p in source.iterdir())),
        "v7": lambda: gnu(source, "--format=v7", names=["plain", "d"]),
        "ustar": lambda: gnu(source, "--format=ustar", names=["plain", "d", "link", "hard1", "hard2"]),
        "sparse gnu": lambda: gnu(sparse, "--format=gnu", "-S"),
        "sparse pax 0.0": lambda: gnu(sparse, "--format=pax", "-S", "--sparse-version=0.0"),
        "sparse pax 0.1": lambda: gnu(sparse, "--format=pax", "-S", "--sparse-version=0.1"),
        "sparse pax 1.0": lambda: gnu(sparse, "--format=pax", "-S", "--sparse-version=1.0"),
        "huge gnu": lambda: gnu(huge, "--format=gnu", "-S"),
        "huge pax": lambda: gnu(huge, "--format=pax", "-S"),
        "blocking of 1 MiB": lambda: gnu(source, "--format=pax", "-b", "2048"),
        "empty": lambda: bytes(1024),
        "no bytes": lambda: b"",
        "one zero block": lambda: tar(file("a", b"x"), end=bytes(512)),
        "no end": lambda: tar(file("a", b"x"), end=b""),
        "trailing junk": lambda: tar(file("a", b"x")) + b"junk after the end" * 100,
        "standard library": lambda: tar(*odd_members()),
        "duplicates": lambda: tar(*duplicate_members()),
    }
    return {name: make() for name, make in made.items()}


def odd_members() -> list[Member]:
    return [
        directory("d", mode=0o1777, mtime=1_600_000_000.25),
        file("d/setuid", b"#!", mode=0o4755, uid=7, gid=8),
        file("d/big owner", b"x", uid=3_000_000, gid=4_000_000_000),
        file("d/old", b"x", mtime=-5),
        file("d/later", b"x", mtime=1_600_000_000.123456),
        file("d/" + "n" * 200, b"long name"),
        symlink("d/long link", "t" * 200),
        file("d/\udcff\udcfe", b"not UTF-8"),
        file("d/<&>\u2028", b"awkward in JSON"),
        hardlink("d/hard", "d/setuid"),
        symlink("d/dangling", "/no/such/place"),
        device("d/null", 1, 3, mode=0o666),
        device("d/loop", 7, 0, tarfile.BLKTYPE),
        fifo("d/fifo"),
        file("d/capable", b"x" * 3000, mode=0o755, xattrs={"user.colour": b"blue"}),
        file("implied/parents/of/this", b"x"),
        file("empty"),
        file("./dot", b"dot"),
        file("/slash", b"slash"),
        file("a/../normal", b"up and down"),
    ]


def duplicate_members() -> list[Member]:
    return [
        directory("d"),
        file("d/f", b"first"),
        file("d/f", b"second, longer"),
        directory("d", mode=0o700),
        file("./d/f", b"third"),
        file("same", b"same"),
        file("same", b"same"),
        file("becomes empty", b"x"),
        file("becomes empty"),
        file("was empty"),
        file("was empty", b"x"),
        file("becomes link", b"content"),
        symlink("becomes link", "d"),
        directory("tree"),
        file("tree/a", b"lost a"),
        file("tree/b/c", b"lost c"),
        file("tree", b"now a file"),
        file("hard", b"kept by its other name"),
        hardlink("other", "hard"),
        file("hard", b"new"),
        symlink("alias", "real"),
        directory("real"),
        file("alias/x", b"through the link"),
        file("real/x", b"by its own name"),
    ]


def _fill(source: Path) -> None:
    (source / "plain").write_bytes(b"plain\n")
    (source / "empty").touch()
    (source / "d").mkdir(mode=0o750)
    (source / "d/x").write_bytes(bytes(range(256)) * 40)
    (source / ("n" * 150)).write_bytes(b"long name")
    deep = source / "/".join(["deep" * 5] * 12)
    deep.mkdir(parents=True)
    (deep / "leaf").write_bytes(b"leaf")
    (source / "link").symlink_to("plain")
    (source / "longlink").symlink_to("x" * 180)
    (source / "hard1").write_bytes(b"two names")
    (source / "hard2").hardlink_to(source / "hard1")
    (source / "ünïcödé").write_bytes(b"utf-8")
    (source / "big").write_bytes(b"0123456789abcdef" * 200_000)
