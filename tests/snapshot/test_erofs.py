"""Layers of the driver erofs, inode by inode as the kernel shows them, against the same layers unpacked."""

import io
import os
import secrets
import struct
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import disks, tars, trees
from tests.hostile.corpus import ALL
from tests.tars import directory, file, hardlink, opaque, symlink, tar, whiteout

from lamina.errors import DataLoss, LaminaError, ResourceExhausted
from lamina.filetree import layertree
from lamina.mount import Mount, MountFailed, detached
from lamina.snapshot import probe
from lamina.snapshot.driver import Driver
from lamina.snapshot.erofs import MAX_DEPTH, Erofs, TooDeep
from lamina.tar import apply, checksum
from lamina.tar.header import InvalidTar

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def layer(driver: Driver, parent: str | None, data: bytes) -> str:
    snapshot = secrets.token_hex(32)
    driver.create(snapshot, parent)
    driver.commit(snapshot, parent, driver.apply(snapshot, io.BytesIO(data)))
    return snapshot


def brought(driver: Driver, snapshot: str, *, directory_times: bool = True) -> dict[str, trees.Node]:
    """Return all that a layer itself brings, marks included."""
    with driver.open(snapshot) as root:
        return trees.read(root.fd, directory_times=directory_times, local=True)


def same(one: dict[str, trees.Node], unpacked: dict[str, trees.Node]) -> None:
    """Assert that an image shows what was unpacked; marks and directories without an entry have the time of that."""
    for path, node in one.items():
        if path in unpacked and not node.mtime and (node.kind == "directory" or node.content == "0:0"):
            unpacked[path] = unpacked[path]._replace(mtime=0)
    assert one == unpacked


@pytest.fixture
def drivers(tmp_path: Path) -> tuple[Driver, Driver]:
    return tuple(probe.make(name, str(tmp_path / name), privileged=True) for name in ("erofs", "overlay2"))  # type: ignore[return-value]


@pytest.fixture
def driver(tmp_path: Path) -> Erofs:
    return Erofs(str(tmp_path / "erofs"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tars.corpus(tmp_path_factory.mktemp("corpus"))


KINDS = [
    "gnu", "oldgnu", "pax", "pax without dot", "v7", "ustar", "sparse gnu", "sparse pax 0.0", "sparse pax 0.1",
    "sparse pax 1.0", "blocking of 1 MiB", "empty", "no bytes", "one zero block", "no end", "trailing junk",
    "standard library", "duplicates",
]  # fmt: skip
HUGE = ["huge gnu", "huge pax"]


def test_all_of_the_corpus_is_compared(corpus: dict[str, bytes]) -> None:
    assert sorted(corpus) == sorted(KINDS + HUGE)


@pytest.mark.parametrize("kind", KINDS)
def test_real_tars(drivers: tuple[Driver, Driver], corpus: dict[str, bytes], kind: str) -> None:
    same(*(brought(driver, layer(driver, None, corpus[kind])) for driver in drivers))


@pytest.mark.parametrize("kind", HUGE)
def test_files_larger_than_the_disk_reads_quickly(driver: Erofs, corpus: dict[str, bytes], kind: str) -> None:
    snapshot = layer(driver, None, corpus[kind])
    with driver.open(snapshot) as root:
        fd = os.open("huge", os.O_RDONLY, dir_fd=root.fd)
    try:
        assert os.fstat(fd).st_size == 9 << 30
        assert os.pread(fd, 8, 0) == b"begins\0\0"
        for at in (1 << 20, 1 << 31, 5 << 30, (9 << 30) - 4096):
            assert os.pread(fd, 4096, at) == bytes(4096)
    finally:
        os.close(fd)
    used = sum(path.stat().st_blocks * 512 for path in Path(driver.folder(snapshot)).iterdir())
    assert used < 1 << 20


TOO_LONG = "names: 4096 bytes"
"""No path to it can be named to look at it."""


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if not case.refused and name != TOO_LONG])
def test_hostile_tars(drivers: tuple[Driver, Driver], name: str) -> None:
    seen: list[dict[str, trees.Node]] = []
    for driver in drivers:
        parent: str | None = None
        for data in ALL[name].make("/outside"):
            parent = layer(driver, parent, data)
        assert parent
        seen.append(brought(driver, parent))
    same(*seen)


