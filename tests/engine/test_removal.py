"""Removing images: what may be in use stays."""

import io
import os
import pathlib
from collections.abc import Iterator

import pytest
from tests import tars

from lamina.engine import Engine
from lamina.engine.pruning import Conditions
from lamina.events import Event, Problem
from lamina.oci import digest


@pytest.fixture
def said() -> list[Event]:
    return []


@pytest.fixture
def engine(tmp_path: pathlib.Path, said: list[Event]) -> Iterator[Engine]:
    """Two images, `one` and `two`, on the layer of a third."""
    with Engine(str(tmp_path / "store"), "vfs", report=said.append) as engine:
        for name, base in (("base", ""), ("one", "base"), ("two", "base")):
            with engine.edit(base) as image:
                image.append(io.BytesIO(tars.tar(tars.file(name, b"x"))))
                image.commit(name)
        yield engine


def _config(engine: Engine, name: str) -> str:
    return engine._store.images.files(engine.inspect_image(name)["Id"])[0]


def test_layers_that_a_damaged_image_may_need_stay(engine: Engine, said: list[Event]) -> None:
    path = _config(engine, "one")
    with open(path, "rb") as file:
        config = file.read()
    with open(path, "wb") as file:
        file.write(b"{}")
    for name in ("two", "base"):
        engine.remove_image(name)
    assert [os.path.basename(path) in event.text for event in said if isinstance(event, Problem)] == [True]
    with open(path, "wb") as file:
        file.write(config)
    assert list(engine.check()) == [], "it has all that it needs; what two had is still claimed"
    engine.tag("one", "uno")
    assert list(engine.check()) == []
    assert len(list(engine._store.layers)) == 2, "what only two needed went with the next command"


def test_what_was_kept_goes_when_the_store_is_repaired(engine: Engine) -> None:
    image_id = engine.inspect_image("one")["Id"]
    with open(_config(engine, "one"), "wb") as file:
        file.write(b"{}")
    for name in ("two", "base"):
        engine.remove_image(name)
    assert list(engine.repair())
    assert list(engine.check()) == []
    assert digest.parse(image_id) not in engine._store.images
    engine.prune_images(Conditions())
    assert list(engine._store.layers) == []
