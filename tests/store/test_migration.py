"""A store with another storage driver: the same images, byte for byte, whenever the change is broken off."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import disks, peers
from tests.samples import Sample, put
from tests.tars import directory, duplicate_members, file, hardlink, odd_members, tar, whiteout

from lamina.archive.save import Wanted, save
from lamina.errors import Conflict, DataLoss, FailedPrecondition, InvalidArgument
from lamina.events import ignore
from lamina.lock import Lease
from lamina.oci import reference
from lamina.snapshot import probe
from lamina.store import migration
from lamina.store.check import check
from lamina.store.migration import migrate
from lamina.store.store import Store

pytestmark = [pytest.mark.root, pytest.mark.overlay]

BASE = Sample([tar(*odd_members())], ["base:1"])
TOP = Sample([*BASE.layers, tar(*duplicate_members()), tar(whiteout("slash"), hardlink("l", "d/setuid"))], ["top:1"])
OTHER = Sample([tar(directory("d"), file("d/x", b"x"))], ["other:1", "other:2"])
SAMPLES = (BASE, TOP, OTHER)


@pytest.fixture
def folder() -> Iterator[str]:
    peers.need(disks.missing())
    with disks.memory("erofs") as folder:
        yield folder


def make(folder: str, driver: str) -> Store:
    store = Store(f"{folder}/root", driver)
    for sample in SAMPLES:
        put(store, sample)
    store.images.set_parent(TOP.id, BASE.id)
    return store


def changed(store: Store, name: str) -> int:
    with store.writing() as lease:
        return migrate(store, lease, name, ignore)


def saved(store: Store) -> list[bytes]:
    archives = []
    for sample in SAMPLES:
        archive = io.BytesIO()
        save(store, [Wanted(sample.id, [reference.parse(name) for name in sample.names])], archive)
        archives.append(archive.getvalue())
    return archives


def sound(store: Store, driver: str) -> None:
    """Assert that a store has a driver, is whole, and has nothing of another driver or of the change."""
    assert store.driver_name == driver
    assert list(check(store, ignore)) == []
    assert store.images.parent(TOP.id) == BASE.id
    assert sorted(os.listdir(store.paths.root)) == sorted(["image", "lamina", driver])
    assert os.listdir(store.paths.images) == [driver]
    for place in (store.paths.tmp, store.paths.leases):
        assert os.listdir(place) == []


@pytest.mark.parametrize("to", probe.DRIVERS)
@pytest.mark.parametrize("driver", probe.DRIVERS)
def test_the_same_images(folder: str, driver: str, to: str) -> None:
    store = make(folder, driver)
    before = saved(store)
    assert changed(store, to) == 4
    again = Store(store.paths.root)
    sound(again, to)
    assert saved(again) == before
    with again.layers.tree(again.layers.get(TOP.chain_ids[-1])) as root:
        assert os.lstat("l", dir_fd=root.fd).st_mode & 0o7777 == 0o4755


@pytest.mark.parametrize("moment", ["_copy_images", "_convert", "_switch", "_exchange", "remove_unnamed_drivers"])
def test_killed(folder: str, moment: str) -> None:
    before = saved(make(folder, "overlay2"))
    child = os.fork()
    if not child:
        owner = Store if moment == "remove_unnamed_drivers" else migration
        setattr(owner, moment, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        try:
            changed(Store(f"{folder}/root"), "erofs")
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    store = Store(f"{folder}/root")
    store.recover()
    sound(store, "erofs" if moment == "remove_unnamed_drivers" else "overlay2")
    assert saved(store) == before
    if store.driver_name == "overlay2":
        assert changed(store, "erofs") == 4
        sound(Store(f"{folder}/root"), "erofs")


def test_what_is_refused(folder: str) -> None:
    store = make(folder, "overlay2")
    with pytest.raises(InvalidArgument, match="storage driver 'zfs' is not known; there are erofs, overlay2, vfs"):
        changed(store, "zfs")
    with Lease(store.paths.leases), pytest.raises(Conflict, match="is in use by another command: try again"):
        changed(store, "erofs")
    with store.writing() as lease:
        store.mounts.create(lease, "c" * 64, store.layers.get(BASE.chain_ids[0]), None)
    with pytest.raises(Conflict, match=r"1 container of .* would lose their files: commit and remove them first"):
        changed(store, "erofs")
    with store.writing() as lease:
        store.mounts.remove(lease, "c" * 64)
    sound(store, "overlay2")
    os.mkdir(store.paths.image("vfs"))
    with pytest.raises(FailedPrecondition, match="has more than what lamina keeps there with overlay2"):
        changed(store, "erofs")


def test_a_driver_that_does_not_work_there() -> None:
    with disks.memory("vfs") as folder:
        store = make(folder, "overlay2")
        with pytest.raises(FailedPrecondition, match="erofs does not work here: cannot mount 1 layers of"):
            changed(store, "erofs")
        sound(Store(store.paths.root), "overlay2")


def test_a_damaged_layer(folder: str) -> None:
    store = make(folder, "overlay2")
    layer = store.layers.get(OTHER.chain_ids[0])
    with store.driver.open(layer.cache_id) as root:
        Path(f"/proc/self/fd/{root.fd}/d/x").write_bytes(b"y")
    with pytest.raises(DataLoss, match=f"layer {layer.chain_id} is damaged"):
        changed(store, "erofs")
    Path(f"{store.paths.driver('overlay2')}/{layer.cache_id}/diff/d/x").write_bytes(b"x")
    sound(Store(store.paths.root), "overlay2")