_names = st.lists(st.sampled_from(["a", "b", "c", "\udcff"]), min_size=1, max_size=3).map("/".join)
_xattrs = st.dictionaries(
    st.sampled_from(["user.a", "trusted.b", "security.capability", "trusted.overlay.opaque", "nothing.x"]),
    st.sampled_from([b"y", bytes.fromhex("0100000200040000000000000000000000000000")]),
    max_size=2,
)
_meta = {
    "uid": st.sampled_from([0, 5, 3_000_000_000]),
    "gid": st.sampled_from([0, 70_000]),
    "mode": st.sampled_from([0o755, 0o4711, 0]),
    "mtime": st.sampled_from([0, 1_700_000_000, 1_700_000_000.25, -5]),
    "xattrs": _xattrs,
}
_device_kinds = st.sampled_from([tarfile.CHRTYPE, tarfile.BLKTYPE])
_members = st.one_of(
    st.builds(tars.file, _names, st.binary(max_size=1200), **_meta),
    st.builds(tars.directory, _names, **_meta),
    st.builds(tars.symlink, _names, st.sampled_from(["a", "../b", "x" * 600]), **_meta),
    st.builds(
        tars.device, _names, st.just(1), st.just(3), st.sampled_from([tarfile.CHRTYPE, tarfile.BLKTYPE]), **_meta
    ),
    st.builds(tars.fifo, _names, **_meta),
    st.builds(tars.whiteout, _names),
    st.builds(tars.opaque, _names),
    st.builds(tars.hardlink, _names, _names),
)


@given(layers=st.lists(st.lists(_members, max_size=8), min_size=1, max_size=3))
def test_generated_tars(layers: list[list[tars.Member]], tmp_path_factory: pytest.TempPathFactory) -> None:
    seen: list[dict[str, trees.Node] | str] = []
    folder = tmp_path_factory.mktemp("generated")
    for name in ("erofs", "overlay2"):
        driver = probe.make(name, str(folder / name), privileged=True)
        try:
            parent: str | None = None
            for members in layers:
                parent = layer(driver, parent, tar(*members))
            assert parent
            seen.append(brought(driver, parent, directory_times=False))  # which overlay2 changes while it settles
        except LaminaError as error:
            seen.append(f"{type(error).__name__}: {error}")
    one, other = seen
    if isinstance(one, dict) and isinstance(other, dict):
        same(one, other)
        return
    links = any(info.islnk() for members in layers for info, _ in members)
    assert links or one == other, "drivers may differ in when they find that a hard link cannot be"


def _acl(*entries: tuple[int, int, int], version: int = 2) -> bytes:
    """Return a list of access as the kernel passes it: a version, then tag, permissions and id of each entry."""
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


_NOBODY = 0xFFFFFFFF
_READ_FOR_SEVEN = ((1, 6, _NOBODY), (2, 4, 7), (4, 4, _NOBODY), (16, 4, _NOBODY), (32, 4, _NOBODY))
ATTRIBUTES = [
    ("user.a", b"x"),
    ("user.", b"x"),
    ("trusted.a", b""),
    ("trusted.", b"x"),
    ("trusted.overlay.opaque", b"y"),
    ("user.overlay.whiteout", b"y"),
    ("security.a", b"x"),
    ("security.capability", bytes.fromhex("0100000200040000000000000000000000000000")),
    ("security.capability", bytes.fromhex("01000003000400000000000000000000000000000a000000")),
    ("security.capability", bytes.fromhex("010000010004000000000000")),
    ("system.posix_acl_access", _acl(*_READ_FOR_SEVEN)),
    ("system.posix_acl_default", _acl(*_READ_FOR_SEVEN)),
    ("system.posix_acl_access", _acl(*_READ_FOR_SEVEN, version=1)),
    ("system.posix_acl_access", _acl(*_READ_FOR_SEVEN)[:-1]),
    ("system.posix_acl_access", _acl((64, 4, _NOBODY))),
    ("system.posix_acl_accessory", b"x"),
    ("system.nothing", b"x"),
    ("nothing.a", b"x"),
]


