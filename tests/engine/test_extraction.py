"""Copies out of images: what `cp` makes of the same files in a tree, which is compared with docker's in tests/cli."""

import io
import os
import pathlib
import subprocess
import sys
import tarfile
from typing import NamedTuple

import pytest
from tests import samples, tars, trees, unprivileged
from tests.cli.test_cp import CASES, Case, members
from tests.samples import Sample
from tests.tars import directory, file, hardlink, symlink, tar, whiteout

from lamina.containers import files
from lamina.containers.files import CannotCopy, FileNotFound, Place
from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.layers.layers import LayerDamaged
from lamina.store.store import Store
from lamina.tar.root import Root


class Setting(NamedTuple):
    """An image with a folder for every case, and the same on the host, twice."""

    engine: Engine
    mine: pathlib.Path
    theirs: pathlib.Path


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("extraction")
    store = Store(str(folder / "store"), "vfs")
    data = tar(*(member for number in range(len(CASES)) for member in members(str(number))))
    samples.put(store, Sample([data], ["one"]))
    for name in ("mine", "theirs"):
        (folder / name).mkdir()
        subprocess.run(["tar", "-xpC", str(folder / name)], input=data, check=True)
    return Setting(Engine(store.paths.root, "vfs"), folder / "mine", folder / "theirs")


@pytest.mark.root
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_copy_is_what_cp_makes(setting: Setting, case: Case) -> None:
    number = CASES.index(case)
    path, follow = f"/{number}/s/{case.source}", "L" in case.option
    owner = None if "a" in case.option else (1, 2)
    outcomes = []
    for place in (setting.mine, setting.theirs):
        with Root(str(place)) as host:
            try:
                target = Place(host, f"{number}/t/{case.target}", "the host", follow=True)
                if place == setting.mine:
                    setting.engine.copy_files("one", path, target, owner, follow=follow)
                else:
                    files.copy(Place(host, path, "image one", follow=follow), target, owner)
                failure = None
            except LaminaError as error:
                failure = (type(error), str(error))
        outcomes.append((failure, _read(place / str(number))))
    assert outcomes[0] == outcomes[1]


def _read(folder: pathlib.Path) -> dict[str, trees.Node]:
    """Return a tree, but for the times of directories that were just written to."""
    found = trees.read(str(folder))
    is_new = {path: node.kind == "directory" and node.mtime > 1_700_000_000 * 10**9 for path, node in found.items()}
    return {path: node._replace(mtime=0) if is_new[path] else node for path, node in found.items()}


@pytest.mark.root
@pytest.mark.parametrize("path", ["/0/s/f", "/0/s/d", "0/s/d/.", "/0/s/ld", "/0/s/ld/", "/0/s/../s/f", "/0/s/lf"])
@pytest.mark.parametrize("follow", [False, True])
def test_a_tar_is_what_cp_makes(setting: Setting, path: str, follow: bool) -> None:
    with Root(str(setting.theirs)) as host:
        theirs = b"".join(files.archive(Place(host, path, "image one", follow=follow)))
    mine = b"".join(setting.engine.archive_files("one", path, follow=follow))
    assert _listed(mine) == _listed(theirs)


