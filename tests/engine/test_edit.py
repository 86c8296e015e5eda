"""Images from Python."""

import io
import os
import pathlib
import subprocess
import sys

import pytest
from tests import tars, unprivileged

from lamina.engine import Engine
from lamina.engine.editing import Edit
from lamina.errors import InvalidArgument
from lamina.tar.header import InvalidTar

SCRIPT = """
import sys
from lamina.engine import Engine

folder = sys.argv[1]
with Engine(f"{folder}/store") as engine:
    with engine.edit(created=0) as image:
        image.append_folder(f"{folder}/site", created_by="the site")
        image.set(cmd=["/serve"], env=["PORT=80"], labels={"team": "web"})
        print(image.commit("site:1"))
    with open(f"{folder}/site.tar", "wb") as file:
        engine.save(["site:1"], file)
"""


@pytest.mark.root
def test_the_example_works_without_root(tmp_path: pathlib.Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello")
    for path in (tmp_path, tmp_path / "site", tmp_path / "site" / "index.html"):
        os.chown(path, 12345, 12345)
    unprivileged.open_way(tmp_path)
    command = unprivileged.command(sys.executable, "-c", SCRIPT, str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Engine(str(tmp_path / "other")) as engine:
        with open(tmp_path / "site.tar", "rb") as file:
            (loaded,) = engine.load(file)
        assert loaded.image_id == done.stdout.strip()
        found = engine.inspect_image("site:1")
        assert found["Config"]["Cmd"] == ["/serve"]
        assert [row.created_by for row in engine.history("site:1")] == ["set config", "the site"]


def test_the_same_edits_make_the_same_image(tmp_path: pathlib.Path) -> None:
    ids = []
    for name in ("one", "two"):
        with Engine(str(tmp_path / name), "vfs") as engine, engine.edit(created=7) as image:
            image.append(io.BytesIO(tars.tar(tars.file("a", b"1"))))
            image.set(env=["A=1"])
            ids.append(image.commit())
    assert ids[0] == ids[1]


def test_nothing_stays_of_a_block_that_fails(tmp_path: pathlib.Path) -> None:
    with Engine(str(tmp_path), "vfs") as engine:
        with pytest.raises(InvalidTar), engine.edit() as image:
            _append_a_tar_and_rubbish(image)
        assert engine.images() == []
        assert list(engine.check()) == []
        assert list(engine._store.layers) == []


def test_nothing_stays_of_what_is_not_committed(tmp_path: pathlib.Path) -> None:
    with Engine(str(tmp_path), "vfs") as engine:
        with engine.edit() as image:
            image.append(io.BytesIO(tars.tar(tars.file("a", b"1"))))
        assert list(engine._store.layers) == []


@pytest.mark.parametrize("settings", [{"nonsense": 1}, {"env": "A=1"}, {"env": [1]}, {"cmd": object()}])
def test_what_a_config_cannot_be_is_told(tmp_path: pathlib.Path, settings: dict[str, object]) -> None:
    with Engine(str(tmp_path), "vfs") as engine, engine.edit() as image, pytest.raises(InvalidArgument):
        image.set(**settings)


def test_on_top_of_another(tmp_path: pathlib.Path) -> None:
    with Engine(str(tmp_path), "vfs") as engine:
        with engine.edit() as image:
            image.append(io.BytesIO(tars.tar(tars.file("a", b"1"))))
            image.set(env=["A=1"])
            base = image.commit("base")
        with engine.edit("base") as image:
            assert image.commit("same") == base, "nothing was changed"
        with engine.edit("base") as image:
            image.append(io.BytesIO(tars.tar(tars.file("b", b"1"))))
            image.commit("top")
        found = engine.inspect_image("top")
        assert found["Parent"] == base
        assert found["Config"]["Env"] == ["A=1"]
        assert len(found["RootFS"]["Layers"]) == 2


def _append_a_tar_and_rubbish(image: Edit) -> None:
    image.append(io.BytesIO(tars.tar(tars.file("a", b"1"))))
    image.append(io.BytesIO(b"no tar" * 1000))
