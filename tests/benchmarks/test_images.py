import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from bench import images
from bench.images import Image


def lamina(root: pathlib.Path, *args: str) -> str:
    command = [sys.executable, "-m", "lamina.cli", "--root", str(root), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_very_many_images_can_be_loaded(tmp_path: pathlib.Path) -> None:
    images.many(str(tmp_path / "many.tar"), 3)
    lamina(tmp_path / "s", "load", "-q", "-i", str(tmp_path / "many.tar"))
    assert len(set(lamina(tmp_path / "s", "images", "-q").split())) == 4
    lamina(tmp_path / "s", "system", "check")


@pytest.mark.parametrize(
    ("make", "entries", "path"),
    [
        (lambda output: images.layered(output, 3), [12, 12], "/srv/layer-2/009"),
        (lambda output: images.crowded(output, 300), [305], "/srv/crowd/2/099"),
    ],
)
def test_images_that_grow(make: Callable[[str], Image], entries: list[int], path: str, tmp_path: pathlib.Path) -> None:
    image = make(str(tmp_path / "image.tar"))
    assert [layer.entries for layer in image.layers[1:]] == entries
    lamina(tmp_path / "s", "load", "-q", "-i", image.path)
    assert lamina(tmp_path / "s", "ls", f"{image.reference}:{path}").strip().endswith(path.rpartition("/")[2])


def test_images_that_are_apart_share_nothing(tmp_path: pathlib.Path) -> None:
    one, two = (images.apart(str(tmp_path / "image.tar"), number, 1) for number in (1, 2))
    assert one.reference == "apart-1:1"
    assert not {layer.diff_id for layer in one.layers} & {layer.diff_id for layer in two.layers}
