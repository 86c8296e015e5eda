"""Trees of files as their layers' tars describe them."""

from .union import File, Union

__all__ = ["File", "Union"]
