"""Images as they are made, as they are read, and as the kernel shows them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace
from tests import trees

from lamina.erofs import layout
from lamina.erofs.directory import Folder, Meta, Node
from lamina.erofs.layout import BLOCK, DATA, HOLE, TAR, Device
from lamina.erofs.reader import Image, ImageDamaged, Inode
from lamina.erofs.writer import TooLarge, Writer
from lamina.mount import Image as Mounted
from lamina.mount import Mount, detached

pytestmark = [pytest.mark.root, pytest.mark.overlay]

OWNED = Meta(0o6751, 4_000_000_000, 70_000, 1_700_000_000_123_456_789)


class Made:
    """An image in the making, and the files that it leads into."""

    def __init__(self, folder: Path, content: bytes = b"") -> None:
        self.folder = folder
        self.writer = Writer()
        self.root = Folder(Meta())
        (folder / "tar").write_bytes(content)

    def finish(self) -> Path:
        devices = [Device((self.folder / "tar").stat().st_size // BLOCK)]
        if (self.folder / "data").exists():
            devices.append(Device((self.folder / "data").stat().st_size // BLOCK, "d" * 64))
        self.writer.finish(self.root, devices)
        with open(self.folder / "image", "wb") as file:
            self.writer.write(file)
        return self.folder / "image"

    @contextmanager
    def mounted(self) -> Iterator[str]:
        self.finish()
        names = tuple(name for name in ("tar", "data") if (self.folder / name).exists())
        fd = detached(Mount(str(self.folder), (Mounted("image", names),)))
        try:
            yield f"/proc/self/fd/{fd}/"
        finally:
            os.close(fd)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path, b"".join(b"%d " % number * 256 for number in range(10)).ljust(9 * BLOCK, b"."))


def walk(image: Image, folder: Inode, path: bytes = b"") -> Iterator[tuple[bytes, Inode]]:
    for name, inode in image.names(folder):
        yield path + name, inode
        if inode.is_directory:
            yield from walk(image, inode, path + name + b"/")


class TestFormat:
    def test_of_each_kind(self, made: Made) -> None:
        names, writer = made.root.names, made.writer
        names[b"file"] = writer.file(OWNED, 700, 2)
        names[b"empty"] = writer.file(OWNED, 0, 9)
        names[b"link"] = writer.symlink(OWNED, b"file")
        names[b"null"] = writer.special(OWNED, layout.CHARACTER, 1, 3)
        names[b"disk"] = writer.special(OWNED, layout.BLOCK_DEVICE, 4095, (1 << 20) - 1)
        names[b"pipe"] = writer.special(OWNED, layout.FIFO)
        names[b"gone"] = writer.special(Meta(0), layout.CHARACTER)
        names[b"d\xff\xfe"] = Folder(OWNED)
        with made.mounted() as path:
            found = {name: os.lstat(os.fsencode(path) + name) for name in names}
            assert Path(path, "file").read_bytes() == (made.folder / "tar").read_bytes()[1024:1724]
            assert os.readlink(path + "link") == "file"
        kinds = {name: stat.S_IFMT(info.st_mode) for name, info in found.items()}
        assert kinds == {
            b"file": stat.S_IFREG, b"empty": stat.S_IFREG, b"link": stat.S_IFLNK, b"null": stat.S_IFCHR,
            b"disk": stat.S_IFBLK, b"pipe": stat.S_IFIFO, b"gone": stat.S_IFCHR, b"d\xff\xfe": stat.S_IFDIR,
        }  # fmt: skip
        gone = found.pop(b"gone")
        for info in found.values():
            assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == astuple(OWNED)[:3]
            assert info.st_mtime_ns == OWNED.mtime
        assert (gone.st_rdev, gone.st_mode & 0o7777) == (0, 0)
        assert found[b"null"].st_rdev == os.makedev(1, 3)
        assert found[b"disk"].st_rdev == os.makedev(4095, (1 << 20) - 1)

    def test_hard_links_are_one_inode(self, made: Made) -> None:
        made.root.names[b"a"] = node = made.writer.file(Meta(), 600, 0)
        made.root.names[b"d"] = folder = Folder(Meta())
        folder.names[b"b"] = node
        made.writer.link(node)
        with made.mounted() as path:
            one, other = os.stat(path + "a"), os.stat(path + "d/b")
        assert (one.st_ino, one.st_nlink) == (other.st_ino, 2)
        with Image(str(made.folder / "image")) as image:
            assert image.usage() == made.writer.size == 600

    def test_links_of_directories_count_their_folders(self, made: Made) -> None:
        made.root.names[b"d"] = folder = Folder(Meta())
        folder.names |= {b"x": Folder(Meta()), b"y": Folder(Meta()), b"f": made.writer.file(Meta(), 0, 0)}
        with made.mounted() as path:
            assert os.stat(path + "d").st_nlink == 4
            assert os.stat(path).st_nlink == 3
            assert os.stat(path + "d/x/../..").st_ino == os.stat(path).st_ino == os.stat(path + "..").st_ino

    @pytest.mark.parametrize("size", [1, 400, 448, 449, 511, 512, 513, 1024, 4094, 4095])
    def test_links_of_any_length(self, made: Made, size: int) -> None:
        for number in range(17):  # so that they come to lie at each place of a block
            made.root.names[b"%d" % number] = made.writer.symlink(Meta(), b"x" * size)
        targets = {made.writer.target(node) for node in made.root.names.values() if isinstance(node, int)}
        assert targets == {b"x" * size}
        with made.mounted() as path:
            assert {os.readlink(f"{path}{number}") for number in range(17)} == {"x" * size}

    def test_names_before_and_after_dots(self, made: Made) -> None:
        names = [b"!", b"-", b"...", b".a", b"..a", b"/".replace(b"/", b"0"), b"\xff", b"n" * 255]
        made.root.names |= dict.fromkeys(names, made.writer.file(Meta(), 0, 0))
        with made.mounted() as path:
            assert sorted(map(os.fsencode, os.listdir(path))) == sorted(names)
            for name in names:
                assert os.lstat(os.fsencode(path) + name).st_mode == stat.S_IFREG | 0o755

    def test_a_hundred_thousand_names(self, made: Made) -> None:
        made.root.names[b"d"] = folder = Folder(Meta())
        node = made.writer.file(Meta(), 0, 0)
        folder.names |= {b"%x" % (number * 7919): node for number in range(100_000)}
        with made.mounted() as path, Image(str(made.folder / "image")) as image:
            assert set(map(os.fsencode, os.listdir(path + "d"))) == folder.names.keys()
            for number in range(0, 100_000, 97):
                os.lstat(f"{path}d/{number * 7919:x}")
            inner = image.find(image.root, b"d")
            assert inner is not None
            assert [name for name, _ in image.names(inner)] == sorted(folder.names)
            assert all(image.find(inner, b"%x" % (number * 7919)) for number in range(0, 100_000, 97))
            assert image.find(inner, b"0g") is image.find(inner, b"~") is image.find(inner, b"") is None

    def test_a_thousand_directories_deep(self, made: Made) -> None:
        folder = made.root
        for _ in range(1000):
            folder.names[b"d"] = folder = Folder(Meta())
        with made.mounted() as path:
            place = os.open(path, os.O_PATH)
            for _ in range(1000):
                below = os.open("d", os.O_PATH, dir_fd=place)
                os.close(place)
                place = below
            assert os.lstat("..", dir_fd=place).st_nlink == 3
            os.close(place)

    def test_attributes_alone_and_shared(self, made: Made) -> None:
        long = {b"user.long": b"v" * 60_000, b"trusted.n" + b"n" * 200: b""}
        capability = {b"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")}
        many = {b"user.%d" % number: b"%d" % number for number in range(300)}
        given = [long, capability, {**long, **capability}, many, {**many, b"user.x": b"x"}, capability, {}]
        for number, xattrs in enumerate(given):
            made.root.names[b"%d" % number] = made.writer.file(Meta(xattrs=xattrs), 600, 1)
        made.root.names[b"d"] = Folder(Meta(xattrs=long))
        with made.mounted() as path, Image(str(made.folder / "image")) as image:
            for name, xattrs in [*((str(number), one) for number, one in enumerate(given)), ("d", long)]:
                file = f"{path}{name}"
                assert {key.encode(): os.getxattr(file, key) for key in os.listxattr(file)} == xattrs
                inode = image.find(image.root, name.encode())
                assert inode is not None
                assert image.xattrs(inode) == xattrs
                if name != "d":
                    assert Path(file).read_bytes() == (made.folder / "tar").read_bytes()[512:1112]

    def test_too_many_attributes(self, made: Made) -> None:
        with pytest.raises(TooLarge, match=r"\d+ bytes of extended attributes: an EROFS inode takes 262148"):
            made.writer.file(Meta(xattrs={b"user.%d" % number: b"v" * 65_000 for number in range(5)}), 0, 0)

    def test_holes_and_two_devices(self, made: Made) -> None:
        (made.folder / "data").write_bytes(b"d" * 4096)
        table = [HOLE, 0, HOLE, 4, HOLE]
        made.root.names[b"f"] = made.writer.chunks(Meta(), 9 * 1024 // 2, 1, table, DATA)
        made.root.names[b"g"] = made.writer.file(Meta(), 600, 1, TAR)
        with made.mounted() as path, Image(str(made.folder / "image")) as image:
            expected = bytes(1024) + b"d" * 1024 + bytes(1024) + b"d" * 1024 + bytes(512)
            assert Path(path, "f").read_bytes() == expected
            assert Path(path, "g").read_bytes() == (made.folder / "tar").read_bytes()[512:1112]
            inode = image.find(image.root, b"f")
            assert inode is not None
            assert list(image.pieces(inode)) == [(1024, 1024, DATA, 0), (3072, 1024, DATA, 2048)]
            assert image.devices == [Device(10), Device(8, "d" * 64)]

    def test_a_file_of_more_than_four_gigabytes(self, made: Made) -> None:
        size = (5 << 30) + 5
        with open(made.folder / "tar", "r+b") as file:
            for at in (0, 1 << 31, 1 << 32, size - 5):
                file.seek(1536 + at)
                file.write(b"%5d" % (at % 99_999))
            file.truncate(1536 + (size + 511) // 512 * 512)
        made.root.names[b"f"] = made.writer.file(Meta(), size, 3)
        with made.mounted() as path, open(path + "f", "rb") as file:
            assert os.fstat(file.fileno()).st_size == size
            for at in (0, 1 << 31, 1 << 32, size - 5):
                assert os.pread(file.fileno(), 6, at)[:5] == b"%5d" % (at % 99_999)

    def test_beyond_what_can_be_named(self, made: Made) -> None:
        for block, size in ((1 << 32, 1), ((1 << 32) - 1, 1 << 40)):
            with pytest.raises(TooLarge, match="beyond the 2 TiB"):
                made.writer.file(Meta(), size, block)

    def test_a_tar_beyond_what_can_be_named(self, made: Made) -> None:
        with pytest.raises(TooLarge, match="a tar of more than the 2 TiB"):
            made.writer.finish(made.root, [Device(1 << 32)])

    def test_an_empty_tar(self, tmp_path: Path) -> None:
        with Made(tmp_path).mounted() as path:
            assert os.listdir(path) == []

    def test_sizes(self, made: Made) -> None:
        writer = made.writer
        node = writer.file(Meta(), 700, 0)
        writer.link(node)
        writer.symlink(Meta(), b"abc")
        writer.special(Meta(), layout.FIFO)
        assert (writer.size, writer.count) == (703, 3)
        writer.unlink(node)
        assert writer.size == 703
        writer.unlink(node)
        assert writer.size == 3


class TestDamage:
    def test_each_byte_counts(self, made: Made) -> None:
        made.root.names[b"a"] = made.writer.file(Meta(), 700, 0)
        path = made.finish()
        good = path.read_bytes()
        for at in range(0, len(good), 61):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises(ImageDamaged, match="is damaged"):
                Image(str(path))

    @pytest.mark.parametrize("size", [0, 1, 1024, 1500, -1, -512])
    def test_cut(self, made: Made, size: int) -> None:
        path = made.finish()
        os.truncate(path, size if size >= 0 else path.stat().st_size + size)
        with pytest.raises(ImageDamaged):
            Image(str(path))

    def test_the_same_tree_is_the_same_image(self, tmp_path: Path) -> None:
        images = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            made = Made(tmp_path / name, bytes(1024))
            made.root.names[b"a"] = made.writer.file(OWNED, 700, 0)
            images.append(made.finish().read_bytes())
        assert images[0] == images[1]


_names = st.one_of(st.sampled_from([b"a", b"b", b"!", b"\xff"]), st.binary(min_size=1, max_size=255)).filter(
    lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..")
)
_metas = st.builds(
    Meta,
    st.integers(0, 0o7777),
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**32 - 2),
    st.integers(0, 2**62),
    st.dictionaries(st.sampled_from([b"user.a", b"trusted.b", b"security.c"]), st.binary(max_size=900), max_size=3),
)
_leaves = st.one_of(
    st.tuples(st.just("file"), st.integers(0, 9 * BLOCK)),
    st.tuples(st.just("symlink"), st.binary(min_size=1, max_size=1200).filter(lambda text: b"\0" not in text)),
    st.tuples(st.just("fifo"), st.none()),
)
_trees = st.recursive(
    st.tuples(_leaves, _metas),
    lambda below: st.tuples(st.dictionaries(_names, below, max_size=6), _metas),
    max_leaves=20,
)


def _plant(writer: Writer, drawn: Any) -> Folder | Node:
    what, meta = drawn
    if isinstance(what, dict):
        folder = Folder(meta)
        folder.names = {name: _plant(writer, below) for name, below in what.items()}
        return folder
    kind, value = what
    if kind == "file":
        return writer.file(meta, value, 0)
    xattrs = {key: text for key, text in meta.xattrs.items() if not key.startswith(b"user.")}
    meta = replace(meta, xattrs=xattrs)
    return writer.symlink(meta, value) if kind == "symlink" else writer.special(meta, layout.FIFO)


@settings(max_examples=60)
@given(drawn=st.dictionaries(_names, _trees, max_size=12))
def test_the_kernel_and_the_reader_see_what_was_written(
    drawn: dict[bytes, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = Made(tmp_path_factory.mktemp("image"), bytes(range(256)) * 18)
    made.root.names = {name: _plant(made.writer, below) for name, below in drawn.items()}
    with made.mounted() as path, Image(str(made.folder / "image")) as image:
        seen = trees.read(path, local=True)
        read = {os.fsdecode(name): inode for name, inode in walk(image, image.root)}
        assert seen.keys() == read.keys()
        for name, inode in read.items():
            node = seen[name]
            assert (node.mode, node.owner, node.mtime) == (inode.mode & 0o7777, (inode.uid, inode.gid), inode.mtime)
            assert dict(node.xattrs) == {os.fsdecode(key): value for key, value in image.xattrs(inode).items()}
            if inode.is_symlink:
                assert os.fsencode(node.content) == image.target(inode)
        _compare(drawn, read, "")
        assert image.usage() == made.writer.size


def _compare(drawn: dict[bytes, Any], read: dict[str, Inode], above: str) -> None:
    """Assert that what was read is what was drawn, and nothing else is there."""
    inside = [path for path in read if path.startswith(above) and "/" not in path[len(above) :]]
    assert sorted(inside) == sorted(above + os.fsdecode(name) for name in drawn)
    for name, (what, meta) in drawn.items():
        path = above + os.fsdecode(name)
        inode = read[path]
        assert (inode.mode & 0o7777, inode.uid, inode.gid, inode.mtime) == astuple(meta)[:4]
        if isinstance(what, dict):
            _compare(what, read, path + "/")
        elif what[0] == "file":
            assert inode.size == what[1]
