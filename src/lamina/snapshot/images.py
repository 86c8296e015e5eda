"""What a stack of layers' images shows, computed without a mount; the rules are those of `union.Union`."""

import contextlib
from itertools import chain
from typing import NamedTuple

from ..erofs.reader import Image, Inode
from ..tar.root import prefixes

_OPAQUE = b"trusted.overlay.opaque"


class Found(NamedTuple):
    """An inode, and the place of its layer in the stack."""

    layer: int
    inode: Inode


class Stack:
    """Images stacked, the topmost first; a context manager.

    Raises:
        ImageDamaged: one is not what was written.
        FileNotFoundError: one is not there.
    """

    def __init__(self, paths: list[str]) -> None:
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as opened:
            self.images = [opened.enter_context(Image(path)) for path in paths]
            self._open = opened.pop_all()
        self._merged: dict[bytes, list[Found]] = {
            b"": [Found(number, image.root) for number, image in enumerate(self.images)]
        }

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def find(self, path: bytes) -> Found | None:
        """Return what the stack shows at a clean path; links are not followed."""
        above, _, name = path.rpartition(b"/")
        for layer, folder in self._directories(above):
            if (inode := self.images[layer].find(folder, name)) is not None:
                return None if inode.is_whiteout else Found(layer, inode)
        return None

    def names(self, path: bytes) -> set[bytes]:
        """Return the names that the stack shows in a directory; none where it shows no directory."""
        decided: dict[bytes, bool] = {}
        for layer, folder in self._directories(path):
            for name, inode in self.images[layer].names(folder):
                decided.setdefault(name, not inode.is_whiteout)
        return {name for name, is_shown in decided.items() if is_shown}

    def xattrs(self, found: Found) -> dict[bytes, bytes]:
        """Return the attributes of what was found, without overlayfs's."""
        xattrs = self.images[found.layer].xattrs(found.inode)
        xattrs.pop(_OPAQUE, None)
        return xattrs

    def _directories(self, path: bytes) -> list[Found]:
        """Return the directories that merge at a clean path, the topmost first."""
        known = self._merged.get(path)
        if known is None:
            way = [path] if self._merged.get(path.rpartition(b"/")[0]) else chain(prefixes(path), [path])
            for inner in way:
                known = self._merged.get(inner)
                if known is None:
                    above, _, name = inner.rpartition(b"/")
                    known = self._merged[inner] = self._merge(self._merged[above], name)
                if not known:  # there is nothing further down
                    return []
        return known or []

    def _merge(self, above: list[Found], name: bytes) -> list[Found]:
        merged: list[Found] = []
        for layer, folder in above:
            inode = self.images[layer].find(folder, name)
            if inode is None:
                continue
            if not inode.is_directory:
                break
            merged.append(Found(layer, inode))
            if is_opaque(self.images[layer], inode):
                break
        return merged


def is_opaque(image: Image, folder: Inode) -> bool:
    """Tell whether a directory hides those below."""
    return image.xattrs(folder).get(_OPAQUE) == b"y"
