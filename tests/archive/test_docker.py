"""Archives of `docker save`: that of docker 20.10 in tests/data, and others in a few words."""

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from tests import samples, tars
from tests.samples import Sample
from tests.tars import file, tar

from lamina.archive.docker import DockerArchive, InvalidArchive
from lamina.archive.load import Loaded, load, load_folder, opened
from lamina.archive.save import Wanted, save
from lamina.content.contract import ContentNotFound
from lamina.content.memory import Memory
from lamina.errors import LaminaError
from lamina.events import ignore
from lamina.oci import digest, reference
from lamina.store.check import check
from lamina.store.store import Store

DOCKER = Path(__file__).parent.parent / "data/archive/docker-20.10.tar.gz"
IDS = {
    "a:1": "sha256:841e0af1bd4e656d6634848cc409405ce7def988a3a544b4c0f18bb38cf41119",
    "a:2": "sha256:93306d83e97ad90f70a2cec4c82200a2bd2307f3350c0a092bfc598cdf9ab987",
}
BASE = Sample([tar(file("base"))], ["base:1", "base:2"])
TOP = Sample([*BASE.layers, tar(file("top"))], ["top:1"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"), "vfs")


def members(data: bytes) -> dict[str, bytes]:
    """Return the files of a tar, links followed."""
    with tarfile.open(fileobj=io.BytesIO(data)) as found:
        files = {member.name: found.extractfile(member) for member in found if not member.isdir()}
        return {name: content.read() for name, content in files.items() if content}


def images(files: dict[str, bytes]) -> dict[str, tuple[bytes, list[bytes]]]:
    """Return every image of an archive by its first name: its config, and its layers."""
    items = json.loads(files["manifest.json"])
    return {
        item["RepoTags"][0]: (files[item["Config"]], [files[name] for name in item["Layers"] or []]) for item in items
    }


def saved(store: Store, *names: str) -> bytes:
    """Save images, each under one name."""
    out = io.BytesIO()
    wanted = [reference.parse(name).tagged() for name in names]
    save(store, [Wanted(store.references.all()[name.familiar], [name]) for name in wanted], out)
    return out.getvalue()


def _file(store: Store, folder: Path) -> list[Loaded]:
    with open(DOCKER, "rb") as source:
        return load(store, source, "docker.tar.gz", ignore)


def _pipe(store: Store, folder: Path) -> list[Loaded]:
    with subprocess.Popen(["gzip", "-dc", str(DOCKER)], stdout=subprocess.PIPE) as child:
        return load(store, cast(BinaryIO, child.stdout), "a pipe", ignore)


def _folder(store: Store, folder: Path) -> list[Loaded]:
    subprocess.run(["tar", "-C", str(folder), "-xzf", str(DOCKER)], check=True)
    return load_folder(store, str(folder), ignore)


class TestOfDocker:
    @pytest.mark.parametrize("way", [_file, _pipe, _folder])
    def test_it_goes_in_and_out_byte_for_byte(
        self, store: Store, tmp_path: Path, way: Callable[[Store, Path], list[Loaded]]
    ) -> None:
        (tmp_path / "unpacked").mkdir()
        loaded = way(store, tmp_path / "unpacked")

        assert [(image.names, image.image_id) for image in loaded] == [([name], found) for name, found in IDS.items()]
        assert store.references.all() == IDS
        assert images(members(saved(store, *IDS))) == images(members(gzip.decompress(DOCKER.read_bytes())))
        assert list(check(store, ignore)) == []

    def test_what_an_image_was_built_on_is_known_again(self, store: Store, tmp_path: Path) -> None:
        _file(store, tmp_path)
        assert {image_id: store.images.parent(image_id) for image_id in store.images} == {
            IDS["a:1"]: None,
            IDS["a:2"]: IDS["a:1"],
        }


def test_what_is_saved_is_always_the_same(store: Store, tmp_path: Path) -> None:
    for sample in (BASE, TOP):
        samples.put(store, sample)
    other = Store(str(tmp_path / "other"), "vfs")
    load(other, io.BytesIO(saved(store, "top:1", "base:1")), "archive", ignore)
    assert saved(other, "top:1", "base:1") == saved(store, "top:1", "base:1")


def test_each_layer_is_saved_once_and_every_name_leads_to_it(store: Store) -> None:
    for sample in (BASE, TOP):
        samples.put(store, sample)
    files = members(saved(store, "base:1", "top:1"))

    assert sorted(data for data in files.values() if len(data) >= 1024) == sorted(TOP.layers)
    assert images(files) == {"base:1": (BASE.config, BASE.layers), "top:1": (TOP.config, TOP.layers)}
    tops = {"base": {"1": digest.of(BASE.layers[-1])[7:]}, "top": {"1": digest.of(TOP.layers[-1])[7:]}}
    assert json.loads(files["repositories"]) == tops
    with tarfile.open(fileobj=io.BytesIO(saved(store, "top:1"))) as found:
        names = found.getnames()
    assert len(names) == len(set(names))


def test_an_image_without_layers_or_name(store: Store) -> None:
    image_id = samples.put(store, Sample([]))
    out = io.BytesIO()
    save(store, [Wanted(image_id, [])], out)
    assert json.loads(members(out.getvalue())["manifest.json"]) == [
        {"Config": f"blobs/sha256/{digest.encoded(image_id)}", "Layers": []}
    ]
    assert members(out.getvalue())["repositories"] == b"{}"


def test_a_name_that_moves_leaves_the_other_image(store: Store) -> None:
    old, new = Sample([tar(file("old"))], ["a:1"]), Sample([tar(file("new"))], ["a:1"])
    samples.put(store, old)
    load(store, io.BytesIO(samples.docker_archive(new)), "archive", ignore)
    assert store.references.all() == {"a:1": new.id}
    assert set(store.images) == {old.id, new.id}


def test_images_before_a_bad_one_stay_and_nothing_else(store: Store) -> None:
    bad = samples.docker_members(BASE, TOP)
    bad[f"{digest.encoded(TOP.chain_ids[-1])}/layer.tar"] = tar(file("other"))
    with pytest.raises(LaminaError, match="layer"):
        load(store, io.BytesIO(samples.archive(bad)), "archive", ignore)
    assert set(store.images) == {BASE.id}
    assert list(store.layers) == BASE.chain_ids
    assert list(check(store, ignore)) == []


@pytest.mark.parametrize("parent", [BASE.id, TOP.id, "sha256:" + "0" * 64, "nonsense"])
def test_only_a_parent_that_can_be_one_counts(store: Store, parent: str) -> None:
    files = samples.docker_members(BASE, TOP)
    items = json.loads(files["manifest.json"])
    items[1]["Parent"] = parent
    load(store, io.BytesIO(samples.archive({**files, "manifest.json": json.dumps(items).encode()})), "archive", ignore)
    assert store.images.parent(TOP.id) == (parent if parent == BASE.id else None)


def test_an_image_is_no_parent_of_what_has_other_layers(store: Store) -> None:
    files = samples.docker_members(BASE, Sample([tar(file("other"))], ["other:1"]))
    items = json.loads(files["manifest.json"])
    items[1]["Parent"] = BASE.id
    load(store, io.BytesIO(samples.archive({**files, "manifest.json": json.dumps(items).encode()})), "archive", ignore)
    assert {store.images.parent(image_id) for image_id in store.images} == {None}


@pytest.mark.parametrize("data", [b"\x1f\x8bno gzip", b"no tar" * 1000, gzip.compress(b"no tar" * 1000, mtime=0)])
def test_what_is_no_archive(store: Store, data: bytes) -> None:
    with pytest.raises(InvalidArchive, match=r"x\.tar is no archive of images"):
        load(store, io.BytesIO(data), "x.tar", ignore)


def test_as_a_source_of_content(store: Store) -> None:
    with opened(store, io.BytesIO(samples.docker_archive(BASE)), "x.tar") as found:
        source = DockerArchive(found)
        config = source.resolve("base:2")
        (layer,) = source.manifest(source.items()[0]).layers
        for descriptor, expected in ((config, BASE.config), (layer, BASE.layers[0])):
            with source.open(descriptor) as stream:
                assert stream.read(1 << 20) == expected
        with pytest.raises(ContentNotFound, match=r"x\.tar has no image named 'base:3'"):
            source.resolve("base:3")
        with (
            pytest.raises(ContentNotFound, match=r"x\.tar has no content sha256:"),
            source.open(samples.add(Memory(), b"absent", "text/plain")),
        ):
            pass


@pytest.mark.parametrize("first", ["link", "file"])
def test_the_last_member_of_a_name_counts(store: Store, first: str) -> None:
    both = [tars.symlink("manifest.json", "elsewhere"), tars.file("manifest.json", b"[]")]
    rest = [tars.file("elsewhere", samples.docker_members(BASE)["manifest.json"])]
    rest += [tars.file(name, data) for name, data in samples.docker_members(BASE).items() if name != "manifest.json"]
    data = tars.tar(*(both if first == "link" else both[::-1]), *rest)
    loaded = load(store, io.BytesIO(data), "x.tar", ignore)
    assert [image.image_id for image in loaded] == ([] if first == "link" else [BASE.id])
