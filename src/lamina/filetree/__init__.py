"""Layers as trees: what a layer's tar says becomes an EROFS image without contents, and a stack of those is read back.

layertree    the rules of a layer's tar, in one place; makes the image
attributes   which extended attributes of an entry count
spare        contents that the tar does not hold as they are to be seen
settling     what of a layer needs the layers below
union        what a stack of images shows
index        the image of a layer whose contents lie elsewhere
"""

from .union import File, Union

__all__ = ["File", "Union"]