def _listed(data: bytes) -> list[tuple[object, ...]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as found:
        return [
            (one.name, one.type, one.mode & 0o7777, one.uid, one.gid, one.mtime, one.linkname, _content(found, one))
            for one in found
        ]


def _content(found: tarfile.TarFile, one: tarfile.TarInfo) -> bytes:
    stream = found.extractfile(one) if one.isreg() else None
    return stream.read() if stream else b""


LAYERS = [
    tar(directory("d"), file("d/a", b"a", xattrs={"user.x": b"y"}), file("d/gone"), tars.device("d/null", 1, 3)),
    tar(
        whiteout("d/gone"), hardlink("d/b", "d/a"), hardlink("d/c", "d/a"), symlink("out", "/etc"), tars.fifo("d/pipe")
    ),
]


@pytest.fixture(params=["vfs", "overlay2"])
def engine(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Engine:
    store = Store(str(tmp_path / "store"), request.param)
    samples.put(store, Sample(LAYERS, ["one"]))
    return Engine(store.paths.root, request.param)


@pytest.mark.root
@pytest.mark.overlay
def test_layers_are_one_tree(engine: Engine, tmp_path: pathlib.Path) -> None:
    (tmp_path / "to").mkdir()
    with Root("/") as host:
        engine.copy_files("one", "/d", Place(host, str(tmp_path / "to"), "the host", follow=True))
    found = trees.read(str(tmp_path / "to"))
    assert [*found] == ["d", "d/a", "d/b", "d/c", "d/null", "d/pipe"]
    assert (found["d/a"].names, found["d/a"].xattrs) == (("d/b", "d/c"), (("user.x", b"y"),))
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.archive_files("one", "/")))) as everything:
        assert everything.getnames() == [*found, "out"]
    assert (found["d/null"].content, found["d/pipe"].kind) == ("1:3", "fifo")


@pytest.mark.root
@pytest.mark.overlay
def test_links_of_the_image_lead_nowhere_on_the_host(engine: Engine, tmp_path: pathlib.Path) -> None:
    with Root("/") as host:
        target = Place(host, str(tmp_path), "the host", follow=True)
        for path in ("/out/hostname", "/d/../../etc/hostname"):
            with pytest.raises(FileNotFound, match="in image one"):
                engine.copy_files("one", path, target)
        with pytest.raises(CannotCopy, match="not a directory"):
            engine.copy_files("one", "/d/a/", target)


@pytest.mark.root
@pytest.mark.overlay
def test_a_damaged_file_is_not_left_on_the_host(engine: Engine, tmp_path: pathlib.Path) -> None:
    for place in pathlib.Path(engine.root).rglob("a"):
        place.write_bytes(b"b")
    with Root("/") as host, pytest.raises(LayerDamaged):
        engine.copy_files("one", "/d/a", Place(host, str(tmp_path / "a"), "the host", follow=True))
    assert not (tmp_path / "a").exists()


def test_holes_stay_holes(tmp_path: pathlib.Path) -> None:
    with open(tmp_path / "holes", "wb") as target:
        target.write(b"begins")
        target.truncate(1 << 30)
    store = Store(str(tmp_path / "store"), "vfs")
    samples.put(store, Sample([tars.gnu(tmp_path, "-S", names=["holes"])], ["one"]))
    with Root("/") as host:
        place = Place(host, str(tmp_path / "copied"), "the host", follow=True)
        Engine(store.paths.root, "vfs").copy_files("one", "holes", place, (os.geteuid(), os.getegid()))
    info = (tmp_path / "copied").stat()
    assert (info.st_size, info.st_blocks < 1 << 14) == (1 << 30, True)
    with open(tmp_path / "copied", "rb") as copied:
        assert copied.read(8) == b"begins\0\0"


SCRIPT = """
import sys
from lamina.cli.main import main

root = ["--root", sys.argv[1] + "/store"]
assert main([*root, "import", sys.argv[1] + "/layer.tar", "one:1"]) == 0
assert main([*root, "cp", "one:1:/d", sys.argv[1]]) == 0
"""


@pytest.mark.root
def test_no_right_is_needed(tmp_path: pathlib.Path) -> None:
    """Modes are those of the image; owners cannot be, and devices are left out."""
    layer = tar(directory("d", mode=0o555), file("d/x", b"x", mode=0o444, uid=7), tars.device("d/null", 1, 3))
    (tmp_path / "layer.tar").write_bytes(layer)
    os.chown(tmp_path, 12345, 12345)
    unprivileged.open_way(tmp_path)
    done = subprocess.run(
        unprivileged.command(sys.executable, "-c", SCRIPT, str(tmp_path)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = {path: (node.mode, node.owner) for path, node in trees.read(str(tmp_path / "d")).items()}
    assert found == {"x": (0o444, (12345, 12345))}
    assert (tmp_path / "d").stat().st_mode == 0o40555
