"""A store with any one file damaged is sound after a repair, and what was not damaged comes out as it went in."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import disks
from tests.samples import Sample, content, put
from tests.store import test_check
from tests.store.test_check import BASE, CONTAINER, DAMAGES, DRIVERS, TOP, copied, damaged
from tests.tars import file, tar

from lamina.archive.save import Wanted, save
from lamina.events import ignore
from lamina.layers import checksums
from lamina.oci import digest, reference
from lamina.store.check import check
from lamina.store.quarantine import Quarantine
from lamina.store.repair import repair
from lamina.store.store import Store
from lamina.streams import DigestMismatch

pytestmark = [pytest.mark.root, pytest.mark.overlay]

OTHER = Sample([tar(file("other", b"content of another"))], ["other:1"])

DERIVED = (
    "overlay2/*/link",
    "overlay2/*/lower",
    "overlay2/*/committed",
    "overlay2/l/*",
    "erofs/*/parent",
    "erofs/*/layer.erofs",
    "erofs/*/layer.data",
    "*/layerdb/sha256/*/diff",
    "*/layerdb/sha256/*/parent",
    "*/layerdb/sha256/*/size",
    "*/layerdb/sha256/*/cache-id",
    "image/overlay2/layerdb/mounts/*",
    "image/erofs/layerdb/mounts/*",
    "image/vfs/layerdb/mounts/*/init-id",
    "*/repositories.json",
    "*/imagedb/metadata/*",
)
"""Whose damage costs no image."""


def make(root: str, driver: str) -> Store:
    store = test_check.make(root, driver)
    put(store, OTHER)
    return store


@pytest.fixture(scope="module", params=DRIVERS)
def template(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with disks.memory(request.param) as folder:
        make(f"{folder}/root", request.param)
        yield f"{folder}/root", request.param


def mend(store: Store) -> list[str]:
    """Repair a store; it is sound then, and a second repair has nothing to do."""
    aside = Quarantine(store.paths)
    with store.writing() as lease:
        lines = list(repair(store, lease, ignore, aside))
    assert all("\n" not in line for line in lines)
    assert list(check(store, ignore)) == [], lines
    with store.writing() as lease:
        assert list(repair(store, lease, ignore, Quarantine(store.paths))) == [], lines
    return lines + [f"what could not be restored is in {aside.folder}"] * bool(aside.folder)


def saved(store: Store, sample: Sample) -> bytes:
    archive = io.BytesIO()
    save(store, [Wanted(sample.id, [reference.parse(name) for name in sample.names])], archive)
    return archive.getvalue()


def _concerns(root: str, place: str, sample: Sample) -> bool:
    """Tell whether damage to a file can cost an image: it is its config, or lies in one of its layers."""
    if sample.id.removeprefix("sha256:") in place:
        return True
    layers = [layer.removeprefix("sha256:") for layer in sample.chain_ids]
    trees = [Path(root, one).read_text() for one in _cache_ids(root, layers)]
    return any(name in place for name in [*layers, *trees])


def _cache_ids(root: str, layers: list[str]) -> Iterator[str]:
    for name in layers:
        yield from (str(path) for path in Path(root).glob(f"image/*/layerdb/sha256/{name}/cache-id"))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_any_file_is_repaired(template: tuple[str, str], damage: Callable[[str], None]) -> None:
    root, _ = template
    good = {sample.id: saved(Store(root), sample) for sample in (BASE, TOP, OTHER)}
    for place in damaged(root, damage):
        with copied(template) as store:
            damage(os.path.join(store.paths.root, place))
            found = list(check(store, ignore))
            lines = mend(store)
            assert bool(lines) >= bool(found)
            derived = test_check._fits(place, DERIVED)
            for sample in (BASE, TOP, OTHER):
                if derived or not _concerns(root, place, sample):
                    assert saved(store, sample) == good[sample.id], (place, lines)
            for sample in (BASE, TOP, OTHER):
                put(store, sample)  # what was lost can be loaded again
                assert saved(store, sample) == good[sample.id]
            assert list(check(store, ignore)) == []


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_kept_blob_brings_a_layer_back(tmp_path: Path, driver: str, damage: Callable[[str], None]) -> None:
    store = make(str(tmp_path / "root"), driver)
    for sample in (BASE, TOP):
        content(sample, store.content)
    good = saved(store, TOP)
    layer = store.layers.get(BASE.chain_ids[0])
    kept = f"erofs/{layer.cache_id}/layer.tar"
    split = f"image/{driver}/layerdb/sha256/{digest.encoded(layer.chain_id)}/tar-split.json.gz"
    damage(os.path.join(store.paths.root, kept if store.driver.keeps_tars else split))
    lines = mend(store)
    lost = ("quarantined layer", "quarantined image", "quarantined the files")
    assert not any(line.startswith(lost) for line in lines)
    assert f"restored layer {BASE.chain_ids[0]}: unpacked anew from kept content" in lines
    assert saved(store, TOP) == good
    assert store.mounts.get(CONTAINER).parent == BASE.chain_ids[0]


def test_a_checksum_that_is_not_the_tars_is_put_away(tmp_path: Path) -> None:
    """Whole, and of this layer, but wrong: the layer went out no more."""
    store = make(str(tmp_path / "root"), "erofs")
    good = saved(store, BASE)
    (layer,) = store.layers.chain(BASE.chain_ids[-1])
    note = Path(store.paths.layerdb("erofs"), "sha256", digest.encoded(layer.chain_id), "crc64")
    note.write_text(checksums.noted("crc64:0123456789abcdef", layer.diff_id))
    with pytest.raises(DigestMismatch):
        saved(store, BASE)
    assert mend(store)
    assert not note.exists()
    assert saved(store, BASE) == good


def test_a_kept_config_brings_an_image_back(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "overlay2")
    content(OTHER, store.content)
    good = saved(store, OTHER)
    (path,) = tmp_path.glob(f"root/image/*/imagedb/content/sha256/{OTHER.id.removeprefix('sha256:')}")
    path.write_bytes(b"other")
    assert f"restored image {OTHER.id}: its config, from kept content" in mend(store)
    assert saved(store, OTHER) == good


@pytest.mark.parametrize("cut", [0, 20, 60, 100, 170, 300, -3])
def test_names_are_made_out_of_what_is_left(tmp_path: Path, cut: int) -> None:
    store = make(str(tmp_path / "root"), "vfs")
    path = Path(store.paths.image("vfs"), "repositories.json")
    raw = path.read_bytes()
    path.write_bytes(raw[:cut])
    whole = re.findall(rb'"([a-z]+:[0-9])":"(sha256:[a-f0-9]{64})"', raw[:cut])
    lines = mend(store)
    assert store.references.all() == {name.decode(): found.decode() for name, found in whole}
    (kept,) = Path(store.paths.quarantine).glob("*/image/vfs/repositories.json")
    assert kept.read_bytes() == raw[:cut]
    assert any(str(kept.parents[2]) in line for line in lines)


def test_a_parent_is_found_by_history(tmp_path: Path) -> None:
    steps = [{"created_by": "one"}, {"created_by": "two", "empty_layer": True}]
    first = Sample([tar(file("a"))], ["first:1"], {"history": steps[:1]})
    second = Sample(first.layers, ["second:1"], {"history": steps})
    store = Store(str(tmp_path / "root"), "vfs")
    for sample in (first, second):
        put(store, sample)
    store.images.set_parent(second.id, digest.of(b"nothing"))
    assert mend(store)[0] == f"image {second.id}: its parent is {first.id}"
    assert store.images.parent(second.id) == first.id


def test_strays_go_to_the_quarantine(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "overlay2")
    for stray in ("overlay2/" + "a" * 64, "image/overlay2/layerdb/tmp/write-set-1", "lamina/tmp/abc"):
        os.makedirs(os.path.join(store.paths.root, stray))
        Path(store.paths.root, stray, "file").write_bytes(b"kept")
    os.symlink("../nowhere/diff", os.path.join(store.paths.root, "overlay2/l/ABC"))
    lines = mend(store)
    assert len(lines) == 5
    assert len(list(Path(store.paths.quarantine).glob("**/file"))) == 3


def test_what_a_live_process_makes_is_left_alone(tmp_path: Path) -> None:
    store = make(str(tmp_path / "root"), "overlay2")
    other = Store(store.paths.root)
    with store.writing() as lease, store.temporary_folder(lease):
        pending = store.layers.prepare(lease, io.BytesIO(tar(file("x"))))
        store.layers.register(lease, io.BytesIO(tar(file("y"))))
        assert mend(other) == []
        store.layers.place(pending, None)
        store.layers.publish(lease, [pending], None)


def test_a_repair_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    """After any number of moves; what is written in between is one replaced file."""
    place = str(tmp_path / "root")
    make(place, "overlay2")
    for path in tmp_path.glob("root/overlay2/*/diff/d/a"):
        path.write_bytes(b"other")
    for moves in range(12):
        root = str(tmp_path / f"copy{moves}")
        subprocess.run(["cp", "-a", place, root], check=True)
        script = f"""
import os
from lamina.events import ignore
from lamina.store import quarantine, repair
from lamina.store.store import Store
rename, left = os.rename, [{moves}]
def moving(source, target):
    if "/quarantine/" in str(target):
        if not left[0]:
            os.kill(os.getpid(), 9)
        left[0] -= 1
    rename(source, target)
quarantine.os.rename = moving
store = Store({root!r})
with store.writing() as lease:
    list(repair.repair(store, lease, ignore, quarantine.Quarantine(store.paths)))
"""
        status = subprocess.run([sys.executable, "-c", script]).returncode
        assert status in (0, -9)
        store = Store(root)
        lines = mend(store)
        assert saved(store, OTHER)
        if not status:
            assert lines == []
            break
    assert moves > 3
