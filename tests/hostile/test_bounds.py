"""What is too large costs memory within a bound, and what is too deep costs what its size does, not its square."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import memory
from tests import disks, peers
from tests.cli.place import BIN, Lamina
from tests.hostile import bombs

from lamina.files import remove_tree
from lamina.snapshot import probe
from lamina.snapshot.driver import Driver
from lamina.streams import Pieces
from lamina.tar import apply
from lamina.tar.apply import ApplyFailed
from lamina.tar.header import InvalidTar

pytestmark = [pytest.mark.root, pytest.mark.overlay]

BOUND = 100
"""MB of a million bytes that a command may need here, the interpreter included."""

SMALL: dict[str, tuple[Callable[[int], Iterator[bytes]], int, str]] = {
    "files": (bombs.wide, 5_000, ""),
    "directories": (bombs.parted, 5_000, ""),
    "depth": (bombs.deep, 1_000, ""),
    "depth at once": (bombs.deep_at_once, 1_000, ""),
    "zeros": (bombs.zeros, 100 << 20, "gzip"),
    "zeros after the end": (bombs.after_the_end, 100 << 20, "zstd"),
    "pieces": (bombs.pieces, 100_000, ""),
}


class _Nobody:
    def keep(self, fd: int) -> None:
        pass


@pytest.fixture(params=probe.DRIVERS)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    return probe.make(request.param, str(tmp_path / "store"), privileged=True)


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[str]:
    """A folder that goes however deep it has become: pytest would fail at that."""
    yield str(tmp_path / "store")
    remove_tree(str(tmp_path / "store"))


@pytest.mark.parametrize("kind", ["overlay2", "erofs"])
@pytest.mark.parametrize("name", SMALL)
def test_memory(tmp_path: Path, name: str, kind: str) -> None:
    make, size, compress = SMALL[name]
    with open(tmp_path / "bomb.tar", "wb") as file:
        bombs.write(make(size), file, compress)
    lamina = Lamina(str(tmp_path / "store"), env={"LAMINA_STORAGE_DRIVER": kind})
    command = [os.path.join(BIN, "lamina"), "import", str(tmp_path / "bomb.tar"), "bomb:1"]
    assert memory.peak(command, lamina.env) < BOUND
    assert "no problem found" in lamina("system", "check", "--fast").stdout


@pytest.mark.parametrize("kind", ["overlay2", "erofs"])
def test_memory_of_a_link_to_far_down(tmp_path: Path, kind: str) -> None:
    with open(tmp_path / "bomb.tar", "wb") as file:
        bombs.write(bombs.link_far_down(32_000), file)
    lamina = Lamina(str(tmp_path / "store"), env={"LAMINA_STORAGE_DRIVER": kind})
    command = ["sh", "-c", f"{BIN}/lamina import {tmp_path}/bomb.tar bomb:1 || true"]
    assert memory.peak(command, lamina.env) < BOUND
    assert "in no layer below" in lamina("import", str(tmp_path / "bomb.tar"), check=False).stderr


def test_attributes_that_would_fill_the_memory(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "MAX_WAITING", 5_000_000)
    driver.create("a" * 64, None)
    too_many = "tar with more than 5000000 bytes of directories' names and attributes"
    at_once = (
        "cannot unpack 'd0/': Argument list too long"  # where the first is given to its file before the others come
    )
    with pytest.raises((InvalidTar, ApplyFailed), match=at_once if driver.keeps_tars else too_many):
        driver.apply("a" * 64, Pieces(bombs.attributes(6)))


@pytest.mark.parametrize("door", ["import", "load"])
def test_zeros_on_a_small_disk(tmp_path: Path, door: str) -> None:
    """A bomb ends with the disk, says so, and gives the room back; a whole archive that is one too."""
    peers.need(disks.missing())
    with open(tmp_path / "bomb.tar.gz", "wb") as file:
        bombs.write(bombs.zeros(100 << 20), file, "gzip")
    with disks.ext4(24 << 20, str(tmp_path / "disk")) as disk:
        lamina = Lamina(f"{disk}/store")
        lamina("images")
        free = os.statvfs(disk).f_bavail
        words = ["import"] if door == "import" else ["load", "-i"]
        done = lamina(*words, str(tmp_path / "bomb.tar.gz"), check=False)
        assert done.returncode == 1
        assert "o space left" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        subprocess.run(["sync", "-f", disk], check=True)
        assert os.statvfs(disk).f_bavail > free - 256
        assert "no problem found" in lamina("system", "check").stdout


_DEPTH = 500


@pytest.mark.parametrize("make", [bombs.deep, bombs.deep_at_once], ids=lambda make: make.__name__)
def test_directories_opened(
    driver: Driver, make: Callable[[int], Iterator[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpacked, copied, compared and removed: each directory is found from near, not from the root."""
    opened = 0
    real = os.open

    def counted(*args: object, **named: object) -> int:
        nonlocal opened
        opened += 1
        return real(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", counted)
    below, above = "a" * 64, "b" * 64
    for snapshot, parent in ((below, None), (above, below)):
        driver.create(snapshot, parent)
        driver.commit(snapshot, parent, driver.apply(snapshot, Pieces(make(_DEPTH))))
    for change in driver.changes(above, below):
        assert change.path
    for snapshot in (above, below):
        driver.remove(snapshot)
    assert opened < _DEPTH * _DEPTH // 4
