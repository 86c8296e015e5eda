"""The images of a store as a forest: what stands on what, what each layer weighs, and what sharing saves.

○ 27cf78414709   125MB            the base of a tree comes first
● c3d5e1f0a2b4   1.2MB  debian:7  one above the other: each layer stands on the one before it
├─● 5506de2b643b 148MB  mysql:5.6 a fork: both stand on debian:7
│ ◇ 0f1e2d3c4b5a 12kB   db        a container and its writable layer
└─○ 7d2a31f3d5a8 3.1MB            an image or a layer without a name
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from .units import size

SHORT = 12
"""Digits of an id that are shown."""


class Node(msgspec.Struct, frozen=True):
    """One layer position of a store, and what stands on it; each is in one place of one tree.

    Attributes:
        id: its hexadecimal digest, with or without an algorithm.
        size: bytes of its own layer; 0 for an image that adds no layer to the one it stands on.
        names: `repository:tag` of an image, the name of a container; none for what has no name.
        kind: an image, a layer that is no image of its own, or a container with its writable layer.
        created_by: the command that made the layer, if known.
        children: what stands on it, in the order it is drawn.
    """

    id: str
    size: int = 0
    names: tuple[str, ...] = ()
    kind: Literal["image", "layer", "container"] = "image"
    created_by: str = ""
    children: "tuple[Node, ...]" = ()


class Totals(msgspec.Struct, frozen=True):
    """What a forest holds.

    Attributes:
        images: nodes of that kind, named or not.
        layers: nodes with bytes of their own, containers apart.
        containers: nodes of that kind.
        bytes: what all layers take, each counted once.
        unshared: what they would take if every top had a copy of all below it. A top is what a user would list:
            a container, a named image, and an image without a name that no other one stands on.
    """

    images: int
    layers: int
    containers: int
    bytes: int
    unshared: int


def flatten(forest: Sequence[Node]) -> list[tuple[Node, int]]:
    """Return all nodes, each before its children, with the place of its parent in this list (-1: none)."""
    found: list[tuple[Node, int]] = []
    waiting = [(root, -1) for root in reversed(forest)]
    while waiting:
        node, parent = waiting.pop()
        waiting += [(child, len(found)) for child in reversed(node.children)]
        found.append((node, parent))
    return found


def is_top(node: Node) -> bool:
    """Return whether a user would list this node: a container, or an image that is named or that nothing uses."""
    if node.kind == "image":
        return bool(node.names) or not any(child.kind == "image" for child in node.children)
    return node.kind == "container"


def totals(forest: Sequence[Node]) -> Totals:
    """Return the sums over a forest."""
    nodes = flatten(forest)
    chains: list[int] = []
    for node, parent in nodes:
        chains.append(node.size + (chains[parent] if parent >= 0 else 0))
    kinds = [node.kind for node, _ in nodes]
    return Totals(
        images=kinds.count("image"),
        layers=sum(node.size > 0 and node.kind != "container" for node, _ in nodes),
        containers=kinds.count("container"),
        bytes=sum(node.size for node, _ in nodes),
        unshared=sum(chain for (node, _), chain in zip(nodes, chains, strict=True) if is_top(node)),
    )


def summary(total: Totals) -> str:
    """Return the totals in a line."""
    counts = [_count(total.images, "image"), _count(total.layers, "layer")]
    if total.containers:
        counts.append(_count(total.containers, "container"))
    saved = max(total.unshared - total.bytes, 0)
    share = f" (sharing saves {saved * 100 // total.unshared}%)" if saved else ""
    return f"{', '.join(counts)}: {size(total.bytes)} on disk, {size(total.unshared)} without sharing{share}"


def draw(forest: Sequence[Node], *, unicode: bool = True, bold: bool = False) -> str:
    """Return the forest as text, its totals in the last line; every line ends in a line feed.

    A node stands in the column of its parent if it is the only child, so that a long line of layers goes straight
    down; a fork indents. The command that made a layer is shown where there is no name.

    Args:
        forest: the trees, drawn in this order.
        unicode: draw with characters beyond ASCII.
        bold: names are bold, by the escape sequences of terminals.
    """
    marks = _UNICODE if unicode else _ASCII
    rows = [(stem, node) for tree in forest for stem, node in (*_stems(tree, marks), ("", None))]
    wide = max((len(stem) + SHORT + 3 for stem, _ in rows), default=0)
    broad = max((len(size(node.size)) for _, node in rows if node), default=0)
    lines: list[str] = []
    for stem, node in rows:
        if node is None:
            lines.append("")
            continue
        left = f"{stem}{marks.bullet(node)} {short(node.id)}".ljust(wide)
        lines.append(f"{left} {size(node.size):>{broad}}  {_label(node, unicode, bold)}".rstrip())
    return "\n".join([*lines, summary(totals(forest)), ""])


def short(digest: str) -> str:
    """Return the first digits of an id, without its algorithm."""
    return printable(digest.rpartition(":")[2])[:SHORT]


def printable(text: str) -> str:
    """Return a text of one line that no terminal obeys: control characters are replaced."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))


class _Marks(msgspec.Struct, frozen=True):
    named: str
    unnamed: str
    container: str
    fork: str
    last: str
    line: str

    def bullet(self, node: Node) -> str:
        if node.kind == "container":
            return self.container
        return self.named if node.names else self.unnamed


_UNICODE = _Marks("●", "○", "◇", "├─", "└─", "│ ")
_ASCII = _Marks("*", "o", "@", "|-", "`-", "| ")


def _stems(tree: Node, marks: _Marks) -> Iterator[tuple[str, Node]]:
    """Yield each node with what stands to the left of its mark."""
    waiting = [(tree, "", "")]
    while waiting:
        node, stem, below = waiting.pop()
        yield stem, node
        if len(node.children) == 1:
            waiting.append((node.children[0], below, below))
            continue
        for i, child in reversed(list(enumerate(node.children, 1))):
            last = i == len(node.children)
            waiting.append(
                (child, below + (marks.last if last else marks.fork), below + ("  " if last else marks.line))
            )


def _label(node: Node, unicode: bool, bold: bool) -> str:
    label = printable(", ".join(node.names) or node.created_by)
    if not node.names and len(label) > 60:
        label = label[:59] + "\u2026"
    if not unicode:
        label = label.replace("\u2026", "...").encode("ascii", "replace").decode()
    return f"\x1b[1m{label}\x1b[0m" if bold and node.names else label


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + "s" * (number != 1)
