"""Pruning: what has come to be used since it was looked at stays, and so does what cannot be read."""

import io
import pathlib
from collections.abc import Iterator

import pytest
from tests import tars

from lamina.containers.settings import Wish
from lamina.engine import Engine, listing, pruning
from lamina.events import Event, Problem

NONE = pruning.Conditions()


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "store"), "vfs") as engine:
        yield engine


def _nameless(engine: Engine) -> str:
    with engine.edit() as image:
        image.append(io.BytesIO(tars.tar(tars.file("x", b"x"))))
        return image.commit()


def test_a_nameless_image_goes(engine: Engine) -> None:
    image = _nameless(engine)
    assert image in [one.deleted for one in engine.prune_images(NONE).removed]
    assert engine.images() == []


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("use", ["tag", "container"])
def test_an_image_that_another_process_comes_to_use_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, use: str, every: bool
) -> None:
    image = _nameless(engine)
    listed = listing.images

    def meanwhile(*args: object) -> object:
        monkeypatch.undo()
        found = listed(*args)  # type: ignore[arg-type]
        with Engine(engine._store.paths.root, "vfs") as other:
            if use == "tag":
                other.tag(image, "mine:1")
            else:
                other.create_container(image, Wish(["x"]))
        return found

    monkeypatch.setattr(listing, "images", meanwhile)
    engine.prune_images(NONE, every=every)
    there = [one.id for one in engine.images()]
    assert there == ([] if every and use == "tag" else [image])  # pruning all takes named ones too


def test_a_volume_whose_facts_are_damaged_stays_and_is_told(engine: Engine, tmp_path: pathlib.Path) -> None:
    said: list[Event] = []
    name, other = engine.create_volume(), engine.create_volume()
    facts = tmp_path / "store" / "lamina" / "volumes" / f"{name}.json"
    facts.write_bytes(b"x" + facts.read_bytes())
    with Engine(str(tmp_path / "store"), "vfs", report=said.append) as engine:
        assert engine.prune_volumes(NONE).names == [other]
        assert [one.volume.name for one in engine.volumes()] == [name]
    assert [name in one.text for one in said if isinstance(one, Problem)] == [True]
