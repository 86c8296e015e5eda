"""The index of a layer whose contents lie elsewhere: an image of which only what it says of the files counts."""

import io
from collections.abc import Sequence

from ..erofs.reader import Image
from ..tar.contract import Summed
from .layertree import LayerTree
from .settling import has_to_settle, settle
from .spare import Spare
from .union import Union


def build(entries: Summed, below: Sequence[Image]) -> bytes:
    """Return a layer's image, to be kept.

    Args:
        entries: of the layer's tar.
        below: the images of the layers that it stands on, the base first.

    Raises:
        InvalidTar: an entry cannot be what it says.
        Breakout: a name leads out of the tree.
    """
    tree = LayerTree(spare := Spare())
    tree.read(entries)
    if has_to_settle(tree.applied, is_base=not below):
        settle(tree, Union(below), [], spare)
    image = io.BytesIO()
    tree.finish(0).write(image)
    return image.getvalue()
