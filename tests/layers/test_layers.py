"""Layers come in whole, are had back byte for byte, and go when nothing needs them; with every driver."""

import contextlib
import errno
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import tars, trees
from tests.tars import directory, file, hardlink, tar, whiteout

from lamina.errors import DataLoss, LaminaError
from lamina.layers import checksums
from lamina.layers.layers import Layer, LayerDamaged, LayerNotFound, Layers
from lamina.lock import Lease, abandoned, exclusive
from lamina.oci import digest
from lamina.oci.digest import Digest
from lamina.snapshot import probe
from lamina.snapshot.driver import Driver
from lamina.streams import DigestMismatch, chunks
from lamina.tar.header import InvalidTar

pytestmark = [pytest.mark.root, pytest.mark.overlay]

BASE = tar(directory("d"), file("d/a", b"1234"), file("b", b"12"))
TOP = tar(directory("d"), file("d/c", b"123456"), whiteout("b"))


class Place:
    """A layerdb and its driver in a folder, with leases and a lock."""

    def __init__(self, folder: Path, driver: str) -> None:
        self.folder = folder
        self.home = folder / "layerdb"
        for name in ("tmp", "sha256", "mounts"):
            (self.home / name).mkdir(parents=True)
        self.leases = folder / "leases"
        self.leases.mkdir()
        self.driver: Driver = probe.make(driver, str(folder / driver), privileged=True)
        self.layers = Layers(str(self.home), self.driver, lambda: exclusive(str(folder / "lock")))
        self.lease = Lease(str(self.leases))

    def add(self, data: bytes, parent: Layer | None = None) -> Layer:
        return self.layers.register(self.lease, io.BytesIO(data), parent)

    def stack(self, *layers: bytes) -> Layer:
        top: Layer | None = None
        for data in layers:
            top = self.add(data, top)
        assert top is not None
        return top

    def tar(self, layer: Layer) -> bytes:
        with self.layers.tar(layer) as stream:
            return b"".join(chunks(stream))

    def names(self, layer: Layer) -> set[str]:
        with self.layers.tree(layer) as root:
            return set(trees.read(root.fd))

    def file(self, layer: Layer, name: str) -> Path:
        return self.home / "sha256" / digest.encoded(layer.chain_id) / name

    def check(self, layer: Layer) -> list[str]:
        return list(self.layers.check(layer, content=True))

    def is_clean(self) -> bool:
        """Tell whether there is nothing but whole layers."""
        used = {self.layers.get(chain_id).cache_id for chain_id in self.layers}
        left = [*self.layers.leftovers(), *self.driver.strays()]
        return set(self.driver) == used and left == []


@pytest.fixture(params=probe.DRIVERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, request.param)
    with made.lease:
        yield made


UNPACKING = [name for name in probe.DRIVERS if not probe.make(name, "/", privileged=True).keeps_tars]


