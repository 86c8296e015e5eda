"""Copies into a directory that another process changes meanwhile: a directory and a link to outside swap places."""

import contextlib
import ctypes
import io
import multiprocessing
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import trees
from tests.tars import Member, directory, fifo, file, hardlink, symlink, tar

from lamina.containers.files import Merge, Place, copy, extract
from lamina.errors import LaminaError
from lamina.tar.apply import apply
from lamina.tar.changes import everything
from lamina.tar.pack import pack
from lamina.tar.reader import Reader
from lamina.tar.root import Root

pytestmark = pytest.mark.root
_EXCHANGE = 2
_TURNS = 150


def _swap(place: str, turns: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    """Exchange names for ever: a directory with a link to outside, and a file with a pipe."""
    call = ctypes.CDLL(None, use_errno=True).renameat2
    folder = os.open(place, os.O_RDONLY)
    while True:
        call(folder, b"d", folder, b"link", _EXCHANGE)
        call(folder, b"file", folder, b"pipe", _EXCHANGE)
        turns.value += 1


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Path]:
    """A folder in which names are swapped, beside one that must stay as it is."""
    place, outside = tmp_path / "place", tmp_path / "outside"
    (place / "d/e").mkdir(parents=True)
    (outside / "e").mkdir(parents=True)
    (outside / "f").write_text("secret")
    (outside / "e/f").write_text("secret")
    (place / "link").symlink_to(outside)
    (place / "file").write_text("file")
    os.mkfifo(place / "pipe")
    before = trees.read(str(outside)), os.stat(outside)[:6]
    turns = multiprocessing.get_context("fork").Value("L", 0)
    swapper = multiprocessing.get_context("fork").Process(target=_swap, args=(str(place), turns), daemon=True)
    swapper.start()
    try:
        yield place
        assert turns.value > 0
    finally:
        swapper.kill()
        swapper.join()
    assert (trees.read(str(outside)), os.stat(outside)[:6]) == before


MEMBERS: list[Member] = [
    directory("d", mode=0o777, uid=5),
    file("d/f", b"!", mode=0o4777, uid=5),
    directory("d/e", mode=0o777, uid=5, xattrs={"user.x": b"1"}),
    file("d/e/f", b"!", uid=5),
    symlink("d/l", "f"),
    hardlink("d/e/h", "d/f"),
    fifo("d/p", mode=0o666, uid=5),
    file("d/f", b"again"),
]


def _unpack(place: Path, folder: Path) -> None:
    with Root(str(place)) as root:
        apply(Reader(io.BytesIO(tar(*MEMBERS))), root, Merge())


def _cp_tar(place: Path, folder: Path) -> None:
    with Root(str(place)) as root:
        extract(io.BytesIO(tar(file("f", b"!"), file("e/f", b"!"))), Place(root, "/d", "it", follow=True))


def _cp_in(place: Path, folder: Path) -> None:
    (folder / "d/e").mkdir(parents=True, exist_ok=True)
    (folder / "d/f").write_text("!")
    (folder / "d/e/f").write_text("!")
    with Root(str(folder)) as source, Root(str(place)) as target:
        copy(Place(source, "/d/.", "the host", follow=False), Place(target, "/d", "it", follow=True), (5, 5))


def _cp_out(place: Path, folder: Path) -> None:
    """What comes out is the tree's own, and nobody waits at a pipe."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    with Root(str(place)) as source, Root(str(folder)) as target:
        copy(Place(source, "/.", "it", follow=False), Place(target, "/out", "the host", follow=True), None)


def _export(place: Path, folder: Path) -> None:
    with Root(str(place)) as root:
        assert b"secret" not in b"".join(pack(everything(root), root))


@pytest.mark.parametrize("way", [_unpack, _cp_tar, _cp_in, _cp_out, _export], ids=lambda way: way.__name__[1:])
def test_a_swapper(arena: Path, tmp_path: Path, way: Callable[[Path, Path], None]) -> None:
    (tmp_path / "work").mkdir()
    done = refused = 0
    for _ in range(_TURNS):
        try:
            way(arena, tmp_path / "work")
            done += 1
        except (LaminaError, OSError):
            refused += 1
    assert done + refused == _TURNS
    found = tmp_path / "work" / "out"
    for path in found.rglob("*") if found.exists() else ():
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.lstat(path).st_mode):
                assert path.read_text() != "secret"
