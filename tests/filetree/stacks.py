"""Stacks of layers in a few words: `union([file("a")], [whiteout("a")])`, the base first."""

import io
from collections.abc import Sequence

from tests.tars import Member, tar

from lamina.erofs.reader import Image
from lamina.filetree import Union, index
from lamina.tar import split
from lamina.tar.reader import Reader


def record(data: bytes) -> bytes:
    """Return the tar-split record of a tar."""
    file = io.BytesIO()
    with split.Recorder(file, "/tmp") as recorder:
        for _ in Reader(io.BytesIO(data), recorder):
            pass
        recorder.finish()
    return file.getvalue()


def indexed(data: bytes, below: Sequence[Image] = ()) -> Image:
    """Return the index of a tar, as a store makes, keeps and reads it."""
    return Image("index", index.build(split.Outline(io.BytesIO(record(data))), below))


def stacked(*layers: bytes) -> Union:
    """Return the union of some tars."""
    images: list[Image] = []
    for data in layers:
        images.append(indexed(data, images))
    return Union(images)


def union(*layers: list[Member]) -> Union:
    return stacked(*(tar(*members) for members in layers))


def paths(tree: Union) -> list[str]:
    """Return all paths, in the order in which they are walked."""
    return [file.path.decode() for file in tree.walk(tree.root)]
