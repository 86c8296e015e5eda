"""OCI layouts in a tar: which image of an index is taken, and what its documents may be."""

import io
import json
from pathlib import Path

import pytest
from tests import samples
from tests.samples import Sample, add, archive, content
from tests.tars import file, tar

from lamina.archive.load import load, opened
from lamina.archive.oci import OciArchive
from lamina.archive.save import StoreSource
from lamina.content.choosing import NoPlatform
from lamina.content.contract import ContentNotFound
from lamina.content.memory import Memory
from lamina.errors import DataLoss, InvalidArgument
from lamina.events import ignore
from lamina.oci import codec, mediatypes
from lamina.oci.codec import InvalidDocument
from lamina.oci.manifest import Descriptor, Index
from lamina.oci.platform import Platform
from lamina.store.store import Store

AMD = Sample([tar(file("amd"))])
ARM = Sample([tar(file("arm"))], extra={"architecture": "arm64"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"), "vfs")


def index(place: Memory, *entries: Descriptor) -> Descriptor:
    return add(place, codec.encode(Index(2, entries, mediatypes.OCI_INDEX)), mediatypes.OCI_INDEX)


def layout(place: Memory, *entries: Descriptor) -> bytes:
    """Return an archive of a layout whose index has some entries."""
    blobs = {f"blobs/{found.replace(':', '/')}": place._blobs[found] for found in place}
    return archive({**blobs, "index.json": codec.encode(Index(2, entries, mediatypes.OCI_INDEX))})


def named(descriptor: Descriptor, **names: str) -> Descriptor:
    keys = {"full": "io.containerd.image.name", "ref": "org.opencontainers.image.ref.name"}
    annotations = {keys[key]: value for key, value in names.items()}
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, descriptor.urls, annotations)


def for_platform(descriptor: Descriptor, architecture: str, variant: str = "") -> Descriptor:
    platform = Platform(architecture, "linux", variant)
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, platform=platform)


def both(place: Memory) -> Descriptor:
    """Put an index of two platforms into a place."""
    manifests = [content(sample, place)[1] for sample in (ARM, AMD)]
    return index(place, for_platform(manifests[0], "arm64"), for_platform(manifests[1], "amd64"))


@pytest.mark.parametrize(("wanted", "sample"), [("linux/amd64", AMD), ("linux/arm64/v8", ARM), ("aarch64", ARM)])
def test_the_image_of_a_platform(store: Store, wanted: str, sample: Sample) -> None:
    place = Memory()
    (loaded,) = load(store, io.BytesIO(layout(place, index(place, both(place)))), "x.tar", ignore, wanted)
    assert loaded.image_id == sample.id
    assert list(store.images) == [sample.id]


def test_no_image_for_a_platform(store: Store) -> None:
    place = Memory()
    data = layout(place, both(place))
    with pytest.raises(NoPlatform, match=r"no matching manifest for linux/s390x in index .* linux/amd64, linux/arm64$"):
        load(store, io.BytesIO(data), "x.tar", ignore, "linux/s390x")
    with pytest.raises(NoPlatform, match="it has none"):
        load(store, io.BytesIO(layout(place, index(place))), "x.tar", ignore)
    with pytest.raises(InvalidArgument, match="invalid platform"):
        load(store, io.BytesIO(data), "x.tar", ignore, "a/b/c/d")
    assert list(store.images) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, []),
        ({"ref": "1"}, []),
        ({"ref": "a:1"}, ["a:1"]),
        ({"ref": "other.io/a"}, ["other.io/a:latest"]),
        ({"full": "docker.io/library/a:2", "ref": "2"}, ["a:2"]),
        ({"full": "not A/name", "ref": "a:3"}, ["a:3"]),
        ({"ref": "Not:a name"}, []),
    ],
)
def test_only_whole_names_are_names(store: Store, names: dict[str, str], expected: list[str]) -> None:
    place = Memory()
    data = layout(place, named(content(AMD, place)[1], **names))
    assert [image.names for image in load(store, io.BytesIO(data), "x.tar", ignore)] == [expected]
    assert list(store.references.all()) == expected


def test_what_is_no_image_is_passed_over(store: Store) -> None:
    place = Memory()
    other = add(place, b"{}", "application/vnd.example")
    (loaded,) = load(store, io.BytesIO(layout(place, other, content(AMD, place)[1])), "x.tar", ignore)
    assert loaded.image_id == AMD.id


@pytest.mark.parametrize("depth", [8, 9])
def test_indexes_in_indexes(store: Store, depth: int) -> None:
    place = Memory()
    entry = content(AMD, place)[1]
    for _ in range(depth):
        entry = index(place, entry)
    data = io.BytesIO(layout(place, entry))
    if depth > 8:
        with pytest.raises(InvalidDocument, match="more than 8 deep"):
            load(store, data, "x.tar", ignore)
    else:
        assert [image.image_id for image in load(store, data, "x.tar", ignore)] == [AMD.id]


@pytest.mark.parametrize("harm", [b"", b"{", b"null", b"[]", b"\xff", b"{}", b"[" * 100_000])
def test_documents_that_are_none(store: Store, harm: bytes) -> None:
    place = Memory()
    files = {"index.json": harm}
    with pytest.raises(InvalidDocument, match=r"index\.json of x\.tar"):
        load(store, io.BytesIO(archive(files)), "x.tar", ignore)
    entry = add(place, harm, mediatypes.OCI_MANIFEST)
    with pytest.raises(InvalidDocument):
        load(store, io.BytesIO(layout(place, entry)), "x.tar", ignore)


def test_a_document_that_is_another(store: Store) -> None:
    place = Memory()
    entry = content(AMD, place)[1]
    place._blobs[entry.digest] = place._blobs[entry.digest].replace(b"2", b"3", 1)
    with pytest.raises(DataLoss, match=f"content {entry.digest}"):
        load(store, io.BytesIO(layout(place, entry)), "x.tar", ignore)
    del place._blobs[entry.digest]
    with pytest.raises(ContentNotFound, match=f"has no content {entry.digest}"):
        load(store, io.BytesIO(layout(place, entry)), "x.tar", ignore)


def test_as_a_source_of_content(store: Store) -> None:
    place = Memory()
    entry = named(content(AMD, place)[1], full="docker.io/library/a:2", ref="2")
    with opened(store, io.BytesIO(layout(place, entry)), "x.tar") as found:
        source = OciArchive(found)
        for name in ("a:2", "2", entry.digest):
            assert source.resolve(name).digest == entry.digest
        with pytest.raises(ContentNotFound, match=r"x\.tar has nothing named 'a:3'"):
            source.resolve("a:3")


def test_images_of_a_store_as_a_source_of_content(store: Store) -> None:
    sample = AMD._replace(names=["a:1"])
    samples.put(store, sample)
    source = StoreSource(store)
    descriptor = source.resolve("a:1")
    with source.open(descriptor) as stream:
        document = json.loads(stream.read(1 << 20))
    assert document["config"]["digest"] == sample.id
    assert [layer["size"] for layer in document["layers"]] == [len(layer) for layer in sample.layers]
    with pytest.raises(ContentNotFound, match="no image is named 'a:2'"):
        source.resolve("a:2")
    with pytest.raises(ContentNotFound, match="no content has the digest"), source.open(add(Memory(), b"x", "text")):
        pass
