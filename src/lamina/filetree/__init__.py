"""Trees of files as their layers' tars describe them."""

from .index import Index, Node
from .union import File, Union

__all__ = ["File", "Index", "Node", "Union"]
