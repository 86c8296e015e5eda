"""One image out of an archive or a layout, and into one, with its blobs as they are."""

import bz2
import gzip
import io
import json
import pathlib
import tarfile
from collections.abc import Callable

import pytest
from tests import samples, tars
from tests.samples import Sample

from lamina.archive import places
from lamina.archive.docker import InvalidArchive
from lamina.archive.load import load
from lamina.archive.places import Finished, Named
from lamina.content.contract import ContentNotFound, Source
from lamina.content.copying import copy, read
from lamina.content.layout import Layout
from lamina.content.memory import Memory
from lamina.errors import InvalidArgument, LaminaError, NotSupported
from lamina.events import ignore
from lamina.oci import digest, manifest, mediatypes
from lamina.oci.manifest import Manifest
from lamina.remote.moving import move
from lamina.store.store import Store
from lamina.streams import Verified

ONE = Sample([tars.tar(tars.file("a", b"x" * 5000)), tars.tar(tars.file("b"))], ["one:1"])
TWO = Sample([tars.tar(tars.file("a", b"x" * 5000))], ["two:2", "two:other"])


def squeezed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def write(folder: pathlib.Path, data: bytes) -> str:
    path = folder / "archive.tar"
    path.write_bytes(data)
    return str(path)


def taken(source: Source, found: Named) -> tuple[Memory, Manifest]:
    """Copy an image to memory, all of it verified."""
    target = Memory()
    copy(source, target, found.descriptor)
    value = manifest.parse(read(target, found.descriptor))
    assert isinstance(value, Manifest)
    return target, value


@pytest.mark.parametrize("compress", [samples.plain, squeezed])
@pytest.mark.parametrize("outer", [samples.plain, squeezed, bz2.compress])
def test_an_archive_of_docker(
    compress: Callable[[bytes], bytes], outer: Callable[[bytes], bytes], tmp_path: pathlib.Path
) -> None:
    path = write(tmp_path, outer(samples.docker_archive(ONE, compress=compress)))
    with places.archive(path, "") as (source, found):
        target, value = taken(source, found)
    assert found.name == "docker.io/library/one:1"
    assert value.config.digest == ONE.id
    assert [target._blobs[layer.digest] for layer in value.layers] == [compress(layer) for layer in ONE.layers]
    kind = mediatypes.OCI_LAYER_GZIP if compress is squeezed else mediatypes.OCI_LAYER
    assert {layer.media_type for layer in value.layers} == {kind}


def test_a_layout_in_an_archive_is_as_it_was(tmp_path: pathlib.Path) -> None:
    members = samples.oci_members(ONE, compress=squeezed)
    path = write(tmp_path, samples.archive(members))
    with places.archive(path, "") as (source, found):
        _, value = taken(source, found)
        assert read(source, found.descriptor) == members[f"blobs/{found.descriptor.digest.replace(':', '/')}"]
    assert value.layers[0].digest == digest.of(squeezed(ONE.layers[0]))
    assert found.name == "docker.io/library/one:1"


@pytest.mark.parametrize("make", [samples.docker_archive, samples.oci_archive])
@pytest.mark.parametrize("name", ["two:2", "two:other", "docker.io/library/two:2"])
def test_one_of_several(make: Callable[..., bytes], name: str, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, make(ONE, TWO))
    with places.archive(path, name) as (source, found):
        assert taken(source, found)[1].config.digest == TWO.id
    with pytest.raises(InvalidArgument, match=r"has several images, say which: one:1, two:2, two:other"):
        places.archive(path, "").__enter__()
    with pytest.raises(ContentNotFound, match="has no image named 'three:3'"):
        places.archive(path, "three:3").__enter__()


def test_names_of_one_image_are_one(tmp_path: pathlib.Path) -> None:
    for data in (samples.oci_archive(TWO), samples.docker_archive(TWO)):
        with places.archive(write(tmp_path, data), "") as (source, found):
            assert taken(source, found)[1].config.digest == TWO.id


