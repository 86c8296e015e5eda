"""Stacks of layers in a few words: `union([file("a")], [whiteout("a")])`, the base first."""

import io

from tests.tars import Member, tar

from lamina.filetree import File, Index, Union, index
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


def indexed(data: bytes) -> Index:
    """Return the index of a tar, as a store makes, keeps and reads it."""
    return index.decode(index.build(split.outline(io.BytesIO(record(data)))))


def union(*layers: list[Member]) -> Union:
    return Union([indexed(tar(*members)) for members in layers])


def paths(tree: Union) -> list[str]:
    """Return all paths, in the order in which they are walked."""
    return [file.path.decode() for file in tree.walk(root(tree))]


def root(tree: Union) -> File:
    return tree.find(b"/")
