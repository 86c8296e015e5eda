"""Indexes of layers: what they say of a tar."""

import io
import pathlib

import pytest
from tests import tars
from tests.filetree.stacks import indexed, record, union
from tests.tars import directory, file, hardlink, symlink, tar

from lamina.errors import InvalidArgument
from lamina.filetree import File
from lamina.tar import checksum, split
from lamina.tar.reader import Reader


def test_an_outline_says_what_the_tar_does(tmp_path: pathlib.Path) -> None:
    """Of every kind of tar: the entries, where their contents begin, and the checksum of what is stored of them."""
    for name, data in tars.corpus(tmp_path).items():
        tar_reader, found = Reader(io.BytesIO(data)), []
        for entry in tar_reader:
            offset = tar_reader.position
            found.append((entry, offset, checksum.of(data[offset : offset + entry.size])))
        outline = split.Outline(io.BytesIO(record(data)))
        assert [(entry, outline.position, outline.checksum()) for entry in outline] == found, name
        tar_reader = Reader(io.BytesIO(data))
        assert [(entry, tar_reader.position, tar_reader.checksum()) for entry in tar_reader] == found, name


def test_what_is_said_of_a_file() -> None:
    members = [
        directory("d", mode=0o1750, uid=3_000_000, gid=7, mtime=1.5),
        symlink("d/l", "/t"),
        tars.device("d/n", 1, 3),
        file("d/x", b"abc", xattrs={"user.a": b"b", "trusted.overlay.opaque": b"y"}),
        file("old", mtime=-5),
    ]
    tree = union(members)
    found = tree.find(b"d").inode
    assert (found.mode, found.uid, found.gid, found.mtime) == (0o41750, 3_000_000, 7, 1_500_000_000)
    link, device, regular = tree.names(tree.find(b"d"))
    assert (link.path, link.target, link.size) == (b"d/l", b"/t", 2)
    assert device.inode.device == (1, 3)
    assert (regular.xattrs, regular.size) == ({b"user.a": b"b"}, 3)
    assert tree.images[0].checksum(regular.inode.order) == checksum.of(b"abc")
    assert tree.find(b"old").inode.mtime == 0
    assert list(tree.names(File(b"nothing", found, 0))) == []


def test_the_last_of_several_entries_counts() -> None:
    members = [file("a", b"first"), directory("t"), file("t/x"), file("t", b"file"), file("a"), file("./a", b"third")]
    tree = union(members)
    assert {found.path: found.size for found in tree.names(tree.root)} == {b"a": 5, b"t": 4}


def test_checksums_of_files_with_holes(tmp_path: pathlib.Path) -> None:
    """However a tar cuts the holes, the checksum is that of what is read."""
    with open(tmp_path / "holes", "wb") as target:
        for at in (0, 4090, 70_000, (8 << 20) - 3):
            target.seek(at)
            target.write(b"%10d" % at)
        target.truncate(20 << 20)
    content = (tmp_path / "holes").read_bytes()
    expected = checksum.Holed()
    expected.add(0, content)
    for form in ("--format=gnu", "--sparse-version=0.0", "--sparse-version=1.0"):
        image = indexed(tars.gnu(tmp_path, "-S", form, names=["holes"]))
        (inode,) = (inode for _, inode in image.names(image.root))
        assert image.has_holes(inode)
        assert image.checksum(inode.order) == expected.finish(len(content)), form


@pytest.mark.parametrize(
    "members",
    [
        [directory("d"), hardlink("x", "d")],
        [tars.whiteout("a"), hardlink("x", "a")],
        [file("f"), file("f/x")],
        [file("d/f/."), file("d/f/x")],
        [symlink("a", "b"), symlink("b", "a"), file("a/x")],
    ],
)
def test_what_cannot_be_unpacked_has_no_index(members: list[tars.Member]) -> None:
    with pytest.raises(InvalidArgument):
        indexed(tar(*members))
