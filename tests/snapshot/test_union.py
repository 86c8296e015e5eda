"""The union computed without a mount shows what the kernel's shows; and which driver a place gets."""

import itertools
import os
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import disks, peers

from lamina.mount import Mount, attach, detached
from lamina.namespaces import Namespace
from lamina.snapshot import probe
from lamina.snapshot.union import Union

pytestmark = [pytest.mark.root, pytest.mark.overlay]

OPAQUE = b"trusted.overlay.opaque"
NAMES = ("a", "b")
PATHS = ["/".join(parts) for depth in (1, 2, 3) for parts in itertools.product(NAMES, repeat=depth)]
Tree = dict[str, "Tree | str"]
"""A layer: a file, a whiteout, or a directory, which has the name `opaque` if it is."""

TREES = st.recursive(
    st.sampled_from(["file", "whiteout"]),
    lambda inner: st.dictionaries(st.sampled_from([*NAMES, "opaque"]), inner, max_size=3),
    max_leaves=8,
)
LAYERS = st.lists(st.dictionaries(st.sampled_from(NAMES), TREES, max_size=2), min_size=2, max_size=4)


def make(folder: Path, tree: Tree) -> None:
    folder.mkdir()
    for name, inner in tree.items():
        if name == "opaque":
            os.setxattr(folder, OPAQUE, b"y")
        elif isinstance(inner, dict):
            make(folder / name, inner)
        elif inner == "file":
            (folder / name).write_text(str(folder))
        else:
            os.mknod(folder / name, stat.S_IFCHR, 0)


def test_it_shows_what_the_kernel_shows(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("union")

    @settings(max_examples=300)
    @given(LAYERS)
    def is_the_same(layers: list[Tree]) -> None:
        shutil.rmtree(home)
        home.mkdir()
        for number, tree in enumerate(layers):
            make(home / str(number), tree)
        names = tuple(str(number) for number in range(len(layers)))
        fd = detached(Mount(str(home), names))
        try:
            with Union([str(home / name) for name in names], OPAQUE) as union:
                for path in PATHS:
                    place = union.find(path.encode())
                    found = _content(place.folder, os.fsdecode(place.name)) if place else ""
                    assert found == _content(fd, path), path
                for path in ("", *PATHS):
                    assert union.names(path.encode()) == _names(fd, path), path
        finally:
            os.close(fd)

    is_the_same()


def _content(fd: int, path: str) -> str:
    """Return what is at a path: the text of a file, `directory`, or nothing."""
    try:
        if stat.S_ISDIR(os.lstat(path, dir_fd=fd).st_mode):
            return "directory"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    with open(os.open(path, os.O_RDONLY, dir_fd=fd)) as file:
        return file.read()


def _names(fd: int, path: str) -> set[bytes]:
    """Return the names in a directory; where it is of one layer, the kernel also lists its whiteouts."""
    try:
        folder = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    except (FileNotFoundError, NotADirectoryError):
        return set()
    try:
        return {os.fsencode(name) for name in os.listdir(folder) if _content(folder, name)}
    finally:
        os.close(folder)


class TestProbe:
    def test_tars_where_they_can_be_mounted(self) -> None:
        peers.need(disks.missing())
        with disks.memory("erofs") as folder:
            before = os.listdir(folder)
            assert probe.choose(folder, privileged=True) == ("erofs", "erofs mounts here")
            assert os.listdir(folder) == before

    def test_overlay_where_it_works(self) -> None:
        with disks.memory("overlay2") as folder:
            name, reason = probe.choose(folder, privileged=True)
            assert name == "overlay2"
            assert reason.startswith("overlay2 mounts here; erofs does not work here: cannot mount ")
            assert os.listdir(folder) == []

    def test_copies_on_an_overlay(self, tmp_path: Path) -> None:
        for name in ("low", "upper", "work", "place"):
            (tmp_path / name).mkdir()
        with Namespace() as namespace:
            namespace.run(attach, Mount(str(tmp_path), ("low",), "upper", "work"), str(tmp_path / "place"))
            name, reason = namespace.run(lambda: probe.choose(str(tmp_path / "place"), privileged=True))
        assert name == "vfs"
        assert reason.startswith("erofs does not work here: cannot mount ")
        assert "; overlay2 does not work here: cannot mount " in reason
        assert os.listdir(tmp_path / "upper") == []

    def test_a_place_that_is_not_there(self, tmp_path: Path) -> None:
        name, reason = probe.choose(str(tmp_path / "absent"), privileged=True)
        assert name == "vfs"
        assert "No such file or directory" in reason
        assert os.listdir(tmp_path) == []
