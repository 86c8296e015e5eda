"""Images on their way into a store: what is wrong with one is told, and nothing of it stays."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.samples import Sample, content, put
from tests.tars import file, hardlink, tar

from lamina.content.contract import ContentNotFound
from lamina.content.memory import Memory
from lamina.errors import LaminaError
from lamina.events import Event, Status, ignore
from lamina.oci import digest, mediatypes
from lamina.oci.codec import InvalidDocument
from lamina.oci.digest import Digest
from lamina.oci.manifest import Descriptor, Manifest
from lamina.store.check import check
from lamina.store.install import Disagreement, Installed, install, keep
from lamina.store.store import Store
from lamina.streams import DigestMismatch
from lamina.tar.header import InvalidTar

SAMPLE = Sample([tar(file("base", b"b" * 5000)), tar(file("top", b"t" * 3000))], ["sample:1"])


@pytest.fixture(params=["vfs", pytest.param("overlay2", marks=[pytest.mark.root, pytest.mark.overlay])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"), request.param)


class Lying(Memory):
    """A place of content that gives other bytes than it was given."""

    def replace(self, content: Digest, data: bytes) -> None:
        self._blobs[content] = data


def bring(store: Store, source: Memory, manifest: Manifest, report: Callable[[Event], None] = ignore) -> Installed:
    with store.writing() as lease:
        return install(store, lease, source, manifest, report)


def nothing_stays(store: Store) -> None:
    assert list(store.images) == list(store.layers) == list(store.driver) == []
    assert list(check(store, ignore)) == []


def test_an_image_comes_in(store: Store) -> None:
    source = Memory()
    manifest, _ = content(SAMPLE, source)
    assert bring(store, source, manifest) == (SAMPLE.id, 2)
    assert store.images.raw(SAMPLE.id) == SAMPLE.config
    assert sorted(store.layers) == sorted(SAMPLE.chain_ids)
    assert list(check(store, ignore)) == []


def test_layers_that_are_there_are_not_read(store: Store) -> None:
    put(store, Sample(SAMPLE.layers[:1]))
    source = Memory()
    manifest, _ = content(SAMPLE, source)
    source.delete(digest.of(SAMPLE.layers[0]))
    said: list[Event] = []
    assert bring(store, source, manifest, said.append) == (SAMPLE.id, 1)
    base, top = (digest.short(digest.of(layer)) for layer in SAMPLE.layers)
    assert [event for event in said if isinstance(event, Status)] == [
        Status("Already exists", base),
        Status("Loading layer", top),
    ]
    source.delete(digest.of(SAMPLE.layers[1]))
    assert bring(store, source, manifest).layers == 0


def test_the_same_layer_twice(store: Store) -> None:
    twice = Sample([SAMPLE.layers[0]] * 3)
    source = Memory()
    manifest, _ = content(twice, source)
    assert bring(store, source, manifest).layers == 3
    assert list(check(store, ignore)) == []


def test_compressed_layers(store: Store) -> None:
    source = Memory()
    manifest, _ = content(SAMPLE, source, gzip.compress)
    assert bring(store, source, manifest).image_id == SAMPLE.id
    assert list(check(store, ignore)) == []


def test_no_layers_at_all(store: Store) -> None:
    source = Memory()
    empty = Sample([])
    manifest, _ = content(empty, source)
    assert bring(store, source, manifest) == (empty.id, 0)
    assert list(check(store, ignore)) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_config_and_layers_that_disagree_in_number(store: Store, count: int) -> None:
    source = Memory()
    manifest, _ = content(SAMPLE, source)
    layers = (*manifest.layers, *manifest.layers)[:count]
    with pytest.raises(
        Disagreement, match=f"layers length mismatch: the config of image .* names 2 layers, .* {count}$"
    ):
        bring(store, source, msgspec.structs.replace(manifest, layers=layers))
    nothing_stays(store)


def test_layers_in_another_order(store: Store) -> None:
    source = Memory()
    manifest, _ = content(SAMPLE, source)
    with pytest.raises(DigestMismatch, match="invalid diffID for layer"):
        bring(store, source, msgspec.structs.replace(manifest, layers=manifest.layers[::-1]))
    nothing_stays(store)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("at", [0, 3, 150, 160, 600, -1, -1025])
def test_a_flipped_bit(store: Store, layer: int, at: int) -> None:
    source = Lying()
    manifest, _ = content(SAMPLE, source)
    source.replace(manifest.layers[layer].digest, _flipped(SAMPLE.layers[layer], at % len(SAMPLE.layers[layer])))
    with pytest.raises(LaminaError):
        bring(store, source, manifest)
    nothing_stays(store)


@pytest.mark.parametrize("size", [0, 100, 512, 700, 5000])
def test_a_layer_that_ends_early(store: Store, size: int) -> None:
    source = Lying()
    manifest, _ = content(SAMPLE, source)
    source.replace(manifest.layers[0].digest, SAMPLE.layers[0][:size])
    with pytest.raises((DigestMismatch, InvalidTar)):
        bring(store, source, manifest)
    nothing_stays(store)


def test_an_absent_layer(store: Store) -> None:
    source = Memory()
    manifest, _ = content(SAMPLE, source)
    source.delete(manifest.layers[1].digest)
    with pytest.raises(ContentNotFound):
        bring(store, source, manifest)
    nothing_stays(store)


@pytest.mark.parametrize("harm", [b"", SAMPLE.config + b" ", SAMPLE.config[:-1]])
def test_another_config(store: Store, harm: bytes) -> None:
    source = Lying()
    manifest, _ = content(SAMPLE, source)
    source.replace(manifest.config.digest, harm)
    with pytest.raises(DigestMismatch):
        bring(store, source, manifest)
    nothing_stays(store)


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'{"rootfs":{"diff_ids":["../../x"]}}', b"\xff"])
def test_a_config_that_is_none(store: Store, raw: bytes) -> None:
    source = Memory()
    config = Descriptor(mediatypes.OCI_CONFIG, digest.of(raw), len(raw))
    source.push(config, io.BytesIO(raw))
    with pytest.raises(InvalidDocument, match=f"^image config {config.digest}"):
        bring(store, source, Manifest(2, config, ()))
    nothing_stays(store)


def test_too_many_layers(store: Store) -> None:
    source = Memory()
    manifest, _ = content(Sample([bytes(1024)] * 500), source)
    with pytest.raises(InvalidTar, match="max depth exceeded"):
        bring(store, source, manifest)
    nothing_stays(store)


def test_a_layer_that_cannot_be_unpacked(store: Store) -> None:
    source = Memory()
    manifest, _ = content(Sample([SAMPLE.layers[0], tar(file("x"), hardlink("l", "nowhere"))]), source)
    with pytest.raises(InvalidTar, match="hard link 'l' to 'nowhere'"):
        bring(store, source, manifest)
    nothing_stays(store)


def test_whoever_listens_may_cancel(store: Store) -> None:
    source = Memory()
    manifest, _ = content(SAMPLE, source)

    def cancel(event: Event) -> None:
        if isinstance(event, Status) and event.subject == digest.short(digest.of(SAMPLE.layers[1])):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(store, source, manifest, cancel)
    nothing_stays(store)


def test_documents_are_kept_as_they_came(store: Store) -> None:
    source = Lying()
    manifest, descriptor = content(SAMPLE, source)
    keep(store, source, descriptor)
    keep(store, source, descriptor)
    with store.content.open(descriptor) as stream:
        assert json.loads(stream.read())["config"]["digest"] == manifest.config.digest
    wrong = msgspec.structs.replace(descriptor, digest=manifest.config.digest)
    with pytest.raises(DigestMismatch):
        keep(store, source, wrong)
    assert not store.content.has(wrong)