@pytest.mark.parametrize("kind", ["file", "directory", "symlink", "fifo"])
@pytest.mark.parametrize(("key", "value"), ATTRIBUTES, ids=str)
def test_attributes_that_a_file_system_takes(drivers: tuple[Driver, Driver], kind: str, key: str, value: bytes) -> None:
    def link(name: str, **meta: Any) -> tars.Member:
        return symlink(name, "x", **meta)

    make: dict[str, Callable[..., tars.Member]] = {
        "file": file,
        "directory": directory,
        "fifo": tars.fifo,
        "symlink": link,
    }
    member = make[kind]("it", mode=0o644, xattrs={key: value})
    seen: list[dict[str, trees.Node] | str] = []
    for driver in drivers:
        try:
            seen.append(brought(driver, layer(driver, None, tar(member))))
        except LaminaError as error:
            seen.append(str(error))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("key", "size", "message"),
    [("user." + "n" * 251, 1, "Numerical result out of range"), ("user.a", 65_536, "Argument list too long")],
)
def test_attributes_that_no_file_system_takes(driver: Erofs, key: str, size: int, message: str) -> None:
    with pytest.raises(LaminaError, match=f"cannot unpack 'f': {message}"):
        layer(driver, None, tar(file("f", xattrs={key: b"v" * size})))


class TestCommit:
    """What of a layer waits for its parent."""

    def test_a_copy_from_below_has_all_that_the_target_had(self, driver: Erofs) -> None:
        members = [file("f", b"x" * 3000, mode=0o751, uid=9, mtime=1_600_000_000.5, xattrs={"user.a": b"b"})]
        base = layer(driver, None, tar(*members, symlink("s", "f"), tars.device("null", 1, 3), tars.fifo("p")))
        top = layer(driver, base, tar(*(hardlink(f"to {name}", name) for name in ("f", "s", "null", "p"))))
        below, above = brought(driver, base), brought(driver, top)
        for name in ("f", "s", "null", "p"):
            assert above[name] == below[name]._replace(names=(f"to {name}",))
            assert above[f"to {name}"] == below[name]._replace(names=(name,))
        assert Path(driver.folder(top), "layer.data").stat().st_size == 3072
        assert not Path(driver.folder(base), "layer.data").exists()

    def test_a_copy_of_a_file_with_holes_has_them(self, driver: Erofs, corpus: dict[str, bytes]) -> None:
        base = layer(driver, None, corpus["huge gnu"])
        middle = layer(driver, base, tar(hardlink("l", "huge")))
        top = layer(driver, middle, tar(hardlink("m", "l")))
        for snapshot, name in ((middle, "l"), (top, "m")):
            with driver.open(snapshot) as root:
                fd = os.open(name, os.O_RDONLY, dir_fd=root.fd)
                assert os.pread(fd, 8, 0) == b"begins\0\0"
                assert os.fstat(fd).st_size == 9 << 30
                os.close(fd)
            assert sum(path.stat().st_blocks * 512 for path in Path(driver.folder(snapshot)).iterdir()) < 1 << 20

    @pytest.mark.parametrize("member", [file("d/b"), whiteout("d/a")], ids=["a file", "a mark"])
    def test_a_layer_with_nothing_to_settle_is_written_once(self, driver: Erofs, member: tars.Member) -> None:
        base = layer(driver, None, tar(directory("d"), file("d/a")))
        driver.create("b" * 64, base)
        applied = driver.apply("b" * 64, io.BytesIO(tar(directory("d"), member)))
        before = os.stat(driver.folder("b" * 64) + "/layer.erofs").st_mtime_ns
        driver.commit("b" * 64, base, applied)
        assert os.stat(driver.folder("b" * 64) + "/layer.erofs").st_mtime_ns == before

    def test_marks_that_hide_nothing_are_not_kept(self, driver: Erofs) -> None:
        base = layer(driver, None, tar(file("a"), whiteout("nothing")))
        top = layer(driver, base, tar(whiteout("a"), whiteout("b"), directory("d"), opaque("d")))
        last = layer(driver, top, tar(directory("d"), opaque("d"), whiteout("d/x"), directory("e"), whiteout("e/a")))
        assert brought(driver, base).keys() == {"a"}
        assert brought(driver, top).keys() == {"a", "d"}
        assert brought(driver, last).keys() == {"d", "e"}

    def test_a_damaged_parent_is_told(self, driver: Erofs) -> None:
        base = layer(driver, None, tar(file("a")))
        os.truncate(driver.folder(base) + "/layer.erofs", 2000)
        with pytest.raises(DataLoss, match=r"layer.erofs is damaged: it does not have the digest"):
            layer(driver, base, tar(whiteout("a")))


