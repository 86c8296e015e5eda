"""What those who read a tar, who unpack it and who keep it have of each other."""

import os
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec

from .header import Entry, InvalidTar
from .root import NotBelow, Root, prefixes


class Entries(Protocol):
    """Entries in their order, and the content of the current one."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries; the content of one is gone when the next is asked for."""
        ...

    def content(self) -> Iterator[memoryview]:
        """Yield what is left of the current entry's content, in pieces that stay valid."""
        ...


class Summed(Entries, Protocol):
    """Entries that also say where their contents begin, and what their checksums are."""

    @property
    def position(self) -> int:
        """Where in the tar the content of the current entry begins."""
        ...

    def checksum(self) -> int:
        """Pass over the current entry's content; return its CRC-64 (ISO)."""
        ...


class Recorder(Protocol):
    """Sees all bytes of a tar that its reader passes; see `split.Recorder`."""

    def raw(self, data: bytes | memoryview) -> None:
        """Take bytes that only the tar has."""
        ...

    def stores(self, entry: Entry) -> bool:
        """Tell whether the content of an entry will be a file in the tree, to be found again by its name."""
        ...

    def piece(self, data: memoryview) -> None:
        """Take a part of such a content."""
        ...

    def file(self, entry: Entry) -> None:
        """Take an entry whose header was given as `raw` and whose content, if any, in pieces."""
        ...


class Whiteouts(Protocol):
    """How a kind of tree shows what a layer takes away."""

    def hide(self, root: Root, path: bytes) -> None:
        """Make sure that nothing of the layers below shows at a clean path, whose parent is there."""
        ...

    def opaque(self, root: Root, path: bytes) -> None:
        """Make sure that nothing of the layers below shows inside the directory at a clean path."""
        ...

    def made(self, root: Root, path: bytes) -> None:
        """Learn that the layer itself brings what is at a clean path, and the directories that lead to it."""
        ...

    def is_ours(self, folder: int, name: bytes) -> bool:
        """Tell whether a name in a directory of the tree stands for something that this layer brings.

        Only that is on the way to other names: where something else is, a directory takes its place.
        """
        ...


class Keeper(Protocol):
    """Takes the contents of files that a later entry of the same layer replaces; see `split.Recorder`."""

    def keep(self, fd: int) -> None:
        """Take the content of an open file, which is about to go."""
        ...


class Waiting(NamedTuple):
    """A hard link that waits for its target, which lies below.

    Attributes:
        path: of the link.
        target: which it links to.
        stays: whether no other link, and no mark on the root, takes the target's name away in the end.
    """

    path: bytes
    target: bytes
    stays: bool


class Applied(msgspec.Struct):
    """What an application did, and what is left until the layer's parent is known.

    Attributes:
        size: bytes of the layer's files and links, each inode once: Docker's size of a layer.
        implied: directories that have no entry, and so no metadata of their own.
        links: hard links whose targets lie below the layer, by name, in order.
        hidden: paths that a whiteout names.
        opaque_root: the root hides all below it.
    """

    size: int = 0
    implied: list[bytes] = []
    links: dict[bytes, bytes] = {}
    hidden: list[bytes] = []
    opaque_root: bool = False

    def replace(self, path: bytes) -> None:
        """Forget a hard link that waits for its target, since an entry takes its place.

        Raises:
            NotBelow: one that waits is on the way there: it can be no directory.
        """
        links = self.links
        links.pop(path, None)
        if len(links) < path.count(b"/"):
            found = [link for link in links if path.startswith(link) and path.startswith(link + b"/")]
        else:
            found = [folder for folder in prefixes(path) if folder in links]
        if found:
            raise NotBelow(f"{os.fsdecode(path[:200])!r}: {os.fsdecode(found[0][:200])!r} is not a directory")

    def waiting(self) -> list[Waiting]:
        """Return the hard links that wait for their targets, in order.

        Raises:
            InvalidTar: one has the place of a directory on the way to its target, or one before it has.
        """
        order = {path: number for number, path in enumerate(self.links)}
        ordered = sorted(self.links, key=_inner_first)  # none lies below another
        found: list[Waiting] = []
        for path, target in self.links.items():
            at = bisect_left(ordered, _inner_first(target), key=_inner_first)
            taken = at > 0 and target.startswith(ordered[at - 1] + b"/")
            if taken and order[ordered[at - 1]] <= order[path]:
                raise no_target(path, target)
            found.append(Waiting(path, target, not (taken or self.opaque_root)))
        return found


def _inner_first(path: bytes) -> bytes:
    """Return what sorts a path right before all that is below it."""
    return path.replace(b"/", b"\0")


def no_target(path: bytes, target: bytes) -> InvalidTar:
    """Return what to raise for a hard link whose target is missing."""
    link, name = os.fsdecode(path[:200]), os.fsdecode(target[:200])
    return InvalidTar(f"hard link {link!r} to {name!r}, which is in no layer below")
