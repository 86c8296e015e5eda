"""Archives of images that lie: refused in one line that can be printed, or taken for what they are."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import samples, tars
from tests.samples import Sample

from lamina.archive.load import load
from lamina.errors import LaminaError
from lamina.events import ignore
from lamina.store.check import check
from lamina.store.store import Store

LAYER = tars.tar(tars.file("a", b"x"))
SECRET = "/etc/passwd"


class Archive:
    """An archive of one image, to be spoiled: `item` of manifest.json, the config, and members beside them."""

    def __init__(self) -> None:
        self.item: dict[str, Any] = {"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]}
        self.config: dict[str, Any] = json.loads(Sample([LAYER]).config)
        self.list = ""
        self.members = [tars.file("layer.tar", LAYER)]

    def data(self) -> bytes:
        files = {
            "config.json": json.dumps(self.config).encode(),
            "manifest.json": self.list.encode() or json.dumps([self.item]).encode(),
        }
        return tars.tar(*self.members, *(tars.file(name, data) for name, data in files.items()))


def _put(**fields: object) -> Callable[[Archive], None]:
    return lambda archive: archive.item.update(fields)


def _config(**fields: object) -> Callable[[Archive], None]:
    return lambda archive: archive.config.update(fields)


def _members(*members: tars.Member) -> Callable[[Archive], None]:
    return lambda archive: archive.members.extend(members)


def _listed(text: str) -> Callable[[Archive], None]:
    return lambda archive: setattr(archive, "list", text)


def _many(count: int) -> Callable[[Archive], None]:
    def spoil(archive: Archive) -> None:
        archive.item["Layers"] *= count
        archive.config["rootfs"]["diff_ids"] *= count

    return spoil


CASES: dict[str, tuple[Callable[[Archive], None], str]] = {
    "nothing wrong": (_members(), ""),
    "one blob as three layers": (_many(3), ""),
    "500 layers": (_many(500), "max depth exceeded"),
    "100,000 layers": (_many(100_000), "larger than"),
    "two members of a name": (_members(tars.file("layer.tar", b"other")), "tar ends early"),
    "two lists": (_members(tars.file("manifest.json", b"[]")), ""),
    "a layer above": (_put(Layers=["../layer.tar"]), "has no file"),
    "an absolute layer": (_put(Layers=[SECRET]), "has no file"),
    "a layer that is a link to outside": (
        lambda archive: (_put(Layers=["l"])(archive), _members(tars.symlink("l", SECRET))(archive))[0],
        "has no file",
    ),
    "a layer that is a link up": (_members(tars.symlink("layer.tar", "../../etc/passwd")), "outside of the tree"),
    "a layer that is a link to itself": (_members(tars.symlink("layer.tar", "layer.tar")), "has no file"),
    "a layer that is a device": (
        lambda archive: (_put(Layers=["d"])(archive), _members(tars.device("d", 1, 5))(archive))[0],
        "has no file",
    ),
    "a layer that is a directory": (_put(Layers=["d/"]), "has no file"),
    "a member above": (_members(tars.file("../x", b"!")), "outside of the tree"),
    "NUL in a name": (_put(Layers=["a\0b"]), "has no file"),
    "half a surrogate in a name": (_listed('[{"Config":"\\ud800","Layers":[]}]'), "manifest.json"),
    "newlines and escapes in a name": (_put(Config="a\nb\x1b[2J"), "has no file"),
    "newlines and escapes in a config's name": (
        lambda archive: (
            _put(Config="a\nb\x1b[2J")(archive),
            _members(tars.file("a\nb\x1b[2J", b"{"))(archive),
        )[0],
        "invalid",
    ),
    "a name of an image with newlines": (_put(RepoTags=["a\nb:1"]), "invalid reference format"),
    "a name of an image with escapes": (_put(RepoTags=["\x1b[2J"]), "invalid reference format"),
    "a name of an image that goes up": (_put(RepoTags=["../../x:1"]), "invalid reference format"),
    "an empty name of an image": (_put(RepoTags=[""]), "invalid reference format"),
    "a long name of an image": (_put(RepoTags=["a" * 5000]), "longer than 255"),
    "another registry's name on the hub": (_put(RepoTags=["docker.io/evil.example/a:1"]), ""),
    "an object for the list": (_listed("{}"), "manifest.json"),
    "numbers for names": (_put(Layers=[1]), "manifest.json"),
    "a huge number": (_config(config={"StopTimeout": 10**40}), "config.json"),
    "a number beyond floats": (_listed('[{"Config":1e999}]'), "manifest.json"),
    "a key twice": (_listed('[{"Config":"x","Config":"config.json","Layers":["layer.tar"]}]'), ""),
    "a diff id that is a path": (_config(rootfs={"diff_ids": ["sha256:../../x"]}), "invalid digest"),
    "deep lists": (_listed("[" * 200_000), "manifest.json"),
    "a deep label": (_listed('[{"Config":"config.json","x":' + "[" * 100_000), "manifest.json"),
    "a parent that is a path": (_put(Parent="../../x"), ""),
    "more history than layers": (_config(history=[{}, {}]), "history"),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "store"), "vfs")
    yield store
    assert list(check(store, ignore)) == []
    for place in (store.paths.tmp, store.paths.leases):
        assert not Path(place).exists() or list(Path(place).iterdir()) == []


@pytest.mark.parametrize("name", CASES)
def test_an_archive(store: Store, name: str) -> None:
    spoil, refused = CASES[name]
    archive = Archive()
    spoil(archive)
    said = _loaded(store, archive.data())
    assert said.isprintable()
    assert (refused in said) if refused else said == "", said


def _loaded(store: Store, data: bytes) -> str:
    try:
        load(store, io.BytesIO(data), "a.tar", ignore)
    except LaminaError as error:
        return str(error)
    return ""


def test_a_name_that_is_another_registrys(store: Store) -> None:
    """A name on the hub never shows as one of another registry."""
    archive = Archive()
    archive.item["RepoTags"] = ["docker.io/evil.example/a:1"]
    assert _loaded(store, archive.data()) == ""
    assert list(store.references.all()) == ["docker.io/evil.example/a:1"]


def test_a_blob_that_is_a_manifest_of_itself(store: Store) -> None:
    """An index whose manifests lead in a circle ends: a digest cannot name itself, and names are what counts."""
    members = samples.oci_members(Sample([LAYER], ["a:1"]))
    index = json.loads(members["index.json"])
    index["manifests"] *= 3
    assert _loaded(store, samples.archive({**members, "index.json": json.dumps(index).encode()})) == ""
    for wrong in ("sha256:" + "0" * 64, "sha256:../../../../etc/passwd", "nothing:x", ""):
        index["manifests"] = [{**index["manifests"][0], "digest": wrong}]
        assert _loaded(store, samples.archive({**members, "index.json": json.dumps(index).encode()}))