@pytest.fixture(params=UNPACKING)
def unpacked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place whose driver unpacks layers, and so has a record of how to put their tars together."""
    made = Place(tmp_path, request.param)
    with made.lease:
        yield made


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Place]:
    """A place whose driver keeps the tars."""
    made = Place(tmp_path, "erofs")
    with made.lease:
        yield made


class TestRegister:
    def test_what_a_layer_is(self, place: Place) -> None:
        base = place.add(BASE)
        top = place.add(TOP, base)
        assert (base.diff_id, base.chain_id, base.parent, base.size) == (digest.of(BASE),) * 2 + (None, 6)
        assert (top.diff_id, top.parent, top.size) == (digest.of(TOP), base.chain_id, 6)
        assert top.chain_id == digest.chain(base.chain_id, digest.of(TOP))
        assert place.layers.get(top.chain_id) == top
        assert place.layers.size(top.chain_id) == 6
        assert list(place.layers) == sorted([base.chain_id, top.chain_id])
        assert place.layers.chain(top.chain_id) == [top, base]
        assert place.names(top) == {"d", "d/a", "d/c"}
        assert place.is_clean()

    def test_the_files_that_docker_reads(self, place: Place) -> None:
        base = place.add(BASE)
        top = place.add(TOP, base)
        folder = place.file(top, "")
        expected = {"diff": top.diff_id, "size": "6", "cache-id": top.cache_id, "parent": base.chain_id}
        assert {name: (folder / name).read_text() for name in expected} == expected
        record = {"crc64" if place.driver.keeps_tars else "tar-split.json.gz"}
        assert {path.name for path in folder.iterdir()} == {*expected, *record}
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not place.file(base, "parent").exists()

    def test_the_very_bytes_come_back(self, place: Place) -> None:
        for members in (tars.odd_members(), tars.duplicate_members()):
            data = tar(*members, end=bytes(5120) + b"tail")
            layer = place.add(data)
            assert place.tar(layer) == data
            assert place.layers.tar_size(layer) == len(data)
            assert place.check(layer) == []

    def test_an_empty_layer(self, place: Place) -> None:
        layer = place.add(bytes(1024))
        assert (layer.diff_id, layer.size) == (digest.EMPTY_LAYER, 0)
        assert place.tar(layer) == bytes(1024)

    def test_the_same_again_is_the_same(self, place: Place) -> None:
        base = place.add(BASE)
        assert place.add(BASE) == base
        assert place.is_clean()

    def test_the_same_on_another_parent_is_another(self, place: Place) -> None:
        alone = place.add(TOP)
        upper = place.add(TOP, place.add(BASE))
        assert alone.diff_id == upper.diff_id
        assert alone.chain_id != upper.chain_id
        assert place.tar(alone) == place.tar(upper) == TOP

    def test_another_digest_than_expected(self, place: Place) -> None:
        with pytest.raises(DigestMismatch, match=f"layer: expected {digest.of(TOP)}, got {digest.of(BASE)}"):
            place.layers.register(place.lease, io.BytesIO(BASE), None, digest.of(TOP))
        assert list(place.layers) == []
        assert place.is_clean()
        assert place.lease.claims() == set()

    @pytest.mark.parametrize("data", [BASE[:-1100], BASE[:600], b"x" * 1024, TOP + b"", tar(file("../x"))])
    def test_nothing_stays_of_what_fails(self, place: Place, data: bytes) -> None:
        if data == TOP:
            data = tar(file("a"), hardlink("l", "nowhere"))
        with pytest.raises(LaminaError):
            place.add(data)
        assert list(place.layers) == []
        assert place.is_clean()
        assert place.lease.claims() == set()

    def test_a_stream_that_breaks(self, place: Place) -> None:
        class Broken:
            def __init__(self) -> None:
                self.rest = [BASE[:700]]

            def read(self, size: int = -1, /) -> bytes:
                if self.rest:
                    return self.rest.pop()
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with pytest.raises(LaminaError, match="Input/output error"):
            place.layers.register(place.lease, Broken())
        assert place.is_clean()

    def test_depth_is_bounded(self, place: Place) -> None:
        most = place.driver.most_layers
        assert most == (499 if place.driver.name == "erofs" else 125)
        place.layers.check_depth(most)
        with pytest.raises(InvalidTar, match=f"max depth exceeded: {most + 1} layers, at most {most} are possible"):
            place.layers.check_depth(most + 1)


class TestSteps:
    """Prepare, place, publish: several layers become visible together."""

    def test_a_batch(self, place: Place) -> None:
        base = place.layers.prepare(place.lease, io.BytesIO(BASE))
        place.layers.place(base, None)
        top = place.layers.prepare(place.lease, io.BytesIO(TOP), base)
        place.layers.place(top, base)
        assert list(place.layers) == [], "nothing is visible yet"
        kinds = {kind for kind, _ in place.lease.claims()}
        assert kinds == {"snapshot", "writeset"}
        published = place.layers.publish(place.lease, [base, top], None)
        assert [layer.diff_id for layer in published] == [digest.of(BASE), digest.of(TOP)]
        assert place.names(published[1]) == {"d", "d/a", "d/c"}
        assert {kind for kind, _ in place.lease.claims()} == {"layer"}
        assert place.is_clean()

    def test_out_of_order_where_the_driver_allows(self, tmp_path: Path) -> None:
        place = Place(tmp_path, "overlay2")
        assert not place.layers.parent_first
        top = place.layers.prepare(place.lease, io.BytesIO(TOP))
        base = place.layers.prepare(place.lease, io.BytesIO(BASE))
        place.layers.place(base, None)
        place.layers.place(top, base)
        _, upper = place.layers.publish(place.lease, [base, top], None)
        assert place.names(upper) == {"d", "d/a", "d/c"}

    def test_one_that_came_in_meanwhile_is_taken(self, place: Place) -> None:
        ours = place.layers.prepare(place.lease, io.BytesIO(BASE))
        place.layers.place(ours, None)
        with Lease(str(place.leases)) as other:
            theirs = place.layers.register(other, io.BytesIO(BASE))
            assert place.layers.publish(place.lease, [ours], None) == [theirs]
        assert place.is_clean()

    def test_a_parent_that_went_meanwhile(self, place: Place) -> None:
        base = place.add(BASE)
        top = place.layers.prepare(place.lease, io.BytesIO(TOP), base)
        place.layers.place(top, base)
        place.layers.finish(place.lease, place.layers.retire(place.lease, base.chain_id))
        with pytest.raises(LayerNotFound, match=base.chain_id):
            place.layers.publish(place.lease, [top], base)
        place.layers.discard(place.lease, top)
        assert place.is_clean()

    def test_discard(self, place: Place) -> None:
        pending = place.layers.prepare(place.lease, io.BytesIO(BASE))
        place.layers.discard(place.lease, pending)
        place.layers.discard(place.lease, pending)
        assert place.is_clean()
        assert place.lease.claims() == set()

    def test_discarding_what_was_published_does_nothing(self, place: Place) -> None:
        pending = place.layers.prepare(place.lease, io.BytesIO(BASE))
        place.layers.place(pending, None)
        (layer,) = place.layers.publish(place.lease, [pending], None)
        place.layers.discard(place.lease, pending)
        assert place.tar(layer) == BASE


class TestRemoval:
    def test_retire_and_finish(self, place: Place) -> None:
        layer = place.add(BASE)
        name = place.layers.retire(place.lease, layer.chain_id)
        assert layer.chain_id not in place.layers
        assert [*place.layers.leftovers()] == [f"sha256/{name}"]
        assert place.driver.exists(layer.cache_id)
        place.layers.finish(place.lease, name)
        place.layers.finish(place.lease, name)
        assert place.is_clean()

    def test_the_same_layer_may_come_in_while_the_old_one_goes(self, place: Place) -> None:
        old = place.add(BASE)
        name = place.layers.retire(place.lease, old.chain_id)
        new = place.add(BASE)
        place.layers.finish(place.lease, name)
        assert new.cache_id != old.cache_id
        assert place.tar(new) == BASE
        assert place.is_clean()

    def test_a_retired_layer_with_a_damaged_description_goes(self, place: Place) -> None:
        layer = place.add(BASE)
        place.file(layer, "cache-id").write_text("../../escape")
        place.layers.finish(place.lease, place.layers.retire(place.lease, layer.chain_id))
        assert list(place.layers) == []
        assert place.driver.exists(layer.cache_id), "its tree cannot be known: check finds it"

    def test_absent(self, place: Place) -> None:
        absent = digest.of(b"absent")
        assert absent not in place.layers
        for ask in (place.layers.get, place.layers.size, place.layers.chain):
            with pytest.raises(LayerNotFound, match=f"layer {absent} does not exist"):
                ask(absent)


CRASH = """
import io, os, signal, sys
from pathlib import Path
from tests.layers import test_layers as at