class TestMounts:
    def test_as_many_layers_as_the_kernel_joins(self, driver: Erofs) -> None:
        top: str | None = None
        for number in range(MAX_DEPTH):
            top = layer(driver, top, tar(directory("d"), file(f"d/{number}", b"%d" % number)))
        assert top
        driver.prepare("c", top)
        fd = detached(driver.mount("c"))
        try:
            assert len(os.listdir(f"/proc/self/fd/{fd}/d")) == MAX_DEPTH
            Path(f"/proc/self/fd/{fd}/d/0").write_text("changed")
        finally:
            os.close(fd)
        assert [change.path for change in driver.changes("c", top)] == [b"d", b"d/0"]
        with pytest.raises(TooDeep, match="max depth exceeded: 501 layers, at most 500 can be mounted"):
            layer(driver, layer(driver, top, tar(file("x"))), tar(file("y")))

    def test_a_stack_is_not_counted_anew_for_each_layer(self, driver: Erofs) -> None:
        asked: list[str] = []

        class Counting(Erofs):
            def parent(self, snapshot: str) -> str | None:
                asked.append(snapshot)
                return super().parent(snapshot)

        counting, top = Counting(driver.folder("")[:-1]), None
        for number in range(30):
            top = layer(counting, top, tar(file(str(number))))
        assert len(asked) < 30

    def test_a_tree_on_nothing_and_one_on_it(self, driver: Erofs) -> None:
        driver.prepare("c-init", None)
        driver.prepare("c", "c-init")
        for snapshot in ("c-init", "c"):
            fd = detached(driver.mount(snapshot))
            Path(f"/proc/self/fd/{fd}/{snapshot}").touch()
            os.close(fd)
        assert [change.path for change in driver.changes("c", "c-init")] == [b"c"]
        home = driver.folder("")[:-1]
        expected = Mount(home, ("c-init/diff",), "c/diff", "c/work", holders=f"{home}/holders")
        assert driver.mount("c") == expected
        assert not os.path.exists(expected.holders), "there is nothing to share"

    def test_a_file_system_that_it_cannot_do_it_with(self) -> None:
        with tempfile.TemporaryDirectory(dir=disks.MEMORY) as folder:
            driver = Erofs(folder)
            snapshot = layer(driver, None, tar(file("a", b"x")))
            with driver.tar(snapshot) as kept:
                assert kept.read() == tar(file("a", b"x"))
            with pytest.raises(MountFailed, match=f"cannot mount 1 layers of {folder}: its file system"):
                detached(driver.mount(snapshot))

    def test_what_is_mounted_stays_when_its_layer_goes(self, driver: Erofs) -> None:
        snapshot = layer(driver, None, tar(file("a", b"x" * 100_000)))
        fd = detached(driver.mount(snapshot))
        try:
            driver.remove(snapshot)
            assert Path(f"/proc/self/fd/{fd}/a").read_bytes() == b"x" * 100_000
        finally:
            os.close(fd)


