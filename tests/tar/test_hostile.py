"""Tars and trees that want out: no name, link or race leads outside of the tree, whatever the driver."""

import contextlib
import copy
import io
import itertools
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import trees
from tests.tars import Member, device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout

from lamina.errors import InvalidArgument, LaminaError
from lamina.snapshot import probe
from lamina.snapshot.driver import Driver
from lamina.tar.root import Breakout, NotBelow, Root, clean

OUT = "/@"
"""In names and links of these tests: the folder outside, by its absolute path."""

UP = "../" * 12 + "@"
"""The same, by going up."""

OUTWARD = ["../x", "..", "a/../../x", "/../x", "./../x", "d/./../../x", "d//../../x"]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with a secret, which must be the same afterwards."""
    folder = tmp_path / "outside"
    folder.mkdir(mode=0o750)
    (folder / "secret").write_text("secret")
    (folder / "d").mkdir()
    before = trees.read(str(folder)), folder.stat().st_mode, folder.stat().st_uid
    yield folder
    assert (trees.read(str(folder)), folder.stat().st_mode, folder.stat().st_uid) == before
    assert {"outside"} <= set(os.listdir(tmp_path)) <= {"outside", "tree", "store"}


@pytest.fixture(params=probe.DRIVERS)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    return probe.make(request.param, str(tmp_path / "store"), privileged=True)


def layer(driver: Driver, parent: str | None, *members: Member) -> str:
    snapshot = secrets.token_hex(32)
    driver.create(snapshot, parent)
    driver.commit(snapshot, parent, driver.apply(snapshot, io.BytesIO(tar(*members))))
    return snapshot


class _Nobody:
    def keep(self, fd: int) -> None:
        pass


def aimed(members: list[Member], outside: Path) -> list[Member]:
    """Return members whose names and links mean a folder."""
    for info, _ in members:
        info.name = info.name.replace("@", str(outside)[1:])
        info.linkname = info.linkname.replace("@", str(outside)[1:])
    return members


class TestNames:
    @pytest.mark.parametrize("name", OUTWARD)
    def test_clean_refuses_what_leads_out(self, name: str) -> None:
        with pytest.raises(Breakout, match="is outside of the tree"):
            clean(name.encode())

    @given(st.text("a./\0", max_size=12))
    def test_clean_climbs_nowhere(self, name: str) -> None:
        depths = itertools.accumulate({"": 0, ".": 0, "..": -1}.get(part, 1) for part in name.split("/"))
        if "\0" in name or min(depths) < 0:
            with pytest.raises(Breakout):
                clean(name.encode())
        else:
            assert f"/{clean(name.encode()).decode()}" == os.path.normpath(f"/{name.lstrip('/')}")

    @pytest.mark.root
    @pytest.mark.overlay
    @pytest.mark.parametrize("make", [file, directory, fifo], ids=lambda make: make.__name__)
    @pytest.mark.parametrize("name", OUTWARD)
    def test_no_entry_leads_out(self, driver: Driver, outside: Path, name: str, make: object) -> None:
        with pytest.raises(Breakout):
            layer(driver, None, file("first"), make(name))  # type: ignore[operator]

    @pytest.mark.root
    @pytest.mark.overlay
    @pytest.mark.parametrize("target", OUTWARD)
    def test_no_hard_link_leads_out(self, driver: Driver, outside: Path, target: str) -> None:
        with pytest.raises(Breakout):
            layer(driver, None, hardlink("link", target))

    @pytest.mark.root
    @pytest.mark.overlay
    def test_no_whiteout_leads_out(self, driver: Driver, outside: Path) -> None:
        for name in ("../.wh.outside", "d/../../.wh.outside", ".wh...", ".wh..", ".wh."):
            with pytest.raises(InvalidArgument):
                layer(driver, None, file(name))


WAYS: dict[str, list[Member]] = {
    "a file over a link": [symlink("l", OUT), file("l/x", b"!")],
    "a file over a link that goes up": [symlink("l", UP), file("l/x", b"!")],
    "a link in a directory": [directory("d"), symlink("d/l", UP), file("d/l/x", b"!")],
    "a chain of links": [symlink("a", "b"), symlink("b", "d/c"), directory("d"), symlink("d/c", OUT), file("a/x")],
    "up by links": [symlink("up", ".."), symlink("l", "up/up/up/up/up/up/up/up/up/@"), file("l/x", b"!")],
    "a file in the place of a link": [symlink("l", f"{OUT}/secret"), file("l", b"!", uid=5, mode=0o4777)],
    "a directory in the place of a link": [symlink("l", OUT), directory("l", mode=0o777, uid=5), file("l/secret")],
    "a link in the place of a directory": [directory("d", mode=0o777, uid=5), symlink("d", OUT)],
    "a link on the way to a directory": [
        directory("d"), directory("d/d", mode=0o777, uid=5), symlink("d", OUT), file("d/secret", b"!"),
    ],
    "the owner of a link": [symlink("l", f"{OUT}/secret", uid=5, gid=5, mtime=1)],
    "a hard link over a link": [symlink("l", OUT), directory("l/"), hardlink("h", "l/secret"), file("l/secret", b"!")],
    "a hard link to a link": [symlink("l", f"{OUT}/secret"), hardlink("h", "l"), file("h", b"!", mode=0o777)],
    "a hard link into a link": [symlink("l", OUT), file("f", b"!"), hardlink("l/secret", "f")],
    "a device over a link": [symlink("l", OUT), device("l/null", 1, 3)],
    "a pipe over a link": [symlink("l", OUT), fifo("l/pipe")],
    "a whiteout over a link": [symlink("l", OUT), whiteout("l/secret"), whiteout("l/d")],
    "an opaque link": [symlink("l", OUT), opaque("l")],
    "a link for what was made on the way": [file("d/e/f"), symlink("d", OUT), file("d/d/f", b"!")],
    "attributes of a link": [symlink("l", f"{OUT}/secret", xattrs={"trusted.x": b"1"})],
}  # fmt: skip


@pytest.mark.root
@pytest.mark.overlay
class TestLinks:
    """What goes over links ends inside, or nowhere: `outside` looks."""

    @pytest.mark.parametrize("way", WAYS)
    def test_in_one_layer(self, driver: Driver, outside: Path, way: str) -> None:
        with contextlib.suppress(LaminaError):
            layer(driver, None, *aimed(_copy(WAYS[way]), outside))

    @pytest.mark.parametrize("way", WAYS)
    def test_with_the_links_in_the_layer_below(self, driver: Driver, outside: Path, way: str) -> None:
        members = aimed(_copy(WAYS[way]), outside)
        links = [member for member in members if member[0].issym()]
        base = layer(driver, None, directory("d"), *links)
        with contextlib.suppress(LaminaError):
            layer(driver, base, *[member for member in members if not member[0].issym()])

    @pytest.mark.parametrize("link", [OUT, UP])
    def test_a_link_means_a_place_in_its_own_tree(self, driver: Driver, outside: Path, link: str) -> None:
        place = str(outside)[1:]
        members = aimed([symlink("l", link), directory(place), file("l/secret", b"inside")], outside)
        snapshot = layer(driver, None, *members)
        with driver.open(snapshot) as root:
            assert trees.read(root.fd)[f"{place}/secret"].kind == "file"

    def test_links_in_a_circle(self, driver: Driver, outside: Path) -> None:
        with pytest.raises(NotBelow, match="too many symbolic links"):
            layer(driver, None, symlink("a", "b"), symlink("b", "a"), file("a/x"))

    @pytest.mark.parametrize("count", [40, 41])
    def test_a_long_chain(self, driver: Driver, outside: Path, count: int) -> None:
        chain = [symlink(str(at), str(at + 1)) for at in range(count)]
        members = [directory(str(count)), *chain, file("0/x", b"!")]
        if count > 40:
            with pytest.raises(NotBelow, match="too many symbolic links"):
                layer(driver, None, *members)
            return
        with driver.open(layer(driver, None, *members)) as root:
            assert "40/x" in trees.read(root.fd)


def _copy(members: list[Member]) -> list[Member]:
    """Return members that may be changed."""
    return [(copy.copy(info), content) for info, content in members]


NAMES = st.sampled_from(["a", "b", "a/b", "b/a", "a/b/a", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", "a/../b", "../a"])
TARGETS = st.sampled_from(["a", "b", "../a", "/a", "/b/a", "..", "../..", "/", ".", OUT, UP, f"{OUT}/d", f"{UP}/d"])
OWNERS = st.sampled_from([0, 5])
MEMBERS = st.one_of(
    st.builds(file, NAMES, st.sampled_from([b"", b"!"]), uid=OWNERS, mode=st.sampled_from([0, 0o4777])),
    st.builds(directory, NAMES, uid=OWNERS, mode=st.sampled_from([0, 0o1777])),
    st.builds(symlink, NAMES, TARGETS, uid=OWNERS),
    st.builds(hardlink, NAMES, st.one_of(NAMES, TARGETS)),
    st.builds(fifo, NAMES),
)


@pytest.mark.root
@pytest.mark.overlay
@pytest.mark.parametrize("kind", probe.DRIVERS)
def test_no_tar_leads_out(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    outside = folder / "outside"
    (outside / "d").mkdir(parents=True)
    (outside / "secret").write_text("secret")
    driver = probe.make(kind, str(folder / "store"), privileged=True)
    before = trees.read(str(outside)), outside.stat().st_mode, outside.stat().st_uid

    @given(st.lists(st.lists(MEMBERS, max_size=6), min_size=1, max_size=3))
    def leads_nowhere(layers: list[list[Member]]) -> None:
        parent: str | None = None
        for members in layers:
            with contextlib.suppress(LaminaError):
                parent = layer(driver, parent, *aimed(_copy(members), outside))
        assert (trees.read(str(outside)), outside.stat().st_mode, outside.stat().st_uid) == before

    leads_nowhere()
    assert sorted(os.listdir(folder)) == ["outside", "store"]


FOLLOWED = {
    "": "", "file": "file", "file/x": "file/x", "absent": "absent", "absent/x": "absent/x", "dangling": "no/where",
    "relative": "file", "twice": "file", "d/up": "file", "d/far": "file", "absolute": "d/e", "in/up": "file",
    "in/e": "in/e", "round/x": "round/x",
}  # fmt: skip


class TestRoot:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        (tmp_path / "tree/d/e").mkdir(parents=True)
        return tmp_path / "tree"

    @pytest.mark.parametrize(("path", "expected"), FOLLOWED.items())
    def test_follow(self, tree: Path, path: str, expected: str) -> None:
        (tree / "file").touch()
        links = {"relative": "file", "d/up": "../file", "d/far": "../../../file", "absolute": "/d/e", "in": "/d"}
        for name, target in {**links, "dangling": "no/where", "twice": "relative", "round": "round"}.items():
            (tree / name).symlink_to(target)
        with Root(str(tree)) as root:
            found = root.follow(path.encode()).decode()
        assert found == expected

    def test_follow_in_a_circle(self, tree: Path) -> None:
        (tree / "a").symlink_to("d/b")
        (tree / "d/b").symlink_to("/a")
        with Root(str(tree)) as root, pytest.raises(NotBelow, match="too many symbolic links"):
            root.follow(b"a")

    def test_walk_stays_out_of_links(self, tree: Path, outside: Path) -> None:
        (tree / "d/out").symlink_to(outside)
        with Root(str(tree)) as root:
            assert [path for path, *_ in root.walk()] == [b"d", b"d/e", b"d/out"]
            assert [path for path, *_ in root.walk(prune=lambda path: path == b"d")] == [b"d"]

    def test_deeper_than_any_path_with_few_descriptors(self, tree: Path) -> None:
        path = b"/".join([b"deep" * 10] * 200)
        with Root(str(tree), max_open=3) as root:
            before = len(os.listdir("/proc/self/fd"))
            os.close(os.open(b"leaf", os.O_CREAT | os.O_WRONLY, dir_fd=root.directory(path, make=True)))
            assert len(os.listdir("/proc/self/fd")) <= before + 3
            assert root.made[-1] == path
            assert [*root.walk()][-1][0] == path + b"/leaf"

    def test_what_is_no_directory(self, tree: Path) -> None:
        (tree / "file").touch()
        with Root(str(tree)) as root:
            with pytest.raises(NotBelow, match="'file' is not a directory"):
                root.parent(b"file/x")
            with pytest.raises(FileNotFoundError):
                root.parent(b"absent/x")
            assert not (tree / "absent").exists()

    def test_no_descriptor_stays(self, tree: Path) -> None:
        (tree / "l").symlink_to("d/../d/e")
        before = len(os.listdir("/proc/self/fd"))
        with Root(str(tree)) as root:
            for path in (b"d/e/x", b"l/x", b"new/y/x"):
                root.parent(path, make=True)
            with contextlib.suppress(NotBelow, FileNotFoundError):
                root.parent(b"absent/x/y")
        assert len(os.listdir("/proc/self/fd")) == before

    def test_while_another_swaps_a_directory_for_a_link(self, tree: Path, outside: Path) -> None:
        (tree / "link").symlink_to(outside)
        (outside / "e").mkdir()
        ends = threading.Event()

        def swap() -> None:
            while not ends.is_set():
                for old, new in (("d", "aside"), ("link", "d"), ("d", "link"), ("aside", "d")):
                    os.rename(tree / old, tree / new)

        thread = threading.Thread(target=swap)
        thread.start()
        made = refused = 0
        try:
            with Root(str(tree)) as root:
                while thread.is_alive() and min(made, refused) < 50:
                    root.forget()
                    try:
                        folder, name = root.parent(b"d/e/%d" % made)
                    except (FileNotFoundError, NotBelow):
                        refused += 1
                        continue
                    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
                    made += 1
        finally:
            ends.set()
            thread.join()
        assert min(made, refused) == 50
        assert os.listdir(outside / "e") == []
        (outside / "e").rmdir()
