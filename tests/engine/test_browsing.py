"""Files of images read without a mount: compared with what the kernel shows of the same layers."""

import hashlib
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from tests import samples, tars, trees, unprivileged
from tests.samples import Sample
from tests.tars import directory, file, hardlink, opaque, symlink, tar, whiteout

from lamina.engine import Engine
from lamina.engine.browsing import Tree
from lamina.errors import InvalidArgument, NotFound
from lamina.filetree import File
from lamina.layers.layers import LayerDamaged
from lamina.oci.digest import Digest
from lamina.snapshot import probe
from lamina.store.store import Store

UPPER = [
    directory("d", mode=0o711, uid=9),
    whiteout("d/old"),
    whiteout("plain"),
    file("d/new", b"new", xattrs={"user.colour": b"red"}),
    file("deep" * 5 + "/added", b"below an implied folder"),
    hardlink("linked up", "d/setuid"),
    hardlink("linked/up/too", "d/setuid"),
    file("link", b"was a link"),
    directory("empty"),
    file("d/" + "n" * 200, b"longer content of a long name"),
    whiteout("d/\udcff\udcfe"),
    file("d/\udcfe\udcff", b"not UTF-8 either"),
    symlink("d/dangling", "other"),
    opaque("real"),
    file("real/y", b"y"),
    directory("tree"),
    file("tree/x", b"a folder again"),
]
"""Changes of all kinds to what the corpus has, and to what it has not."""


@pytest.fixture(params=probe.DRIVERS)
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Store:
    return Store(str(tmp_path / "store"), request.param)


@pytest.mark.root
@pytest.mark.overlay
def test_a_tree_is_what_the_kernel_shows(store: Store, tmp_path: pathlib.Path) -> None:
    for name, base in tars.corpus(tmp_path).items():
        if name.startswith("huge"):
            continue
        has_setuid = name == "standard library"
        upper = [one for one in UPPER if has_setuid or one[0].linkname != "d/setuid"]
        for layers in (
            [base],
            [tar(*tars.odd_members()), base, tar(*upper)],
            [base, tar(*upper), tar(*tars.odd_members())],
        ):
            image_id = samples.put(store, Sample(layers))
            found, shown = seen(Tree(store, image_id)), mounted(store, image_id)
            if store.driver_name == "vfs":  # links to lower layers and what those link to are one file there
                found, shown = (_without_names(one) for one in (found, shown))
            assert found == shown, name


def _without_names(tree: dict[str, trees.Node]) -> dict[str, trees.Node]:
    return {path: node._replace(names=()) for path, node in tree.items()}


def mounted(store: Store, image_id: Digest) -> dict[str, trees.Node]:
    top = store.layers.get(_chains(store, image_id)[-1])
    with store.layers.tree(top) as root:
        return trees.read(root.fd, directory_times=False)


def seen(tree: Tree) -> dict[str, trees.Node]:
    """Return the same, of the tree as it is read."""
    files = list(tree.walk(tree.find("/")))
    names: dict[tuple[int, int], list[str]] = {}
    for one in files:
        names.setdefault(one.identity, []).append(os.fsdecode(one.path))
    return {
        os.fsdecode(one.path): _node(tree, one, names[one.identity])
        for one in sorted(files, key=lambda one: os.fsdecode(one.path))
    }


def _node(tree: Tree, file: File, names: list[str]) -> trees.Node:
    inode, content = file.inode, ""
    kind = trees._KINDS[stat.S_IFMT(inode.mode)]
    if kind == "file":
        with tree.open(file) as stream:
            content = hashlib.sha256(stream.read()).hexdigest()
    elif kind == "symlink":
        content = os.fsdecode(file.target)
    elif kind in ("character", "block"):
        content = "{}:{}".format(*inode.device)
    xattrs = tuple(sorted((key.decode(), value) for key, value in file.xattrs.items()))
    mtime = 0 if inode.is_directory else inode.mtime
    others = () if inode.is_directory else tuple(sorted(set(names) - {os.fsdecode(file.path)}))
    return trees.Node(kind, stat.S_IMODE(inode.mode), (inode.uid, inode.gid), mtime, content, xattrs, others)


def _chains(store: Store, image_id: Digest) -> list[Digest]:
    from lamina.oci import digest

    return digest.chains(store.images.get(image_id).diff_ids)


BASE = tar(
    directory("etc"), file("etc/os-release", b"ID=one\n"), symlink("etc/up", "../../../etc"), symlink("dev", "/etc")
)


@pytest.fixture
def engine(store: Store) -> Engine:
    return Engine(store.paths.root, store.driver_name)


def test_a_file_is_opened_inside_of_the_image(store: Store, engine: Engine) -> None:
    samples.put(store, Sample([BASE], ["one"]))
    for path in ("/etc/os-release", "etc/os-release", "/etc/up/os-release", "/../dev/os-release"):
        with engine.open_file("one", path) as stream:
            assert stream.read(3) == b"ID="
            assert stream.readline() == b"one\n"
            assert stream.read() == b""
    with pytest.raises(InvalidArgument, match="/etc: Is a directory"):
        engine.open_file("one", "/dev")
    with pytest.raises(NotFound, match="/etc/passwd"):
        engine.open_file("one", "/etc/passwd")


