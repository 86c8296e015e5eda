"""The forest of a store: what stands on what."""

import io
import pathlib
from collections.abc import Iterator

import pytest
from tests import tars

from lamina.cli.tree import _trees
from lamina.engine import Engine
from lamina.render import forest

UBUNTU = {"u1": "", "u2": "u1", "ubuntu:12.04": "u2", "ubuntu:14.04": "ubuntu:12.04", "branch": "ubuntu:12.04"}
DEBIAN = {
    "base": "",
    "mysql:5.6": "base",
    "mongo:2.2": "base",
    "between": "base",
    "debian:wheezy": "between",
    "debian:jessie": "between",
}


@pytest.fixture
def engine(tmp_path: pathlib.Path) -> Iterator[Engine]:
    """Eleven images in two trees, as a build would make them; those without a colon lose their names."""
    with Engine(str(tmp_path / "store"), "vfs") as engine:
        for name, base in (UBUNTU | DEBIAN).items():
            with engine.edit(base, created=1) as image:
                image.append(io.BytesIO(tars.tar(tars.file(name, b"x" * len(name)))), name)
                image.commit(name)
        for name in UBUNTU | DEBIAN:
            if ":" not in name:
                with engine._store.lock():
                    engine._store.references.remove(f"{name}:latest")
        yield engine


def _shape(engine: Engine) -> dict[str, str]:
    """Return what each position stands on, both by what made their layers."""
    positions = engine.forest()
    return {one.created_by: positions[one.parent].created_by if one.parent >= 0 else "" for one in positions}


def test_images_stand_on_what_they_were_built_on(engine: Engine) -> None:
    assert _shape(engine) == UBUNTU | DEBIAN


def test_loaded_images_share_their_layers(engine: Engine, tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "all.tar"
    with open(archive, "wb") as file:
        engine.save([image.id for image in engine.images()], file)
    with Engine(str(tmp_path / "other"), "vfs") as other:
        with open(archive, "rb") as file:
            other.load(file)
        assert _shape(other) == UBUNTU | DEBIAN
        assert forest.totals(_trees(other.forest())).bytes == sum(map(len, UBUNTU | DEBIAN))


def test_each_layer_counts_once(engine: Engine) -> None:
    total = forest.totals(_trees(engine.forest()))
    assert total.images == 11
    assert total.bytes == sum(map(len, UBUNTU | DEBIAN))


def test_two_images_of_the_same_layers(engine: Engine) -> None:
    with engine.edit("mysql:5.6") as image:
        image.set(cmd=["mysqld"])
        image.commit("mysql:run")
    positions = engine.forest()
    (run,) = [one for one in positions if one.names == ("mysql:run",)]
    assert run.size == 0
    assert positions[run.parent].names == ("mysql:5.6",)


@pytest.mark.root
def test_containers_are_leaves(engine: Engine) -> None:
    from lamina.containers.settings import Wish

    engine.create_container("mongo:2.2", Wish(name="db", command=["/mongo:2.2"]))
    positions = engine.forest()
    assert positions[-1].kind == "container"
    assert positions[positions[-1].parent].names == ("mongo:2.2",)
