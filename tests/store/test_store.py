"""The root: which driver it has, who may write, what stays of those who were killed."""

import contextlib
import fcntl
import io
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import disks, peers
from tests.samples import Sample, put
from tests.tars import file, tar

from lamina.errors import FailedPrecondition, LaminaError, PermissionDenied
from lamina.events import ignore
from lamina.images.images import AmbiguousImage, ImageNotFound
from lamina.images.references import ReferencesDamaged
from lamina.oci import digest, reference
from lamina.oci.reference import InvalidReference
from lamina.store import lifecycle
from lamina.store.check import check
from lamina.store.names import find, name_image
from lamina.store.store import HeldByDocker, OtherDriver, Store, UnknownDriver
from lamina.streams import Limited

ONE = Sample([tar(file("base")), tar(file("one"))], ["one:1"])
TWO = Sample([tar(file("base")), tar(file("two"))], ["two:1", "two:2"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"), "vfs")


def rmi(store: Store, sample: Sample) -> list[str]:
    """Delete an image with its names; return the layers that went with it."""
    with store.writing() as lease:
        store.references.remove(*store.references.of(sample.id))
        return [*lifecycle.delete(store, lease, sample.id)]


def problems(store: Store) -> list[str]:
    return list(check(store, ignore))


class TestDriver:
    def test_a_new_root_has_the_one_asked_for(self, tmp_path: Path) -> None:
        root = str(tmp_path / "a/b")
        assert Store(root, "vfs").driver_name == "vfs"
        assert Store(root).driver_name == "vfs", "a root keeps its driver"

    def test_a_root_has_no_second_one(self, tmp_path: Path) -> None:
        root = str(tmp_path / "root")
        Store(root, "vfs")
        why = f"{root} was made with the storage driver vfs, not overlay2: name no other, or convert it by "
        with pytest.raises(OtherDriver, match=f"^{why}`lamina system migrate --to overlay2`$"):
            Store(root, "overlay2")
        assert sorted(os.listdir(root)) == ["image", "lamina", "vfs"]
        assert os.listdir(f"{root}/image") == ["vfs"]

    @pytest.mark.root
    @pytest.mark.overlay
    def test_a_new_root_has_the_best_that_works(self) -> None:
        """From a file on a disk the kernel mounts images, from one in memory it does not."""
        peers.need(disks.missing())
        for kind, best in (("erofs", "erofs"), ("vfs", "overlay2")):
            with disks.memory(kind) as folder:
                store = Store(f"{folder}/root")
                assert store.driver_name == best
                assert store.driver_reason.startswith(f"{best} mounts here")
                assert ("erofs does not work here: " in store.driver_reason) == (best == "overlay2")
                assert sorted(os.listdir(store.paths.root)) == sorted([best, "image", "lamina"]), "no trial stays"

    def test_an_unknown_one_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownDriver, match="storage driver 'aufs' is not known; there are erofs, overlay2, vfs"):
            Store(str(tmp_path / "root"), "aufs")
        assert not (tmp_path / "root").exists()

    def test_a_root_of_another_program_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "image/btrfs").mkdir(parents=True)
        with pytest.raises(
            UnknownDriver, match=r"was made with the storage driver 'btrfs'; lamina has erofs, overlay2, vfs"
        ):
            Store(str(tmp_path))
        assert os.listdir(tmp_path) == ["image"]

    def test_of_several_one_must_be_named(self, tmp_path: Path) -> None:
        root = str(tmp_path)
        Store(root, "vfs")
        os.mkdir(f"{root}/image/overlay2")
        with pytest.raises(UnknownDriver, match="has the drivers overlay2, vfs: choose one by --storage-driver"):
            Store(root)
        put(Store(root, "vfs"), ONE)
        assert list(Store(root, "vfs").images) == [ONE.id]
        assert list(Store(root, "overlay2").images) == []

    def test_a_file_in_the_place_of_the_root(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for driver in ("", "vfs"):
            with pytest.raises(LaminaError, match="file"):
                Store(str(tmp_path / "file"), driver)

    @pytest.mark.root
    def test_a_root_that_is_not_ours(self, tmp_path: Path) -> None:
        Store(str(tmp_path / "root"), "vfs")
        for path in tmp_path.parents:
            if path.stat().st_uid == 0 and not path.stat().st_mode & 1:
                path.chmod(0o711)
        with _as_nobody(), pytest.raises(PermissionDenied, match="Permission denied"):
            Store(str(tmp_path / "root"))
        with _as_nobody(), pytest.raises(PermissionDenied, match="is not yours"):
            Store(str(tmp_path / "new"), "vfs")

    def test_modes_are_dockers(self, store: Store) -> None:
        root = store.paths.root
        expected = {"": 0o710, "image": 0o700, "image/vfs/layerdb": 0o700, "vfs": 0o710, "lamina": 0o700}
        assert {path: stat.S_IMODE(os.stat(os.path.join(root, path)).st_mode) for path in expected} == expected


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestWriting:
    def test_a_dockerd_on_the_root_keeps_writers_out(self, store: Store) -> None:
        put(store, ONE)
        os.makedirs(os.path.dirname(store.paths.docker_lock))
        with open(store.paths.docker_lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(HeldByDocker, match=r"a dockerd is running on .*: stop it first"), store.writing():
                pytest.fail("it wrote")
            assert find(store, "one:1") == ONE.id, "readers take no lock"
        put(store, TWO)
        assert problems(store) == []

    def test_a_dockerd_does_not_start_meanwhile(self, store: Store) -> None:
        os.makedirs(os.path.dirname(store.paths.docker_lock))
        with open(store.paths.docker_lock, "w") as lock:
            with store.writing(), pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_writers_write_side_by_side(self, store: Store) -> None:
        other = Store(store.paths.root)
        with store.writing() as lease:
            layer = store.layers.register(lease, io.BytesIO(ONE.layers[0]))
            put(other, TWO)
            assert layer.chain_id == TWO.chain_ids[0]
            put(other, ONE)
        assert problems(store) == []

    def test_a_failing_block_leaves_nothing(self, store: Store) -> None:
        put(store, TWO)
        with pytest.raises(ZeroDivisionError):
            _begin_and_fail(store)
        assert sorted(store.layers) == sorted(TWO.chain_ids)
        assert os.listdir(store.paths.leases) == os.listdir(store.paths.tmp) == []
        assert problems(store) == []

    def test_spool_and_temporary(self, store: Store) -> None:
        with store.spool(io.BytesIO(b"x")) as spooled, store.temporary() as file:
            file.write(b"y")
            assert spooled.read() == b"x"
            assert os.listdir(store.paths.tmp) == []
        with pytest.raises(LaminaError):
            store.spool(Limited(io.BytesIO(b"x"), 2))


def _begin_and_fail(store: Store) -> None:
    with store.writing() as lease, store.temporary_folder(lease):
        store.layers.register(lease, io.BytesIO(ONE.layers[1]))
        store.layers.prepare(lease, io.BytesIO(ONE.layers[0]))
        assert 1 // 0


KILLED = """
import io, os, signal, sys
from lamina.store.store import Store
from tests.store import test_store as at

store = Store(sys.argv[1])
with store.writing() as lease, store.temporary_folder(lease) as folder:
    open(f"{folder}/file", "w").close()
    store.layers.register(lease, io.BytesIO(at.ONE.layers[0]))
    store.layers.prepare(lease, io.BytesIO(at.ONE.layers[1]), store.layers.get(at.ONE.chain_ids[0]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_taken_away_by_the_next(store: Store) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, store.paths.root])
    assert done.returncode == -signal.SIGKILL
    assert list(store.layers) == [ONE.chain_ids[0]]
    assert len(os.listdir(store.paths.tmp)) == 1
    assert len(list(store.driver)) == 2
    with store.writing():
        assert list(store.layers) == list(store.driver) == os.listdir(store.paths.tmp) == []
    assert problems(store) == []


def test_what_an_image_came_to_rely_on_stays(store: Store) -> None:
    subprocess.run([sys.executable, "-c", KILLED, store.paths.root])
    with store.lock():
        store.images.create(Sample(ONE.layers[:1]).config)  # as by a process that was between its two steps
    store.recover()
    assert list(store.layers) == [ONE.chain_ids[0]]
    assert problems(store) == []


class TestUsage:
    def test_shared_layers_go_with_their_last_image(self, store: Store) -> None:
        put(store, ONE)
        put(store, TWO)
        assert len(list(store.layers)) == 3
        assert rmi(store, ONE) == [ONE.chain_ids[1]]
        assert problems(store) == []
        assert rmi(store, TWO) == [*reversed(TWO.chain_ids)]
        assert list(store.layers) == list(store.driver) == list(store.images) == []
        assert problems(store) == []

    def test_an_image_on_another(self, store: Store) -> None:
        base = Sample(ONE.layers[:1], ["base"])
        put(store, base)
        put(store, ONE)
        assert rmi(store, base) == []
        assert problems(store) == []
        assert rmi(store, ONE) == [*reversed(ONE.chain_ids)]

    def test_a_lease_keeps_layers(self, store: Store) -> None:
        put(store, ONE)
        other = Store(store.paths.root)
        with store.writing() as lease:
            assert [layer.chain_id for layer in store.rely_on(lease, ONE.chain_ids)] == ONE.chain_ids
            assert rmi(other, ONE) == []
            assert sorted(store.layers) == sorted(ONE.chain_ids)
            assert problems(other) == []
        assert list(store.layers) == [], "they go with the lease"
        assert problems(store) == []

    def test_a_layer_that_the_holder_of_a_lease_used_stays(self, store: Store) -> None:
        put(store, ONE)
        other = Store(store.paths.root)
        with store.writing() as lease:
            store.rely_on(lease, ONE.chain_ids[:1])
            assert rmi(other, ONE) == [ONE.chain_ids[1]]
            store.images.create(Sample(ONE.layers[:1]).config)
        assert list(store.layers) == ONE.chain_ids[:1]
        assert problems(store) == []

    def test_rely_on_tells_what_is_there(self, store: Store) -> None:
        put(store, Sample(ONE.layers[:1]))
        with store.writing() as lease:
            assert [layer.chain_id for layer in store.rely_on(lease, ONE.chain_ids)] == ONE.chain_ids[:1]
            assert store.rely_on(lease, [digest.of(b"absent"), *ONE.chain_ids]) == []
            assert store.rely_on(lease, []) == []

    def test_a_container_keeps_layers(self, store: Store) -> None:
        put(store, ONE)
        with store.writing() as lease:
            store.mounts.create(lease, "c" * 64, store.layers.get(ONE.chain_ids[1]), None)
        assert rmi(store, ONE) == []
        assert sorted(store.layers) == sorted(ONE.chain_ids)
        assert problems(store) == []

    def test_a_damaged_image_can_be_deleted(self, store: Store) -> None:
        put(store, ONE)
        Path(store.paths.image("vfs"), "imagedb/content/sha256", digest.encoded(ONE.id)).write_bytes(b"x")
        assert rmi(store, ONE) == []
        assert [problem for problem in problems(store) if "belongs to no image" not in problem] == []

    @pytest.mark.parametrize("name", ["diff", "parent", "cache-id", "size"])
    @pytest.mark.parametrize("harm", [b"", b"x"])
    def test_an_image_with_a_damaged_layer_can_be_deleted(self, store: Store, name: str, harm: bytes) -> None:
        put(store, ONE)
        Path(store.paths.layerdb("vfs"), "sha256", digest.encoded(ONE.chain_ids[1]), name).write_bytes(harm)
        assert ONE.chain_ids[1] in rmi(store, ONE)
        assert list(store.images) == []
        put(store, ONE)
        assert [problem for problem in problems(store) if "belongs to no" not in problem] == []


class TestFind:
    def test_what_people_type(self, store: Store) -> None:
        put(store, ONE)
        put(store, TWO)
        name_image(store, reference.parse(f"one@{digest.of(b'm')}"), ONE.id)
        hex_part = digest.encoded(TWO.id)
        for text in ("two:1", "docker.io/library/two:2", TWO.id, hex_part, hex_part[:12], f"sha256:{hex_part[:12]}"):
            assert find(store, text) == TWO.id
        assert find(store, f"one@{digest.of(b'm')}") == ONE.id

    def test_a_name_comes_before_the_beginning_of_an_id(self, store: Store) -> None:
        put(store, ONE)
        start = digest.encoded(ONE.id)[:4]
        put(store, Sample(TWO.layers, [f"{start}:latest"]))
        assert find(store, start) == TWO.id
        assert find(store, digest.encoded(ONE.id)[:5]) == ONE.id

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("absent", "No such image: absent:latest"),
            ("one:2", "No such image: one:2"),
            ("docker.io/me/one:1", "No such image: me/one:1"),
            ("0" * 64, f"No such image: {'0' * 64}"),
            ("sha256:" + "0" * 64, f"No such image: sha256:{'0' * 64}"),
        ],
    )
    def test_none(self, store: Store, text: str, message: str) -> None:
        put(store, ONE)
        with pytest.raises(ImageNotFound, match=f"^{message}$"):
            find(store, text)

    @pytest.mark.parametrize("text", ["", "A", "a b", "one:", "@", "-x"])
    def test_no_name_at_all(self, store: Store, text: str) -> None:
        with pytest.raises(InvalidReference):
            find(store, text)

    def test_ambiguous(self, store: Store) -> None:
        for number in range(20):
            put(store, Sample([], extra={"created": str(number)}))
        ids = sorted(digest.encoded(image_id) for image_id in store.images)
        start = next(one[0] for one, two in zip(ids, ids[1:], strict=False) if one[0] == two[0])  # noqa: RUF007
        with pytest.raises(AmbiguousImage, match=f"image id '{start}' is ambiguous"):
            find(store, start)

    def test_ids_work_where_the_names_are_damaged(self, store: Store) -> None:
        put(store, ONE)
        Path(store.paths.image("vfs"), "repositories.json").write_bytes(b"{")
        for text in (ONE.id, digest.encoded(ONE.id)[:12]):
            assert find(store, text) == ONE.id
        with pytest.raises(ReferencesDamaged):
            find(store, "one:1")

    def test_an_image_that_is_not_there_gets_no_name(self, store: Store) -> None:
        with pytest.raises(ImageNotFound):
            name_image(store, reference.parse("a:1"), ONE.id)
        assert store.references.all() == {}


@pytest.mark.root
def test_no_room_to_spool(tmp_path: Path) -> None:
    from tests import disks, peers

    peers.need(disks.missing())
    with disks.ext4(4 << 20) as folder:
        store = Store(os.path.join(folder, "root"), "vfs")
        with pytest.raises(FailedPrecondition, match="no space left"):
            store.spool(io.BytesIO(bytes(8 << 20)))
        assert os.listdir(store.paths.tmp) == []