place = at.Place(Path(sys.argv[1]), sys.argv[2])
moment = sys.argv[3]
if moment == "retired":
    layer = place.add(at.BASE)
    place.layers.retire(place.lease, layer.chain_id)
else:
    pending = place.layers.prepare(place.lease, io.BytesIO(at.BASE))
    if moment != "prepared":
        place.layers.place(pending, None)
    if moment == "published":
        place.layers.publish(place.lease, [pending], None)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("driver", probe.DRIVERS)
@pytest.mark.parametrize("moment", ["prepared", "placed", "published", "retired"])
def test_what_a_killed_process_leaves_is_recovered(tmp_path: Path, driver: str, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, tmp_path / "s", driver, moment], cwd=os.getcwd())
    assert done.returncode == -signal.SIGKILL
    shutil.move(tmp_path / "s/leases", tmp_path / "dead")
    for name in ("tmp", "sha256", "mounts"):
        assert (tmp_path / "s/layerdb" / name).is_dir()
    place = _reopened(tmp_path / "s", driver)
    assert place.is_clean() is (moment == "published")
    with place.lease, abandoned(str(tmp_path / "dead")) as dead:
        ((_, claims),) = dead.items()
        used = {place.layers.get(chain_id).cache_id for chain_id in place.layers}
        place.layers.recover(place.lease, claims, used.__contains__)
        place.layers.recover(place.lease, claims, used.__contains__)
        assert place.is_clean()
        assert len(list(place.layers)) == (moment == "published")