def test_layers_that_registries_do_not_know(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, samples.docker_archive(ONE, compress=bz2.compress))
    with pytest.raises(NotSupported, match="compressed in a way that registries do not know"):
        places.archive(path, "").__enter__()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no tar",
        tars.tar(tars.file("x")),
        gzip.compress(b"x", mtime=0),
        tars.tar(tars.file("manifest.json", b"{")),
    ],
)
def test_what_is_no_archive(data: bytes, tmp_path: pathlib.Path) -> None:
    with pytest.raises(LaminaError, match=r"archive"):
        places.archive(write(tmp_path, data), "").__enter__()


def test_what_is_no_layout(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InvalidArchive, match=r"is no OCI layout: it has no index\.json"):
        places.layout(str(tmp_path), "").__enter__()


def test_a_layout(tmp_path: pathlib.Path) -> None:
    layout = Layout(str(tmp_path))
    for number, sample in enumerate((ONE, TWO)):
        _, described = samples.content(sample, layout)
        layout.tag(described, f"v{number}")
    with places.layout(str(tmp_path), "v1") as (source, found):
        assert taken(source, found)[1].config.digest == TWO.id
        assert found.name == ""
        assert not found.descriptor.annotations
    with pytest.raises(InvalidArgument, match="say which: v0, v1"):
        places.layout(str(tmp_path), "").__enter__()


@pytest.mark.parametrize("for_docker", [True, False])
@pytest.mark.parametrize("compress", [samples.plain, squeezed])
def test_into_an_archive(for_docker: bool, compress: Callable[[bytes], bytes], tmp_path: pathlib.Path) -> None:
    source = Memory()
    _, root = samples.content(ONE, source, compress)
    path = str(tmp_path / "out.tar")
    with places.writing(path, for_docker=for_docker) as archive:
        move(source, archive.target, root, workers=1)
        archive.finish(source, Finished(root, root, "docker.io/me/one:1"))
    with places.archive(path, "me/one:1") as (back, found):
        assert found.descriptor == root
        assert list(taken(back, found)[0]) == list(source)
    with tarfile.open(path) as tar:
        assert ("manifest.json" in tar.getnames()) == for_docker
    store = Store(str(tmp_path / "store"), "vfs")
    with open(path, "rb") as file:
        loaded = load(store, file, path, ignore)
    assert [(image.image_id, image.names) for image in loaded] == [(ONE.id, ["me/one:1"])]


def test_dockers_list(tmp_path: pathlib.Path) -> None:
    source = Memory()
    _, root = samples.content(ONE, source, squeezed)
    path = str(tmp_path / "out.tar")
    with places.writing(path, for_docker=True) as archive:
        move(source, archive.target, root, workers=1)
        archive.finish(source, Finished(root, root, ""))
    with tarfile.open(path) as tar:
        found = tar.extractfile("manifest.json")
        assert found is not None
        items = json.loads(found.read())
        assert "RepoTags" not in items[0]
        for name, layer in zip(items[0]["Layers"], ONE.layers, strict=True):
            member = tar.extractfile(name)
            assert member is not None
            assert gzip.decompress(member.read()) == layer


def test_an_archive_that_fails_is_not_there(tmp_path: pathlib.Path) -> None:
    source = Memory()
    value, root = samples.content(ONE, source)
    source.delete(value.layers[1].digest)
    path = tmp_path / "out.tar"
    with pytest.raises(ContentNotFound), places.writing(str(path), for_docker=True) as archive:
        move(source, archive.target, root, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_blob_that_lies_in_an_archive_is_found_out(tmp_path: pathlib.Path) -> None:
    members = samples.oci_members(ONE)
    layer = f"blobs/{digest.of(ONE.layers[0]).replace(':', '/')}"
    path = write(tmp_path, samples.archive({**members, layer: bytes(len(members[layer]))}))
    with places.archive(path, "") as (source, found), pytest.raises(LaminaError, match="expected sha256"):
        taken(source, found)
    assert Verified(io.BytesIO(members[layer]), digest.of(ONE.layers[0])).read()