class TestBounds:
    def test_of_entries(self, driver: Erofs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layertree, "MAX_ENTRIES", 100)
        layer(driver, None, tar(*(file(str(number)) for number in range(100))))
        with pytest.raises(InvalidTar, match="tar with more than 100 entries"):
            layer(driver, None, tar(*(file(str(number)) for number in range(101))))

    def test_of_tables_of_holes(self, driver: Erofs, monkeypatch: pytest.MonkeyPatch, corpus: dict[str, bytes]) -> None:
        monkeypatch.setattr(apply, "MAX_WAITING", 4000)
        with pytest.raises(InvalidTar, match="tar with more than 4000 bytes"):
            layer(driver, None, corpus["huge gnu"])

    def test_of_attributes(self, driver: Erofs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(apply, "MAX_WAITING", 1_000_000)
        members = [file(str(number), xattrs={"user.a": b"v" * 60_000}) for number in range(20)]
        layer(driver, None, tar(*members[:15]))
        with pytest.raises(InvalidTar, match="tar with more than 1000000 bytes"):
            layer(driver, None, tar(*members))

    def test_holes_cost_nothing(self, driver: Erofs) -> None:
        """Five hundred pieces in eight terabytes are taken in, copied and checked, and no byte between them."""
        pieces = [(number << 34, 512) for number in range(500)]
        map_ = ",".join(f"{offset},{size}" for offset, size in pieces)
        holes = {"GNU.sparse.size": f"{1 << 43}", "GNU.sparse.map": map_}
        base = layer(driver, None, tar(file("f", b"x" * 512 * 500, pax=holes)))
        top = layer(driver, base, tar(hardlink("l", "f")))
        for snapshot, parent, name in ((base, None, "f"), (top, base, "l")):
            assert list(driver.check(snapshot, parent)) == []
            with driver.open(snapshot) as root:
                fd = os.open(name, os.O_RDONLY, dir_fd=root.fd)
                assert os.fstat(fd).st_size == 1 << 43
                for offset, _ in pieces[::50]:
                    assert os.pread(fd, 514, offset) == b"x" * 512 + b"\0\0"
                os.close(fd)

    def test_a_full_disk(self) -> None:
        with disks.ext4(2 << 20) as folder:
            driver = Erofs(folder + "/erofs")
            driver.create("a" * 64, None)
            with pytest.raises(ResourceExhausted, match="No space left on device"):
                driver.apply("a" * 64, io.BytesIO(tar(file("a", bytes(4 << 20)))))


class TestMend:
    @pytest.mark.parametrize("name", ["layer.erofs", "layer.data", "parent"])
    @pytest.mark.parametrize("harm", ["removed", "cut", "folder"])
    def test_what_can_be_made_again(self, driver: Erofs, tmp_path: Path, name: str, harm: str) -> None:
        base = layer(driver, None, tar(directory("d", mode=0o711), file("d/a", b"1" * 900)))
        top = layer(driver, base, tar(hardlink("l", "d/a"), file("d/b"), whiteout("nothing")))
        before = {path.name: path.read_bytes() for path in Path(driver.folder(top)).iterdir()}
        path = Path(driver.folder(top), name)
        path.write_bytes(path.read_bytes()[:-1]) if harm == "cut" else path.unlink()
        if harm == "folder":
            path.mkdir()
        assert list(driver.check(top, base)) != []
        found = list(driver.mend(top, base, lambda place: os.rename(place, tmp_path / "aside")))
        assert str(path) in found
        assert list(driver.check(top, base)) == []
        assert {path.name: path.read_bytes() for path in Path(driver.folder(top)).iterdir()} == before

    def test_a_sound_one_stays(self, driver: Erofs) -> None:
        base = layer(driver, None, tar(file("a")))
        driver.prepare("c", base)
        for tree, parent in ((base, None), ("c", base)):
            assert list(driver.mend(tree, parent, os.unlink)) == []

    def test_a_work_folder(self, driver: Erofs) -> None:
        base = layer(driver, None, tar(file("a")))
        driver.prepare("c", base)
        os.rmdir(driver.folder("c") + "/work")
        assert list(driver.check("c", base)) == ["erofs/c/work is missing"]
        assert list(driver.mend("c", base, os.unlink)) == [driver.folder("c") + "/work"]
        assert list(driver.check("c", base)) == []


def test_what_is_settled_later_reads_no_contents(driver: Erofs) -> None:
    """A layer that needs its parent is made of headers, and has the checksums that its contents had when they came."""
    base = layer(driver, None, tar(directory("d", mode=0o711), file("d/a")))
    data = tar(file("d/b", b"one" * 999), file("d/b", b"two"), symlink("d/c", "b"), file("e/f", b"three" * 9999))
    snapshot = secrets.token_hex(32)
    driver.create(snapshot, base)
    applied = driver.apply(snapshot, io.BytesIO(data))
    place = Path(driver.folder(snapshot), "layer.tar")
    place.write_bytes(data.replace(b"three", b"THREE").replace(b"two", b"TWO"))
    driver.commit(snapshot, base, applied)
    place.write_bytes(data)
    with driver.index(snapshot) as image:
        (d, e) = (inode for _, inode in image.names(image.root))
        assert d.mode & 0o7777 == 0o711
        sums = {name: image.checksum(inode.order) for folder in (d, e) for name, inode in image.names(folder)}
    assert sums == {b"b": checksum.of(b"two"), b"c": 0, b"f": checksum.of(b"three" * 9999)}
    assert list(driver.check(snapshot, base)) == []