def _reopened(folder: Path, driver: str) -> Place:
    place = Place.__new__(Place)
    place.folder, place.home, place.leases = folder, folder / "layerdb", folder / "leases"
    place.leases.mkdir()
    place.driver = probe.make(driver, str(folder / driver), privileged=True)
    place.layers = Layers(str(place.home), place.driver, contextlib.nullcontext)
    place.lease = Lease(str(place.leases))
    return place


def _make(path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to("/b")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()


class TestDamage:
    @pytest.mark.parametrize(
        ("name", "harm"),
        [
            ("diff", b""),
            ("diff", b"sha256:x"),
            ("diff", b"\xff"),
            ("size", b""),
            ("size", b"six"),
            ("parent", b"x"),
            ("cache-id", b""),
            ("cache-id", b"../../x"),
            ("cache-id", b".."),
        ],
    )
    def test_of_a_description(self, place: Place, name: str, harm: bytes) -> None:
        layer = place.stack(BASE, TOP)
        place.file(layer, name).write_bytes(harm)
        with pytest.raises(LayerDamaged, match=f"layer {layer.chain_id} is damaged|names no tree"):
            place.layers.get(layer.chain_id)

    @pytest.mark.parametrize("name", ["diff", "size", "cache-id"])
    def test_a_missing_description(self, place: Place, name: str) -> None:
        layer = place.add(BASE)
        place.file(layer, name).unlink()
        with pytest.raises(LayerDamaged):
            place.layers.get(layer.chain_id)

    def test_another_diff_id(self, place: Place) -> None:
        layer = place.add(BASE)
        place.file(layer, "diff").write_text(digest.of(TOP))
        assert place.check(place.layers.get(layer.chain_id)) != []

    def test_a_circle_of_parents_ends(self, place: Place) -> None:
        layer = place.stack(BASE, TOP)
        place.file(layer, "parent").write_text(layer.chain_id)
        with pytest.raises(LayerDamaged, match=f"stands on more than {place.driver.most_layers} others"):
            place.layers.chain(layer.chain_id)

    @pytest.mark.parametrize("harm", ["other", "shorter", "longer", "removed", "link", "fifo", "folder", "folder gone"])
    def test_of_a_file(self, unpacked: Place, harm: str) -> None:
        layer = unpacked.add(BASE)
        with unpacked.driver.open(layer.cache_id) as root:
            path = Path(f"/proc/self/fd/{root.fd}/d/a")
            if harm == "folder gone":
                shutil.rmtree(path.parent)
            elif harm in ("other", "shorter", "longer"):
                path.write_bytes({"other": b"1243", "shorter": b"123", "longer": b"12345"}[harm])
            else:
                path.unlink()
                _make(path, harm)
        if harm == "longer":
            assert unpacked.tar(layer) == BASE, "what was appended is not read"
            return
        assert len(unpacked.check(layer)) == 1
        with pytest.raises(LayerDamaged, match=f"layer {layer.chain_id} (is damaged|was modified)"):
            unpacked.tar(layer)

    @pytest.mark.parametrize("at", [0, 20, -20, -4])
    def test_of_a_record(self, unpacked: Place, at: int) -> None:
        layer = unpacked.add(BASE)
        path = unpacked.file(layer, "tar-split.json.gz")
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        assert len(unpacked.check(layer)) == 1
        with pytest.raises(LaminaError):
            unpacked.tar(layer)

    @pytest.mark.parametrize("size", [0, 5, 60])
    def test_of_a_short_record(self, unpacked: Place, size: int) -> None:
        layer = unpacked.add(BASE)
        os.truncate(unpacked.file(layer, "tar-split.json.gz"), size)
        assert len(unpacked.check(layer)) == 1
        with pytest.raises(LaminaError):
            unpacked.tar(layer)

    def test_a_missing_record(self, unpacked: Place) -> None:
        layer = unpacked.add(BASE)
        unpacked.file(layer, "tar-split.json.gz").unlink()
        assert len(unpacked.check(layer)) == 1
        with pytest.raises(LayerDamaged, match=r"tar-split.json.gz: No such file"):
            unpacked.layers.tar_size(layer)

    @pytest.mark.parametrize("name", ["layer.tar", "layer.erofs", "layer.data", "parent"])
    @pytest.mark.parametrize("harm", ["other", "shorter", "longer", "removed", "link", "fifo", "folder"])
    def test_of_what_is_kept_with_a_tar(self, kept: Place, name: str, harm: str) -> None:
        layer = kept.stack(BASE, tar(hardlink("l", "d/a")))
        assert kept.check(layer) == []
        path = Path(kept.driver.folder(layer.cache_id), name)
        data = path.read_bytes()
        if harm in ("other", "shorter", "longer"):
            path.write_bytes({"other": data[:-1] + b"?", "shorter": data[:-1], "longer": data + b"0"}[harm])
        else:
            path.unlink()
            _make(path, harm)
        assert kept.check(layer) != []
        if name == "layer.tar":
            with pytest.raises(DataLoss, match=f"layer {layer.chain_id} (is damaged|was modified)"):
                kept.tar(layer)

    def test_a_kept_tar_is_compared_with_its_checksum(self, kept: Place) -> None:
        layer = kept.add(BASE)
        _change(kept, layer)
        with pytest.raises(DigestMismatch, match=r"expected crc64:[0-9a-f]{16}, got crc64:"):
            kept.tar(layer)
        assert [line for line in kept.check(layer) if f"expected {layer.diff_id}, got sha256:" in line]

    def test_a_checksum_proves_nothing(self, kept: Place) -> None:
        """Who changes a tar can change its checksum, too; only the digest tells."""
        layer, changed = kept.add(BASE), kept.add(BASE.replace(b"1234", b"1244"))
        _change(kept, layer)
        checksum = checksums.known(str(kept.file(changed, "")), changed.diff_id)
        assert checksum is not None
        kept.file(layer, "crc64").write_text(checksums.noted(checksum, layer.diff_id))
        assert kept.tar(layer) == kept.tar(changed)
        assert [line for line in kept.check(layer) if f"expected {layer.diff_id}, got sha256:" in line]

    @pytest.mark.parametrize("harm", ["removed", "empty", "other", "longer", "folder", "another's"])
    def test_without_a_checksum_the_digest_is_compared(self, kept: Place, harm: str) -> None:
        layer, another = kept.add(BASE), kept.add(TOP)
        note = kept.file(layer, "crc64")
        text = note.read_text()
        other = text.replace(text[6], "0" if text[6] != "0" else "1", 1)
        texts = {
            "empty": "",
            "other": other,
            "longer": f"{text}0",
            "another's": kept.file(another, "crc64").read_text(),
        }
        note.unlink()
        if harm == "folder":
            note.mkdir()
        elif harm in texts:
            note.write_text(texts[harm])
        assert kept.tar(layer) == BASE
        assert kept.check(layer) == ([] if harm == "removed" else [f"layer {layer.chain_id}: crc64 is damaged"])
        _change(kept, layer)
        with pytest.raises(DigestMismatch, match=f"expected {layer.diff_id}, got sha256:"):
            kept.tar(layer)

    def test_a_checksum_of_nothing(self, kept: Place) -> None:
        layer = kept.add(BASE)
        kept.file(layer, "crc64").write_text(checksums.noted("crc64:0123456789abcdef", layer.diff_id))
        assert kept.check(layer) == [f"layer {layer.chain_id}: crc64 is not the checksum of its tar"]
        with pytest.raises(DigestMismatch, match=r"expected crc64:0123456789abcdef, got crc64:"):
            kept.tar(layer)

    def test_a_tree_of_another_layer(self, kept: Place) -> None:
        layer, another = kept.add(BASE), kept.add(TOP)
        kept.file(layer, "cache-id").write_text(another.cache_id)
        with pytest.raises(DigestMismatch):
            kept.tar(kept.layers.get(layer.chain_id))

    def test_a_missing_tree(self, place: Place) -> None:
        layer = place.add(BASE)
        place.driver.remove(layer.cache_id)
        assert place.check(layer) != []
        with pytest.raises(LaminaError):
            place.tar(layer)

    def test_a_missing_parent(self, place: Place) -> None:
        layer = place.stack(BASE, TOP)
        below = layer.parent
        assert below is not None
        place.layers.finish(place.lease, place.layers.retire(place.lease, Digest(below)))
        with pytest.raises(LayerNotFound, match=below):
            place.check(layer)


def _change(place: Place, layer: Layer) -> None:
    """Change a byte of a file in a layer's tar."""
    path = Path(place.driver.folder(layer.cache_id), "layer.tar")
    path.write_bytes(path.read_bytes().replace(b"1234", b"1244"))
