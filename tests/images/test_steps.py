"""The index of build steps: what it finds is true, and it can be lost at any time."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from lamina.images import steps as module
from lamina.images.images import Images
from lamina.images.paths import Paths
from lamina.images.steps import Steps
from lamina.oci import codec, config
from lamina.oci.digest import Digest

STEP = config.RunConfig(cmd=["/bin/sh", "-c", "make"], env=["A=1"])
PLATFORM = "linux/amd64"


class Place:
    """An imagedb with its index, in which builds make images."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(str(folder / "image"), str(folder / "index"))
        for path in (self.paths.content, self.paths.metadata):
            os.makedirs(path)
        self.images = Images(self.paths)
        self.steps = Steps(self.paths, self.images)
        self.steps.rebuild()

    def build(
        self, step: config.RunConfig, parent: Digest | None = None, created: str = "2020", *, index: bool = True
    ) -> Digest:
        """Make an image as a build does; without `index`, as dockerd does."""
        was_current = self.steps.is_current()
        image = config.Image("amd64", container_config=step, created=created, os="linux", rootfs=config.RootFS())
        image_id = self.images.create(codec.encode(image))
        self.images.set_built_locally(image_id)
        if parent is not None:
            self.images.set_parent(image_id, parent)
        if index:
            self.steps.add(image_id, was_current=was_current)
        return image_id

    def find(self, step: config.RunConfig, parent: Digest | None = None) -> Digest | None:
        return self.steps.find(module.key(parent, step, PLATFORM), parent)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_step_is_found(place: Place) -> None:
    base = place.build(STEP)
    top = place.build(STEP, base, "2021")
    assert place.find(STEP) == base
    assert place.find(STEP, base) == top
    assert place.find(STEP, top) is None
    assert place.steps.is_current()


def test_the_newest_is_taken(place: Place) -> None:
    place.build(STEP, created="2020")
    newest = place.build(STEP, created="2021")
    assert place.find(STEP) == newest
    place.steps.rebuild()
    assert place.find(STEP) == newest


@pytest.mark.parametrize(
    "other",
    [
        {"cmd": ["/bin/sh", "-c", "make it"]},
        {"env": ["A=2"]},
        {"env": ["A=1", "B=1"]},
        {"user": "1"},
        {"labels": {"a": "1"}},
        {"entrypoint": ["x"]},
        {"shell": ["x"]},
        {"working_dir": "/x"},
        {"exposed_ports": {"80/tcp": {}}},
        {"volumes": {"/x": {}}},
        {"on_build": ["RUN x"]},
        {"healthcheck": config.Health(["NONE"])},
        {"stop_signal": "9"},
    ],
)
def test_another_config_is_another_step(place: Place, other: dict[str, object]) -> None:
    place.build(STEP)
    assert place.find(msgspec.structs.replace(STEP, **other)) is None


def test_order_in_sets_does_not_count_but_in_lists_it_does() -> None:
    def key(**fields: object) -> str:
        return module.key(None, msgspec.structs.replace(STEP, **fields), PLATFORM)

    assert key(labels={"a": "1", "b": "2"}) == key(labels={"b": "2", "a": "1"})
    assert key(env=["A=1", "B=2"]) != key(env=["B=2", "A=1"])
    assert key(labels={}) == key(labels=None) == key()
    assert key(hostname="x", image="y", mac_address="z") == key(), "what differs between runs"
    assert module.key(None, STEP, "linux/arm64") != key()


def test_an_image_that_came_from_elsewhere_is_no_step(place: Place) -> None:
    image = config.Image("amd64", container_config=STEP, os="linux", rootfs=config.RootFS())
    place.images.create(codec.encode(image))
    place.steps.rebuild()
    assert place.find(STEP) is None


class TestTruth:
    def test_the_index_may_be_lost(self, place: Place) -> None:
        image_id = place.build(STEP)
        shutil.rmtree(os.path.dirname(place.paths.stamp))
        assert not place.steps.is_current()
        assert place.find(STEP) == image_id
        assert place.steps.is_current()

    def test_what_another_program_built_is_found(self, place: Place) -> None:
        image_id = place.build(STEP, index=False)
        assert not place.steps.is_current()
        assert place.find(STEP) == image_id

    def test_an_index_that_was_behind_stays_behind(self, place: Place) -> None:
        first = place.build(STEP, created="2020", index=False)
        place.build(msgspec.structs.replace(STEP, user="1"))
        assert not place.steps.is_current()
        assert place.find(STEP) == first

    def test_what_was_deleted_is_not_found(self, place: Place) -> None:
        older = place.build(STEP, created="2020")
        newer = place.build(STEP, created="2021")
        was_current = place.steps.is_current()
        place.images.delete(newer)
        place.steps.note(was_current=was_current)
        assert place.steps.is_current()
        assert place.find(STEP) == older

    def test_a_parent_that_was_forgotten(self, place: Place) -> None:
        base = place.build(STEP)
        top = place.build(STEP, base, "2021")
        place.images.set_parent(top, None)
        assert place.find(STEP, base) is None

    @pytest.mark.parametrize("harm", [b"", b"\xff\xff", b"sha256:x\n../../etc/passwd\n", b"\0" * 100])
    def test_a_damaged_entry_finds_nothing(self, place: Place, harm: bytes) -> None:
        place.build(STEP)
        (name,) = os.listdir(place.paths.steps)
        Path(place.paths.step(name)).write_bytes(harm)
        assert place.find(STEP) is None
        place.steps.rebuild()
        assert place.find(STEP) is not None

    @pytest.mark.parametrize("harm", [b"", b"\xff", b"1:2:3"])
    def test_a_damaged_stamp_makes_it_anew(self, place: Place, harm: bytes) -> None:
        image_id = place.build(STEP)
        Path(place.paths.stamp).write_bytes(harm)
        assert place.find(STEP) == image_id

    def test_damaged_images_are_passed_over(self, place: Place) -> None:
        image_id = place.build(STEP, created="2020")
        damaged = place.build(STEP, created="2021")
        Path(place.paths.config(damaged)).write_bytes(b"x")
        assert place.find(STEP) == image_id
        place.steps.rebuild()
        assert place.find(STEP) == image_id

    def test_rebuilding_leaves_no_other_files(self, place: Place) -> None:
        place.build(STEP)
        place.steps.rebuild()
        folder = os.path.dirname(place.paths.stamp)
        assert sorted(os.listdir(folder)) == ["stamp", "steps"]
        assert len(os.listdir(place.paths.steps)) == 1
