"""Files that appear whole or not at all, also under SIGKILL; trees that go away, however deep and odd."""

import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import disks, peers

from lamina import files

REPLACER = """
import itertools, sys
from lamina.files import replace

print("ready", flush=True)
for number in itertools.count():
    replace(sys.argv[1], (b"%d\\n" % number) * 20_000)
"""


def test_replace(tmp_path: Path) -> None:
    path = tmp_path / "f"
    files.replace(str(path), b"one")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o644)
    files.replace(str(path), b"two", 0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o600)
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("size", [0, 5, (files.EAGER << 1) + 5])
def test_all_bytes_come_in_one_step(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with files.replacing(str(path)) as file:
        for at in range(0, size, 1 << 20):
            file.write(b"x" * min(1 << 20, size - at))
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"x" * size


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.replace(str(tmp_path / "f"), b"", 0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o644


def test_a_failing_block_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.replacing(str(path)) as file:
        file.write(b"new" + bytes([1 // 0]))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_readers_see_the_old_file_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with open(path, "rb") as reader, files.replacing(str(path)) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_directory_in_the_place_stays(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace(str(tmp_path / "d"), b"x")
    assert os.listdir(tmp_path) == ["d"]


@pytest.mark.root
def test_a_full_disk_changes_nothing() -> None:
    peers.need(disks.missing())
    with disks.ext4(4 << 20) as folder:
        path = os.path.join(folder, "f")
        files.replace(path, b"old")
        before = os.listdir(folder)
        with pytest.raises(OSError, match="No space left"):
            files.replace(path, bytes(8 << 20))
        assert Path(path).read_bytes() == b"old"
        assert os.listdir(folder) == before


def test_killed_at_any_moment_it_is_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "f"
    chance = random.Random(1)
    for _ in range(8):
        files.replace(str(path), b"old\n" * 20_000)
        with subprocess.Popen([sys.executable, "-c", REPLACER, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.random() / 50)
            process.send_signal(signal.SIGKILL)
        lines = path.read_bytes().split(b"\n")
        assert len(lines) == 20_001
        assert len(set(lines[:-1])) == 1


def test_the_mode_of_what_a_link_names_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    (tmp_path / "link").symlink_to("file")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for name, mode in ((b"link", 0o600), (b"file", 0o4751)):
            files.chmod(name, 0o4751, folder)
            assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    finally:
        os.close(folder)


class TestRemoveTree:
    def test_absent(self, tmp_path: Path) -> None:
        files.remove_tree(str(tmp_path / "absent"))

    def test_files_links_and_what_links_name(self, tmp_path: Path) -> None:
        keep = tmp_path / "keep"
        keep.mkdir()
        (keep / "f").touch()
        top = tmp_path / "top"
        (top / "a" / "b").mkdir(parents=True)
        (top / "a" / "link").symlink_to(keep)
        (top / "a" / "up").symlink_to("..")
        (top / "a" / "dangling").symlink_to("nowhere")
        (top / "hard").hardlink_to(keep / "f")
        os.mkfifo(top / "fifo")
        files.remove_tree(str(top))
        assert [path.name for path in tmp_path.iterdir()] == ["keep"]
        assert [path.name for path in keep.iterdir()] == ["f"]

    def test_a_link_itself_and_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "link").symlink_to("d")
        (tmp_path / "f").touch()
        files.remove_tree(str(tmp_path / "link"))
        files.remove_tree(str(tmp_path / "f"))
        assert [path.name for path in tmp_path.iterdir()] == ["d"]

    def test_below_a_descriptor(self, tmp_path: Path) -> None:
        (tmp_path / "a/b").mkdir(parents=True)
        fd = os.open(tmp_path, os.O_RDONLY)
        try:
            files.remove_tree(b"a", fd)
        finally:
            os.close(fd)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "name", [b"\xff\xfe", b"a\nb", b" ", b"-rf", b"*", b"\\", b"...", b"x" * 255, "ü".encode()]
    )
    def test_odd_names(self, tmp_path: Path, name: bytes) -> None:
        folder = os.path.join(os.fsencode(tmp_path), b"top", name, name)
        os.makedirs(folder)
        with open(os.path.join(folder, name), "wb"):
            pass
        files.remove_tree(str(tmp_path / "top"))
        assert list(tmp_path.iterdir()) == []

    def test_deeper_than_any_path_and_than_descriptors_go(self, tmp_path: Path) -> None:
        fd = os.open(tmp_path, os.O_RDONLY)
        for _ in range(1200):
            os.mkdir("directory", dir_fd=fd)
            os.mkdir("another", dir_fd=fd)
            inner = os.open("directory", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.close(fd)
        before = os.listdir("/proc/self/fd")
        files.remove_tree(str(tmp_path / "directory"))
        assert os.listdir("/proc/self/fd") == before
        assert os.listdir(tmp_path) == ["another"]

    def test_wide(self, tmp_path: Path) -> None:
        top = tmp_path / "top"
        for at in range(12):
            (top / f"{at}").mkdir(parents=True)
            for inner in range(12):
                (top / f"{at}" / f"{inner}").touch()
        files.remove_tree(str(top))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.root
    def test_what_cannot_be_removed_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "top/mounted").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "top/mounted"], check=True)
        try:
            with pytest.raises(OSError, match="busy"):
                files.remove_tree(str(tmp_path / "top"))
        finally:
            subprocess.run(["umount", tmp_path / "top/mounted"], check=True)


def test_a_large_file_goes_to_the_disk_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    size = (files.EAGER << 1) + 5
    with files.replacing(str(path), 0o640) as file:
        for at in range(0, size, 1 << 20):
            file.write(b"x" * min(1 << 20, size - at))
        assert path.read_bytes() == b"old"
    assert (path.stat().st_size, stat.S_IMODE(path.stat().st_mode)) == (size, 0o640)
    assert os.listdir(tmp_path) == ["file"]


def test_an_eager_file_is_new_and_whole(tmp_path: Path) -> None:
    path, size = tmp_path / "file", (files.EAGER << 1) + 5
    with files.eager(str(path)) as file:
        for at in range(0, size, 1 << 20):
            file.write(b"x" * min(1 << 20, size - at))
        assert file.tell() == size
    assert path.read_bytes() == b"x" * size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        files.eager(str(path))