def test_holes_are_read_as_zeros(store: Store, engine: Engine, tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "holes", "wb") as target:
        target.truncate(9 << 30)
        target.write(b"begins")
        target.seek((9 << 30) - 5)
        target.write(b"ends!")
    samples.put(store, Sample([tars.gnu(tmp_path, "-S", names=["holes"])], ["one"]))
    with engine.open_file("one", "holes") as stream:
        assert stream.read(8) == b"begins\0\0"
        assert stream.read(5 << 20) == bytes(5 << 20)
    (found,) = engine.image_files("one")
    assert found.size == 9 << 30


@pytest.mark.parametrize("looked", ["before", "never before"])
@pytest.mark.parametrize("how", ["changed", "shorter", "gone", "a link"])
def test_a_file_that_was_modified_is_seen(
    store: Store, engine: Engine, how: str, looked: str, tmp_path: pathlib.Path
) -> None:
    samples.put(store, Sample([tar(file("d/x", b"what it was"))], ["one"]))
    if looked == "before":
        with engine.open_file("one", "d/x") as stream:
            assert stream.read() == b"what it was"
    name = "layer.tar" if store.driver_name == "erofs" else "x"
    folder = pathlib.Path(store.paths.driver(store.driver_name))
    (place,) = (path for path in folder.rglob(name) if not path.is_symlink())
    data = place.read_bytes()
    match how:
        case "changed":
            place.write_bytes(data.replace(b"what it was", b"what it is!"))
        case "shorter":
            place.write_bytes(data[: data.index(b"it was")])
        case "gone":
            place.unlink()
        case _:
            (tmp_path / "x").write_bytes(data.replace(b"what it was", b"what it is!") if name != "x" else data)
            place.unlink()
            place.symlink_to(tmp_path / "x")
    with pytest.raises(LayerDamaged), engine.open_file("one", "d/x") as stream:
        stream.read()


@pytest.mark.parametrize("store", ["overlay2", "vfs"], indirect=True)
def test_indexes_come_and_go(store: Store, engine: Engine) -> None:
    samples.put(store, Sample([BASE], ["one"]))
    samples.put(store, Sample([BASE, tar(file("x"))], ["two"]))
    folder = pathlib.Path(store.paths.filetree)
    assert not folder.exists()
    assert len(list(engine.image_files("two", deep=True))) == 5
    assert len(list(folder.iterdir())) == 2
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert len(list(engine.image_files("two", deep=True))) == 5
    engine.remove_image("two")
    assert len(list(folder.iterdir())) == 1
    (folder / ("0" * 64)).touch()  # of a layer that another program has removed
    (folder / "half.1234").touch()  # of a process that was killed
    samples.put(store, Sample([BASE, tar(file("y"))], ["three"]))
    list(engine.image_files("three"))
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("store", ["erofs"], indirect=True)
@pytest.mark.parametrize("harm", ["changed", "cut", "of another version"])
def test_what_is_kept_beside_a_tar_is_read(store: Store, engine: Engine, harm: str) -> None:
    samples.put(store, Sample([BASE, tar(file("x"))], ["two"]))
    assert len(list(engine.image_files("two", deep=True))) == 5
    assert not pathlib.Path(store.paths.filetree).exists()
    (path, *_) = pathlib.Path(store.paths.driver("erofs")).rglob("layer.erofs")
    data = path.read_bytes()
    match harm:
        case "changed":
            path.write_bytes(data[:-1] + b"?")
        case "cut":
            path.write_bytes(data[:-1])
        case _:  # the image alone, as it was before checksums stood behind it, with its digest
            body = bytearray(data[: int.from_bytes(data[1060:1064], "little") * 512])
            body[1072:1088] = bytes(16)
            body[1072:1088] = hashlib.sha256(body).digest()[:16]
            path.write_bytes(body)
    with pytest.raises(LayerDamaged, match="of another version" if "version" in harm else "is damaged"):
        engine.image_files("two")
    with Engine(store.paths.root, "erofs") as other:
        assert any("layer.erofs is damaged" in problem for problem in other.check())
        assert list(other.repair())
    assert path.read_bytes() == data


def test_an_index_is_read_and_not_made_again(store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.put(store, Sample([BASE], ["one"]))
    list(engine.image_files("one"))
    monkeypatch.setattr(type(store.layers), "outline", None)
    assert [found.path for found in engine.image_files("one")] == [b"dev", b"etc"]


SCRIPT = """
import sys
from lamina.engine import Engine

with Engine(sys.argv[1], sys.argv[2]) as engine:
    with engine.edit(created=0) as image:
        image.append(open(sys.argv[3], "rb"))
        image.commit("one")
    assert [found.path for found in engine.image_files("one", "/d")] == [b"d/secret"]
    (found,) = engine.image_files("one", "d/secret")
    assert (found.mode, found.uid) == (0o100000, 7), found
    with engine.open_file("one", "/d/secret") as stream:
        print(stream.read().decode())
"""


@pytest.mark.root
def test_no_right_is_needed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "layer.tar").write_bytes(tar(directory("d", mode=0), file("d/secret", b"told", mode=0, uid=7)))
    os.chown(tmp_path, 12345, 12345)
    unprivileged.open_way(tmp_path)
    words = (sys.executable, "-c", SCRIPT, str(tmp_path / "store"), "vfs", str(tmp_path / "layer.tar"))
    done = subprocess.run(unprivileged.command(*words), capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("told\n", "")


def test_where_an_index_cannot_be_kept_it_is_made_each_time(store: Store, engine: Engine) -> None:
    samples.put(store, Sample([BASE], ["one"]))
    pathlib.Path(store.paths.filetree).touch()
    for _ in range(2):
        with engine.open_file("one", "/etc/os-release") as stream:
            assert stream.read() == b"ID=one\n"
