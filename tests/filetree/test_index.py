"""Indexes of layers: what they say of a tar, and that damage is seen."""

import contextlib
import io
import pathlib

import pytest
from fastcrc import crc64
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from tests import tars
from tests.filetree.stacks import indexed, paths, record
from tests.tars import directory, file, hardlink, symlink, tar

from lamina.filetree import Union, index
from lamina.filetree.index import IndexDamaged
from lamina.tar import split
from lamina.tar.header import InvalidTar
from lamina.tar.reader import Reader


def test_an_outline_says_what_the_tar_does(tmp_path: pathlib.Path) -> None:
    """Of every kind of tar: the entries, where their contents begin, and the checksum of what is stored of them."""
    for name, data in tars.corpus(tmp_path).items():
        tar_reader, found = Reader(io.BytesIO(data)), []
        for entry in tar_reader:
            offset = tar_reader.position
            found.append((entry, offset, crc64.go_iso(data[offset : offset + entry.size])))
        assert [tuple(one) for one in split.outline(io.BytesIO(record(data)))] == found, name


def test_what_a_node_says() -> None:
    members = [
        directory("d", mode=0o1750, uid=3_000_000, gid=7, mtime=1.5),
        symlink("d/l", "/t"),
        tars.device("d/n", 1, 3),
        file("d/x", b"abc", xattrs={"user.a": b"b", "trusted.overlay.opaque": b"y"}),
        file("old", mtime=-5),
    ]
    names = indexed(tar(*members)).names
    found = names(b"")[b"d"]
    assert (found.mode, found.uid, found.gid, found.mtime) == (0o41750, 3_000_000, 7, 1_500_000_000)
    assert [*names(b"d")] == [b"l", b"n", b"x"]
    assert (names(b"d")[b"l"].more.target, names(b"d")[b"l"].size) == (b"/t", 2)
    assert names(b"d")[b"n"].more.device == (1, 3)
    assert names(b"d")[b"x"].more.xattrs == {b"user.a": b"b"}
    assert names(b"")[b"old"].mtime == 0
    assert names(b"nothing") == {}


def test_the_last_of_several_entries_counts() -> None:
    members = [file("a", b"first"), directory("t"), file("t/x"), file("t", b"file"), file("a"), file("./a", b"third")]
    assert {name: node.size for name, node in indexed(tar(*members)).names(b"").items()} == {b"a": 5, b"t": 4}


@pytest.mark.parametrize(
    "members",
    [
        [directory("d"), hardlink("x", "d")],
        [tars.whiteout("a"), hardlink("x", "a")],
        [file("f"), file("f/x")],
        [symlink("a", "b"), symlink("b", "a"), file("a/x")],
    ],
)
def test_what_cannot_be_unpacked_has_no_index(members: list[tars.Member]) -> None:
    with pytest.raises(InvalidTar):
        indexed(tar(*members))


def test_damage_is_seen() -> None:
    data = index.build(split.outline(io.BytesIO(record(tar(directory("d"), file("d/x", b"abc"), symlink("l", "t"))))))
    for at in range(len(data)):
        with pytest.raises(IndexDamaged):
            index.decode(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        with pytest.raises(IndexDamaged):
            index.decode(data[:at])
    assert paths(Union([index.decode(data)])) == ["d", "d/x", "l"]


_LISTINGS: st.SearchStrategy[tuple[object, ...]] = st.tuples(
    st.binary(max_size=9), st.binary(max_size=3 * index.RECORD), st.dictionaries(st.integers(-2, 4), st.just([]))
)


@given(st.binary(max_size=99) | st.tuples(st.booleans(), st.dictionaries(st.just(b""), _LISTINGS)).map(msgpack.encode))
def test_what_only_looks_like_an_index(body: bytes) -> None:
    """Where the checksum fits, a listing is damaged at the latest: nothing else is raised."""
    with contextlib.suppress(IndexDamaged):
        assert isinstance(index.decode(index._MAGIC + index._crc32(body) + body).names(b""), dict)
