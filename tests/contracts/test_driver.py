"""The contract of storage drivers, proved for each of them."""

import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests import tars, trees
from tests.tars import directory, file, hardlink, opaque, symlink, tar, whiteout

from lamina.errors import DataLoss, LaminaError, NotSupported
from lamina.mount import detached
from lamina.snapshot import probe
from lamina.snapshot.driver import Driver
from lamina.streams import Pieces
from lamina.tar import split
from lamina.tar.changes import Kind
from lamina.tar.header import InvalidTar
from lamina.tar.pack import pack

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@pytest.fixture(params=probe.DRIVERS)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    return probe.make(request.param, str(tmp_path / request.param), privileged=True)


def layer(driver: Driver, parent: str | None, data: bytes) -> str:
    """Unpack a tar on top of a parent; return the new id."""
    snapshot = secrets.token_hex(32)
    driver.create(snapshot, parent)
    with io.BytesIO() as record, split.Recorder(record, "/tmp") as recorder:
        applied = driver.apply(snapshot, io.BytesIO(data), recorder)
    driver.commit(snapshot, parent, applied)
    return snapshot


def stack(driver: Driver, *layers: bytes) -> str:
    top: str | None = None
    for data in layers:
        top = layer(driver, top, data)
    assert top is not None
    return top


@contextmanager
def shown(driver: Driver, snapshot: str) -> Iterator[str]:
    """Mount a tree; give a path to it."""
    fd = detached(driver.mount(snapshot))
    try:
        yield f"/proc/self/fd/{fd}/"
    finally:
        os.close(fd)


def view(driver: Driver, snapshot: str) -> dict[str, trees.Node]:
    with shown(driver, snapshot) as path:
        fd = os.open(path, os.O_RDONLY)
        try:
            return trees.read(fd, directory_times=False)
        finally:
            os.close(fd)


def contents(driver: Driver, snapshot: str) -> dict[str, str]:
    """Every file's text, every other inode's kind, by path."""
    with shown(driver, snapshot) as path:
        return {
            name: Path(path, name).read_text() if node.kind == "file" else node.kind
            for name, node in view(driver, snapshot).items()
        }


