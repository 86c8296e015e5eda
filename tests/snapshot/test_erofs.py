"""Layers of the driver erofs, inode by inode as the kernel shows them, against the same layers unpacked."""

import io
import os
import secrets
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import tars, trees
from tests.hostile.corpus import ALL
from tests.tars import tar

from lamina.errors import LaminaError
from lamina.snapshot import probe
from lamina.snapshot.driver import Driver
from lamina.snapshot.erofs import Erofs

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def layer(driver: Driver, parent: str | None, data: bytes) -> str:
    snapshot = secrets.token_hex(32)
    driver.create(snapshot, parent)
    driver.commit(snapshot, parent, driver.apply(snapshot, io.BytesIO(data)))
    return snapshot


def brought(driver: Driver, snapshot: str, *, directory_times: bool = True) -> dict[str, trees.Node]:
    """Return all that a layer itself brings, marks included."""
    with driver.open(snapshot) as root:
        return trees.read(root.fd, directory_times=directory_times, local=True)


def same(one: dict[str, trees.Node], unpacked: dict[str, trees.Node]) -> None:
    """Assert that an image shows what was unpacked; marks and directories without an entry have the time of that."""
    for path, node in one.items():
        if path in unpacked and not node.mtime and (node.kind == "directory" or node.content == "0:0"):
            unpacked[path] = unpacked[path]._replace(mtime=0)
    assert one == unpacked


@pytest.fixture
def drivers(tmp_path: Path) -> tuple[Driver, Driver]:
    return tuple(probe.make(name, str(tmp_path / name), privileged=True) for name in ("erofs", "overlay2"))  # type: ignore[return-value]


@pytest.fixture
def driver(tmp_path: Path) -> Erofs:
    return Erofs(str(tmp_path / "erofs"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tars.corpus(tmp_path_factory.mktemp("corpus"))


KINDS = [
    "gnu", "oldgnu", "pax", "pax without dot", "v7", "ustar", "sparse gnu", "sparse pax 0.0", "sparse pax 0.1",
    "sparse pax 1.0", "blocking of 1 MiB", "empty", "no bytes", "one zero block", "no end", "trailing junk",
    "standard library", "duplicates",
]  # fmt: skip
HUGE = ["huge gnu", "huge pax"]


def test_all_of_the_corpus_is_compared(corpus: dict[str, bytes]) -> None:
    assert sorted(corpus) == sorted(KINDS + HUGE)


@pytest.mark.parametrize("kind", KINDS)
def test_real_tars(drivers: tuple[Driver, Driver], corpus: dict[str, bytes], kind: str) -> None:
    same(*(brought(driver, layer(driver, None, corpus[kind])) for driver in drivers))


@pytest.mark.parametrize("kind", HUGE)
def test_files_larger_than_the_disk_reads_quickly(driver: Erofs, corpus: dict[str, bytes], kind: str) -> None:
    snapshot = layer(driver, None, corpus[kind])
    with driver.open(snapshot) as root:
        fd = os.open("huge", os.O_RDONLY, dir_fd=root.fd)
    try:
        assert os.fstat(fd).st_size == 9 << 30
        assert os.pread(fd, 8, 0) == b"begins\0\0"
        for at in (1 << 20, 1 << 31, 5 << 30, (9 << 30) - 4096):
            assert os.pread(fd, 4096, at) == bytes(4096)
    finally:
        os.close(fd)
    used = sum(path.stat().st_blocks * 512 for path in Path(driver.folder(snapshot)).iterdir())
    assert used < 1 << 20


TOO_LONG = "names: 4096 bytes"
"""No path to it can be named to look at it."""


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if not case.refused and name != TOO_LONG])
def test_hostile_tars(drivers: tuple[Driver, Driver], name: str) -> None:
    seen: list[dict[str, trees.Node]] = []
    for driver in drivers:
        parent: str | None = None
        for data in ALL[name].make("/outside"):
            parent = layer(driver, parent, data)
        assert parent
        seen.append(brought(driver, parent))
    same(*seen)


_names = st.lists(st.sampled_from(["a", "b", "c", "\udcff"]), min_size=1, max_size=3).map("/".join)
_xattrs = st.dictionaries(
    st.sampled_from(["user.a", "trusted.b", "security.capability", "trusted.overlay.opaque", "nothing.x"]),
    st.sampled_from([b"y", bytes.fromhex("0100000200040000000000000000000000000000")]),
    max_size=2,
)
_meta = {
    "uid": st.sampled_from([0, 5, 3_000_000_000]),
    "gid": st.sampled_from([0, 70_000]),
    "mode": st.sampled_from([0o755, 0o4711, 0]),
    "mtime": st.sampled_from([0, 1_700_000_000, 1_700_000_000.25, -5]),
    "xattrs": _xattrs,
}
_device_kinds = st.sampled_from([tarfile.CHRTYPE, tarfile.BLKTYPE])
_members = st.one_of(
    st.builds(tars.file, _names, st.binary(max_size=1200), **_meta),
    st.builds(tars.directory, _names, **_meta),
    st.builds(tars.symlink, _names, st.sampled_from(["a", "../b", "x" * 600]), **_meta),
    st.builds(
        tars.device, _names, st.just(1), st.just(3), st.sampled_from([tarfile.CHRTYPE, tarfile.BLKTYPE]), **_meta
    ),
    st.builds(tars.fifo, _names, **_meta),
    st.builds(tars.whiteout, _names),
    st.builds(tars.opaque, _names),
    st.builds(tars.hardlink, _names, _names),
)


@given(layers=st.lists(st.lists(_members, max_size=8), min_size=1, max_size=3))
def test_generated_tars(layers: list[list[tars.Member]], tmp_path_factory: pytest.TempPathFactory) -> None:
    seen: list[dict[str, trees.Node] | str] = []
    folder = tmp_path_factory.mktemp("generated")
    for name in ("erofs", "overlay2"):
        driver = probe.make(name, str(folder / name), privileged=True)
        try:
            parent: str | None = None
            for members in layers:
                parent = layer(driver, parent, tar(*members))
            assert parent
            seen.append(brought(driver, parent, directory_times=False))  # which overlay2 changes while it settles
        except LaminaError as error:
            seen.append(f"{type(error).__name__}: {error}")
    one, other = seen
    if isinstance(one, dict) and isinstance(other, dict):
        same(one, other)
        return
    links = any(info.islnk() for members in layers for info, _ in members)
    assert links or one == other, "drivers may differ in when they find that a hard link cannot be"
