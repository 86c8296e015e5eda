"""Copies of trees: everything that a layer records comes along, and nothing leaves the target."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import trees

from lamina.snapshot.copying import Copier, NotADirectory, copy_file
from lamina.tar.root import Root

pytestmark = pytest.mark.root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with an inode of every kind."""
    top = tmp_path / "source"
    (top / "d/e").mkdir(parents=True)
    (top / "d/file").write_bytes(os.urandom(3_000_000))
    (top / "d/e/hard").hardlink_to(top / "d/file")
    (top / "link").symlink_to("/nowhere")
    (top / "hard link").hardlink_to(top / "link")
    os.mkfifo(top / "pipe", 0o620)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chown(top / "d/file", 5, 6)
    os.chown(top / "link", 7, 8, follow_symlinks=False)
    os.chmod(top / "d/file", 0o4751)
    os.chmod(top / "d", 0o1777)
    os.setxattr(top / "d", b"trusted.mark", b"1")
    os.setxattr(top / "d/file", b"security.capability", bytes.fromhex("0000000201040000000000000000000000000000"))
    for path in ("d/file", "d/e", "d", "link"):
        os.utime(top / path, ns=(1, 1_600_000_000_123_456_789), follow_symlinks=False)
    return top


@pytest.fixture(params=["same disk", "other disk"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if request.param == "other disk" else tmp_path) as folder:
        yield Path(folder)


def copy(source: Path, target: Path, owner: tuple[int, int] | None = None, mode: int | None = None) -> None:
    with Root(str(source)) as one, Root(str(target)) as other:
        Copier(other, owner, mode).tree(one, b"", b"")


def test_all_of_a_tree(source: Path, target: Path) -> None:
    copy(source, target)
    assert trees.read(str(target)) == trees.read(str(source))
    copy(source, target)
    assert trees.read(str(target)) == trees.read(str(source)), "it replaces itself"


def test_owner_and_mode_for_all(source: Path, target: Path) -> None:
    copy(source, target, (9, 10), 0o700)
    nodes = trees.read(str(target))
    assert {node.owner for node in nodes.values()} == {(9, 10)}
    assert {node.mode for node in nodes.values() if node.kind != "symlink"} == {0o700}


def test_sockets_stay_behind(source: Path, target: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        copy(source, target)
    assert set(trees.read(str(source))) - set(trees.read(str(target))) == {"socket"}


def test_what_meets_what(source: Path, target: Path) -> None:
    (target / "d").mkdir()
    (target / "d/file").symlink_to("stays")
    (target / "d/stays").write_text("stays")
    (target / "link").write_text("goes")
    copy(source, target)
    assert trees.read(str(target)).keys() - trees.read(str(source)).keys() == {"d/stays"}
    assert (target / "d/stays").read_text() == "stays"
    assert (target / "link").is_symlink()


@pytest.mark.parametrize("path", ["d", "d/file", "link"])
def test_files_and_directories_do_not_replace_each_other(source: Path, target: Path, path: str) -> None:
    (target / path).parent.mkdir(exist_ok=True)
    (target / path).write_text("file") if path == "d" else (target / path).mkdir()
    with pytest.raises(NotADirectory, match=f"'/{path}'"):
        copy(source, target)


def test_a_directory_goes_over_a_link_inside_only(source: Path, target: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (target / "d").symlink_to(outside)
    with pytest.raises(NotADirectory):
        copy(source, target)
    inside = target / str(outside)[1:]
    inside.mkdir(parents=True)
    copy(source, target)
    assert sorted(os.listdir(inside)) == ["e", "file"]
    assert stat.S_IMODE(inside.stat().st_mode) == 0o1777
    assert stat.S_IMODE(outside.stat().st_mode) == 0o700, "the same path, but the host's"
    assert os.listdir(outside) == []


@pytest.mark.parametrize("name", ["d/file", "link", "pipe", "null"])
def test_one_file(source: Path, target: Path, name: str) -> None:
    folder, to = os.open(source, os.O_RDONLY), os.open(target, os.O_RDONLY)
    try:
        size = copy_file(folder, name.encode(), to, b"new")
    finally:
        os.close(folder)
        os.close(to)
    assert size == os.lstat(source / name).st_size
    expected = trees.read(str(source))[name]._replace(names=())
    assert trees.read(str(target)) == {"new": expected}
