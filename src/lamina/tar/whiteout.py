"""Names that say what a layer takes away (image-spec, layer.md, Whiteouts)."""

PREFIX = b".wh."
OPAQUE = b".wh..wh..opq"
META = b".wh..wh."
"""AUFS keeps its own files under names that begin so; but for the opaque marker they mean nothing here."""


def hides(name: bytes) -> bytes:
    """Return the sibling that a whiteout's base name hides; empty for a name that is no plain whiteout."""
    if not name.startswith(PREFIX) or name.startswith(META):
        return b""
    return name[len(PREFIX) :]


def is_nameless(name: bytes) -> bool:
    """Tell whether a base name is that of a whiteout of nothing, or of a directory itself or the one above it."""
    return name in (PREFIX, PREFIX + b".", PREFIX + b"..")


def is_special(path: bytes) -> bool:
    """Tell whether a clean path is that of a whiteout or of AUFS's own files: never a file of the tree."""
    return PREFIX in path and any(part.startswith(PREFIX) for part in path.split(b"/"))
