import errno
import os
import pathlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests import disks, peers, traces

MIB = 1 << 20


@pytest.fixture(params=["ext4", "xfs"])
def make(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[str]]:
    peers.need(disks.missing(request.param))
    return lambda: disks.disk(request.param, 300 * MIB)


def test_a_disk_comes_and_goes(make: Callable[[], AbstractContextManager[str]]) -> None:
    with make() as first, make() as second:
        assert first != second
        assert os.stat(first).st_dev != os.stat(second).st_dev != os.stat("/tmp").st_dev
        with open(f"{first}/file", "w") as file:
            file.write("x")
        assert "file" not in os.listdir(second)
    assert not os.path.exists(first)
    assert not traces.leftovers(first, second)


def test_a_full_disk_is_full(tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    with disks.ext4(8 * MIB) as folder:
        fd = os.open(f"{folder}/file", os.O_CREAT | os.O_WRONLY)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            os.posix_fallocate(fd, 0, 8 * MIB)
        os.close(fd)


def test_a_folder_of_ours_stays_ours(tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    (tmp_path / "here").mkdir()
    (tmp_path / "here/before").touch()
    with disks.ext4(4 * MIB, str(tmp_path / "here")) as folder:
        assert folder == str(tmp_path / "here")
        assert not (tmp_path / "here/before").exists()
    assert os.listdir(tmp_path / "here") == ["before"]
    with disks.ext4(4 * MIB, str(tmp_path / "new/one")):
        pass
    assert not (tmp_path / "new/one").exists()


def test_a_failing_block_leaves_nothing(tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    with pytest.raises(FileExistsError), disks.ext4(4 * MIB, str(tmp_path)):
        _mount_inside(tmp_path, tmp_path)
    assert not traces.leftovers(str(tmp_path))


def test_mounts_left_on_a_disk_are_an_error(tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    with pytest.raises(OSError, match=r"still mounted below .*: .*/in$"), disks.ext4(4 * MIB, str(tmp_path)):
        _mount_inside(tmp_path)
    assert not traces.leftovers(str(tmp_path))


def test_a_disk_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    with pytest.raises(peers.Failed, match=r"mkfs\.ext4"), disks.ext4(1000):
        pass
    assert not traces.leftovers()


def test_disks_need_their_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    peers.need(disks.missing())
    monkeypatch.setattr(peers, "PATH", "/nowhere")
    assert disks.missing("ext4") == "mkfs.ext4: mkfs.ext4 not installed"


def _mount_inside(*folders: pathlib.Path) -> None:
    for folder in folders:
        (folder / "in").mkdir()
        peers.Tool("mount")("-t", "tmpfs", "none", str(folder / "in"))
