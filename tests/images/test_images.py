"""Images by id: kept as the very bytes, found by what people type, and never taken for others."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.samples import Sample
from tests.tars import file, tar

from lamina.images.images import AmbiguousImage, ImageDamaged, ImageNotFound, Images
from lamina.images.paths import Paths
from lamina.oci import codec, digest
from lamina.oci.codec import InvalidDocument
from lamina.oci.digest import Digest

SAMPLE = Sample([tar(file("a"))], extra={"config": {"Labels": {"k": "v"}}, "created": "2020-01-01T00:00:00Z"})
ABSENT = digest.of(b"absent")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(str(tmp_path / "image"), str(tmp_path / "index"))
    for folder in (paths.content, paths.metadata):
        os.makedirs(folder)
    return paths


@pytest.fixture
def images(paths: Paths) -> Images:
    return Images(paths)


def numbered(images: Images, count: int) -> list[Digest]:
    return [images.create(b'{"rootfs":{"diff_ids":[]},"os":"%d"}' % number) for number in range(count)]


def test_a_config_stays_as_it_came(images: Images, paths: Paths) -> None:
    raw = SAMPLE.config + b"\n "
    image_id = images.create(raw)
    assert image_id == digest.of(raw)
    assert images.raw(image_id) == raw
    assert images.get(image_id).diff_ids == images.summary(image_id).diff_ids == [digest.of(SAMPLE.layers[0])]
    assert images.summary(image_id).created == "2020-01-01T00:00:00Z"
    assert os.stat(paths.config(image_id)).st_mode & 0o777 == 0o600
    assert image_id in images
    assert list(images) == [image_id]


def test_doing_it_again_changes_nothing(images: Images, paths: Paths) -> None:
    image_id = images.create(SAMPLE.config)
    before = os.stat(paths.config(image_id))
    assert images.create(SAMPLE.config) == image_id
    assert os.stat(paths.config(image_id)).st_ino == before.st_ino


def test_absent(images: Images) -> None:
    assert ABSENT not in images
    for ask in (images.raw, images.get, images.summary):
        with pytest.raises(ImageNotFound, match=f"^No such image: {ABSENT}$"):
            ask(ABSENT)
    assert images.parent(ABSENT) is None
    assert images.last_updated(ABSENT) == ""
    assert not images.is_built_locally(ABSENT)
    images.delete(ABSENT)


@pytest.mark.parametrize("harm", [b"", b"{}", SAMPLE.config[:-1], SAMPLE.config + b" ", bytes(codec.LIMIT + 2)])
def test_other_bytes_are_damage(images: Images, paths: Paths, harm: bytes) -> None:
    image_id = images.create(SAMPLE.config)
    Path(paths.config(image_id)).write_bytes(harm)
    for ask in (images.raw, images.get, images.summary):
        with pytest.raises(ImageDamaged, match=f"image {image_id} is damaged: its config has the digest sha256:"):
            ask(image_id)


def test_a_folder_in_the_place_of_a_config(images: Images, paths: Paths) -> None:
    os.mkdir(paths.config(ABSENT))
    assert ABSENT not in images
    with pytest.raises(ImageDamaged, match="Is a directory"):
        images.raw(ABSENT)


def test_a_config_that_is_none_names_the_image(images: Images) -> None:
    image_id = images.create(b"[]")
    with pytest.raises(InvalidDocument, match=f"image {image_id} is invalid"):
        images.get(image_id)


def test_strange_files_are_no_images(images: Images, paths: Paths) -> None:
    (image_id,) = numbered(images, 1)
    for name in (".tmp-x", "x" * 64, image_id, "A" * 64):
        Path(paths.content, name).touch()
    assert list(images) == [image_id]


class TestFacts:
    def test_they_are_kept(self, images: Images, paths: Paths) -> None:
        image_id, parent = numbered(images, 2)
        images.set_parent(image_id, parent)
        images.set_built_locally(image_id)
        images.set_last_updated(image_id, "2020-01-01T00:00:00Z")
        again = Images(paths)
        assert again.parent(image_id) == parent
        assert again.is_built_locally(image_id)
        assert again.last_updated(image_id) == "2020-01-01T00:00:00Z"
        assert list(again.facts()) == [image_id]
        assert Path(paths.fact(image_id, "parent")).read_text() == parent, "as Docker writes it"
        assert Path(paths.fact(image_id, "builtLocally")).read_bytes() == b"\1"

    def test_a_parent_is_forgotten(self, images: Images) -> None:
        image_id, parent = numbered(images, 2)
        images.set_parent(image_id, parent)
        images.set_parent(image_id, None)
        images.set_parent(image_id, None)
        assert images.parent(image_id) is None

    @pytest.mark.parametrize("harm", [b"", b"x", b"sha256:" + b"a" * 63, b"\xff" * 71, b"../../x"])
    def test_a_parent_that_is_no_digest_is_none(self, images: Images, paths: Paths, harm: bytes) -> None:
        image_id, parent = numbered(images, 2)
        images.set_parent(image_id, parent)
        Path(paths.fact(image_id, "parent")).write_bytes(harm)
        assert images.parent(image_id) is None

    def test_they_go_with_the_image(self, images: Images) -> None:
        image_id, other = numbered(images, 2)
        for one in (image_id, other):
            images.set_built_locally(one)
        images.delete(image_id)
        images.delete(image_id)
        assert list(images) == list(images.facts()) == [other]


class TestFind:
    def test_by_id(self, images: Images) -> None:
        (image_id,) = numbered(images, 1)
        hex_part = digest.encoded(image_id)
        for text in (image_id, hex_part, hex_part[:12], hex_part[:1], "sha256:" + hex_part[:5]):
            assert images.find(text) == image_id

    @pytest.mark.parametrize("text", ["", "sha256:", "g", "A", "*", "../", ABSENT, digest.encoded(ABSENT), "0" * 65])
    def test_none(self, images: Images, text: str) -> None:
        numbered(images, 1)
        assert images.find(text) is None

    def test_ambiguous(self, images: Images) -> None:
        ids = sorted(numbered(images, 40))
        start = next(digest.encoded(one)[:1] for one, two in itertools.pairwise(ids) if one[:8] == two[:8])
        with pytest.raises(AmbiguousImage, match=f"image id '{start}' is ambiguous: {start}[0-9a-f]+, {start}"):
            images.find(start)

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(length=st.integers(1, 64), at=st.integers(0, 39))
    def test_the_beginning_of_an_id_is_that_image_or_ambiguous(self, images: Images, length: int, at: int) -> None:
        ids = numbered(images, 40)
        start = digest.encoded(ids[at])[:length]
        alike = [one for one in ids if digest.encoded(one).startswith(start)]
        if len(alike) == 1:
            assert images.find(start) == ids[at]
        else:
            with pytest.raises(AmbiguousImage):
                images.find(start)