class TestLayers:
    def test_one_layer(self, driver: Driver) -> None:
        base = stack(driver, tar(file("a", b"1"), directory("d"), file("d/b", b"2")))

        assert contents(driver, base) == {"a": "1", "d": "directory", "d/b": "2"}

    def test_upper_files_cover_lower_ones_and_directories_merge(self, driver: Driver) -> None:
        lower = tar(file("a", b"1"), directory("d"), file("d/x", b"low"), file("d/y", b"low"))
        top = stack(driver, lower, tar(file("a", b"2"), directory("d", mode=0o700), file("d/y", b"up")))

        assert contents(driver, top) == {"a": "2", "d": "directory", "d/x": "low", "d/y": "up"}
        assert view(driver, top)["d"].mode == 0o700

    def test_whiteout_hides_a_file_and_a_tree(self, driver: Driver) -> None:
        lower = tar(file("a"), directory("d"), directory("d/e"), file("d/e/f"), file("stays", b"s"))
        top = stack(driver, lower, tar(whiteout("a"), whiteout("d")))

        assert contents(driver, top) == {"stays": "s"}

    @pytest.mark.parametrize("first", ["file", "whiteout"])
    def test_whiteout_never_hides_what_its_own_layer_brings(self, driver: Driver, first: str) -> None:
        new = [directory("d"), file("d/new", b"n"), file("a", b"new")]
        gone = [whiteout("d"), whiteout("a")]
        members = new + gone if first == "file" else gone + new
        top = stack(driver, tar(directory("d"), file("d/old"), file("a", b"old")), tar(*members))

        assert contents(driver, top) == {"a": "new", "d": "directory", "d/new": "n"}

    @pytest.mark.parametrize("at", [0, 1, 2, 3])
    def test_opaque_marker_counts_wherever_it_stands(self, driver: Driver, at: int) -> None:
        members = [directory("d"), file("d/new", b"n"), directory("d/sub")]
        members.insert(at, opaque("d"))
        lower = tar(directory("d"), file("d/old"), directory("d/sub"), file("d/sub/old"), file("z"))
        top = stack(driver, lower, tar(*members))

        assert contents(driver, top) == {"d": "directory", "d/new": "n", "d/sub": "directory", "z": ""}

    def test_opaque_root_hides_all_below(self, driver: Driver) -> None:
        lower = tar(file("a"), directory("d"), file("d/x"))
        top = stack(driver, lower, tar(file("b", b"n"), file(".wh..wh..opq"), directory("d")))

        assert contents(driver, top) == {"b": "n", "d": "directory"}

    def test_a_directory_below_a_whiteout_is_a_new_one(self, driver: Driver) -> None:
        lower = tar(directory("d"), file("d/old"))
        top = stack(driver, lower, tar(whiteout("d"), file("d/new", b"n")))

        assert contents(driver, top) == {"d": "directory", "d/new": "n"}

    def test_whiteout_of_a_whiteout_of_three_layers(self, driver: Driver) -> None:
        top = stack(driver, tar(file("a", b"1")), tar(whiteout("a")), tar(file("a", b"3")), tar(whiteout("a")))

        assert contents(driver, top) == {}

    def test_files_of_aufs_mean_nothing(self, driver: Driver) -> None:
        members = [file(".wh..wh.aufs", b"x"), directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", b"y"), file("a")]

        assert contents(driver, stack(driver, tar(*members))) == {"a": ""}

    def test_implied_directory_keeps_the_metadata_below(self, driver: Driver) -> None:
        lower = tar(directory("tmp", mode=0o1777, uid=3, gid=4), directory("tmp/in", mode=0o700))
        top = stack(driver, lower, tar(file("tmp/in/new")))

        assert (view(driver, top)["tmp"].mode, view(driver, top)["tmp"].owner) == (0o1777, (3, 4))
        assert view(driver, top)["tmp/in"].mode == 0o700

    def test_a_directory_is_what_the_topmost_layer_says(self, driver: Driver) -> None:
        lower = tar(directory("d", mode=0o700, uid=3, gid=4, xattrs={"user.a": b"1", "user.b": b"1"}), file("d/x"))
        top = stack(driver, lower, tar(directory("d", xattrs={"user.b": b"2"})))

        found = view(driver, top)["d"]
        assert (found.mode, found.owner, found.xattrs) == (0o755, (0, 0), (("user.b", b"2"),))

    def test_a_directory_by_two_names(self, driver: Driver) -> None:
        again = [symlink("l", "d"), directory("d/a"), directory("l/a", mode=0o700)]

        assert view(driver, stack(driver, tar(*again)))["d/a"].mode == 0o700
        assert view(driver, stack(driver, tar(*again, file("l"))))["d/a"].mode == 0o700

    def test_type_changes(self, driver: Driver) -> None:
        lower = tar(file("a"), directory("b"), file("b/x"), symlink("c", "a"), directory("d"))
        top = stack(
            driver, lower, tar(directory("a"), file("a/y"), file("b", b"file"), directory("c"), symlink("d", "b"))
        )

        assert contents(driver, top) == {"a": "directory", "a/y": "", "b": "file", "c": "directory", "d": "symlink"}

    def test_name_below_a_link_of_the_same_layer(self, driver: Driver) -> None:
        top = stack(
            driver, tar(directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib"), file("lib/so", b"x"))
        )

        assert contents(driver, top)["usr/lib/so"] == "x"

    def test_size_counts_files_and_links_once(self, driver: Driver) -> None:
        data = tar(file("a", b"12345"), hardlink("b", "a"), symlink("s", "abc"), directory("d"), whiteout("gone"))
        driver.create("x", None)
        with io.BytesIO() as record, split.Recorder(record, "/tmp") as recorder:
            applied = driver.apply("x", io.BytesIO(data), recorder)

        assert driver.commit("x", None, applied) == 8

    def test_size_of_replaced_files_does_not_count(self, driver: Driver) -> None:
        base = layer(driver, None, tar(file("low", b"123456789")))
        data = tar(file("a", b"12345"), file("a", b"1"), directory("d"), file("d/x", b"123"), file("d", b"12"))
        driver.create("x", base)
        with io.BytesIO() as record, split.Recorder(record, "/tmp") as recorder:
            applied = driver.apply("x", io.BytesIO(data), recorder)

        assert driver.commit("x", base, applied) == 3


class TestHardLinks:
    def test_within_a_layer(self, driver: Driver) -> None:
        top = stack(driver, tar(file("a", b"1"), hardlink("b", "a"), symlink("s", "a"), hardlink("t", "s")))

        assert view(driver, top)["b"].names == ("a",)
        assert view(driver, top)["t"].kind == "symlink"

    def test_into_a_lower_layer(self, driver: Driver) -> None:
        lower = tar(directory("d", mode=0o711), file("d/a", b"1", mode=0o751, uid=9), hardlink("x", "d/a"))
        top = stack(
            driver, lower, tar(file("other")), tar(directory("n"), hardlink("n/b", "d/a"), hardlink("c", "n/b"))
        )

        assert contents(driver, top)["n/b"] == "1"
        assert "n/b" in view(driver, top)["c"].names
        assert (view(driver, top)["n/b"].mode, view(driver, top)["n/b"].owner) == (0o751, (9, 0))
        assert view(driver, top)["d"].mode == 0o711

    def test_into_a_lower_layer_of_a_name_that_goes(self, driver: Driver) -> None:
        top = stack(driver, tar(file("a", b"1")), tar(hardlink("b", "a"), whiteout("a")))

        assert contents(driver, top) == {"b": "1"}

    def test_to_a_name_that_its_layer_hides(self, driver: Driver) -> None:
        with pytest.raises(InvalidTar, match="hard link 'b' to"):
            stack(driver, tar(file("a", b"1")), tar(whiteout("a"), hardlink("b", "a")))

    def test_without_a_target(self, driver: Driver) -> None:
        with pytest.raises(InvalidTar, match="hard link 'b' to 'nowhere', which is in no layer below"):
            stack(driver, tar(file("a")), tar(hardlink("b", "nowhere")))

    def test_to_itself(self, driver: Driver) -> None:
        top = stack(driver, tar(file("a", b"1"), hardlink("a", "a")))

        assert contents(driver, top) == {"a": "1"}

    def test_replaced_later(self, driver: Driver) -> None:
        top = stack(driver, tar(file("a", b"1")), tar(hardlink("b", "a"), file("b", b"own")))

        assert contents(driver, top)["b"] == "own"

    def test_in_the_place_of_a_directory_that_has_its_target(self, driver: Driver) -> None:
        for layers in (
            [tar(directory("d"), file("d/x", b"1"), hardlink("d", "d/x"))],
            [tar(directory("d"), file("d/x", b"1")), tar(hardlink("d", "d/x"))],
            [tar(directory("d"), file("d/x", b"1"), file("z")), tar(hardlink("d", "z"), hardlink("e", "d/x"))],
        ):
            with pytest.raises(LaminaError, match=r"hard link '[de]' to 'd/x', which is in|'d' is not a directory"):
                stack(driver, *layers)

    @pytest.mark.parametrize(
        "later",
        [
            [file("d", b"2")],
            [hardlink("d", "z")],
            [symlink("d", "z")],
            [symlink("d", "n"), directory("n")],
            [whiteout("d")],
            [directory("d"), opaque("d")],
            [opaque("")],
        ],
        ids=["file", "hard link", "link", "link to directory", "whiteout", "opaque", "opaque root"],
    )
    def test_whose_target_goes_later(self, driver: Driver, later: list[tars.Member]) -> None:
        lower = tar(directory("d"), file("d/x", b"1"), file("z", b"2"))
        top = stack(driver, lower, tar(hardlink("e", "d/x"), hardlink("f", "d/x"), *later))

        found = view(driver, top)
        assert (contents(driver, top)["e"], found["f"].names) == ("1", ("e",))
        assert not {"d/x", "z/x", "n/x"} & {*found}


class TestWritable:
    def test_begins_as_its_parent_and_leaves_it_alone(self, driver: Driver) -> None:
        base = stack(driver, tar(file("a", b"1"), directory("d"), file("d/x", b"2"), file("gone")))
        for name in ("one", "two"):
            driver.prepare(name, base)
        with shown(driver, "one") as path:
            Path(path, "a").write_text("changed")
            Path(path, "d/new").write_text("new")
            Path(path, "gone").unlink()

        assert contents(driver, "one") == {"a": "changed", "d": "directory", "d/x": "2", "d/new": "new"}
        assert contents(driver, "two") == {"a": "1", "d": "directory", "d/x": "2", "gone": ""}
        assert contents(driver, base) == contents(driver, "two")

    def test_changes(self, driver: Driver) -> None:
        base = stack(
            driver,
            tar(directory("etc"), file("etc/passwd", b"root"), file("etc/gone"), directory("usr"), file("usr/same")),
            tar(directory("var"), directory("var/lib"), file("var/lib/x"), file("etc/moved")),
        )
        driver.prepare("c", base)
        with shown(driver, "c") as path:
            Path(path, "etc/passwd").write_text("changed")
            Path(path, "etc/gone").unlink()
            Path(path, "new").mkdir()
            Path(path, "new/file").touch()
            shutil.rmtree(Path(path, "var/lib"))
            Path(path, "var/lib").mkdir()
            Path(path, "var/lib/y").touch()
            os.utime(Path(path, "usr/same"), ns=(0, Path(path, "usr/same").stat().st_mtime_ns))

        found = [(change.kind.letter, change.path.decode()) for change in driver.changes("c", base)]
        assert found == [
            ("C", "etc"),
            ("D", "etc/gone"),
            ("C", "etc/passwd"),
            ("A", "new"),
            ("A", "new/file"),
            ("C", "var"),
            ("C", "var/lib"),
            ("D", "var/lib/x"),
            ("A", "var/lib/y"),
        ]

    def test_nothing_changed(self, driver: Driver) -> None:
        base = stack(driver, tar(file("a"), directory("d")))
        driver.prepare("c", base)
        with shown(driver, "c") as path:
            Path(path, "a").read_text()

        assert list(driver.changes("c", base)) == []

    def test_metadata_changes(self, driver: Driver) -> None:
        base = stack(driver, tar(file("mode"), file("owner"), directory("d"), file("d/cap", b"x", mode=0o755)))
        driver.prepare("c", base)
        with shown(driver, "c") as path:
            os.chmod(Path(path, "mode"), 0o600)
            os.chown(Path(path, "owner"), 5, 6)
            capability = bytes.fromhex("0100000200040000000000000000000000000000")
            os.setxattr(Path(path, "d/cap"), "security.capability", capability)

        found = {change.path.decode(): change.kind for change in driver.changes("c", base)}
        assert found == dict.fromkeys(["mode", "owner", "d", "d/cap"], Kind.MODIFIED)

    def test_parent_of_none(self, driver: Driver) -> None:
        driver.prepare("c", None)
        with shown(driver, "c") as path:
            Path(path, "a").write_text("x")

        assert [(change.kind, change.path) for change in driver.changes("c", None)] == [(Kind.ADDED, b"a")]


class TestTars:
    def test_as_it_came_or_not_at_all(self, driver: Driver) -> None:
        data = tar(file("a", b"1"), file("a", b"2")) + b"junk"
        snapshot = layer(driver, None, data)
        if not driver.keeps_tars:
            with pytest.raises(NotSupported, match=f"the storage driver {driver.name} keeps no tars"):
                driver.tar(snapshot)
            return
        with driver.tar(snapshot) as kept:
            assert kept.read() == data
        with pytest.raises(DataLoss, match="No such file or directory"):
            driver.tar("absent")


class TestLife:
    def test_ids(self, driver: Driver) -> None:
        base = stack(driver, tar(file("a")))
        driver.prepare("c", base)

        assert set(driver) == {base, "c"}
        assert driver.exists(base)
        assert not driver.exists("other")

    def test_create_twice(self, driver: Driver) -> None:
        driver.create("x", None)
        with pytest.raises(FileExistsError):
            driver.create("x", None)

    def test_remove_is_idempotent(self, driver: Driver, tmp_path: Path) -> None:
        base = stack(driver, tar(file("a"), directory("d", mode=0)))
        driver.remove(base)
        driver.remove(base)

        assert not driver.exists(base)
        assert [path for path in (tmp_path / driver.name).rglob("*") if path.name not in ("l", "dir")] == []

    def test_absent_tree_is_data_loss(self, driver: Driver) -> None:
        with pytest.raises(DataLoss):
            driver.open("x")

    def test_check_finds_nothing_wrong(self, driver: Driver) -> None:
        base = layer(driver, None, tar(file("a")))
        top = layer(driver, base, tar(file("b")))

        assert list(driver.check(base, None)) == []
        assert list(driver.check(top, base)) == []

    def test_check_finds_a_missing_tree(self, driver: Driver) -> None:
        assert len(list(driver.check("absent", None))) == 1


_names = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
_members = st.one_of(
    st.builds(tars.file, _names, st.binary(max_size=8)),
    st.builds(tars.directory, _names, mode=st.sampled_from([0o755, 0o700])),
    st.builds(tars.symlink, _names, st.sampled_from(["a", "../b"])),
    st.builds(tars.whiteout, _names),
    st.builds(tars.opaque, _names),
    st.builds(tars.hardlink, _names, _names),
)


def _contradicts_itself(members: list[tars.Member]) -> bool:
    """Tell whether a layer hides something inside of what it hides: drivers may differ in what they leave."""
    names = [info.name.removesuffix("/.wh..wh..opq") for info, _ in members if ".wh." in info.name]
    hidden = [name.replace(".wh.", "") for name in names]
    return any(one.startswith(other + "/") for one in hidden for other in hidden)


_layers = st.lists(st.lists(_members, max_size=6), min_size=1, max_size=4)


@given(layers=_layers.filter(lambda layers: not any(map(_contradicts_itself, layers))))
def test_all_drivers_show_the_same(layers: list[list[tars.Member]], tmp_path_factory: pytest.TempPathFactory) -> None:
    seen: list[dict[str, trees.Node] | None] = []
    for name in probe.DRIVERS:
        driver = probe.make(name, str(tmp_path_factory.mktemp(name)), privileged=True)
        try:
            seen.append(view(driver, stack(driver, *(tar(*members) for members in layers))))
        except LaminaError:
            seen.append(None)
    links = any(info.islnk() for members in layers for info, _ in members)
    if links and None in seen:
        return  # drivers may differ in when they find that a hard link has no target

    assert all(one == seen[0] for one in seen)


_edits = st.lists(
    st.one_of(
        st.tuples(st.just("write"), _names, st.binary(max_size=8)),
        st.tuples(st.just("mkdir"), _names, st.just(b"")),
        st.tuples(st.just("remove"), _names, st.just(b"")),
        st.tuples(st.just("chmod"), _names, st.just(b"")),
        st.tuples(st.just("link"), _names, st.sampled_from([b"a", b"b/c", b"c/a/b"])),
    ),
    max_size=8,
)


@example(name="overlay2", layers=[[file("a/a/a")]], edits=[("remove", "a", b""), ("mkdir", "a/a", b"")])
@given(name=st.sampled_from(probe.DRIVERS), layers=_layers, edits=_edits)
def test_diff_applied_gives_the_tree_back(
    name: str,
    layers: list[list[tars.Member]],
    edits: list[tuple[str, str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    driver = probe.make(name, str(tmp_path_factory.mktemp(name)), privileged=True)
    try:
        base = stack(driver, *(tar(*members) for members in layers))
    except LaminaError:
        return
    driver.prepare("c", base)
    with shown(driver, "c") as path:
        for edit in edits:
            _edit(path, *edit)
    expected = view(driver, "c")
    with driver.open("c") as root:
        data = Pieces(pack(driver.changes("c", base), root)).read()
    again = layer(driver, base, data)

    assert _whole_seconds(view(driver, again)) == _whole_seconds(expected)


def _edit(base: str, verb: str, name: str, argument: bytes) -> None:
    path = Path(base, name)
    try:
        if verb == "write":
            path.write_bytes(argument)
        elif verb == "mkdir":
            path.mkdir(parents=True)
        elif verb == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif verb == "link":
            path.hardlink_to(Path(base, argument.decode()))
        else:
            path.chmod(0o711)
    except OSError:
        pass  # the name is not there, or is of another kind: nothing is edited


def _whole_seconds(nodes: dict[str, trees.Node]) -> dict[str, trees.Node]:
    """Leave out what a layer cannot keep: fractions of seconds, and links between names of different layers."""
    return {path: node._replace(mtime=node.mtime // 10**9, names=()) for path, node in nodes.items()}
