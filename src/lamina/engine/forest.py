"""The forest of a store: each layer and image at one place, on what it stands on, and containers as leaves.

An image stands on the image that it was built on, where that is known; else on its layers, one above the other,
which are those of other images as far as they are the same. Bytes of a layer are counted where it stands, once.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from ..errors import LaminaError
from ..events import Problem, Report
from ..oci import config
from ..oci.digest import Digest
from ..store.store import Store
from .containers import ContainerSummary
from .listing import Sizes, references


class Position(msgspec.Struct):
    """A place in the forest.

    Attributes:
        id: of the image, the layer (its chain id) or the container.
        parent: what it stands on, as an index into the list of all; -1 for nothing.
        size: bytes of its own layer.
        names: of the image or the container.
        kind: what it is.
        created_by: the command that made the layer, if known.
    """

    id: str
    parent: int
    size: int
    names: tuple[str, ...]
    kind: Literal["image", "layer", "container"]
    created_by: str = ""


class _Image(msgspec.Struct):
    id: Digest
    image: config.Image
    parent: Digest | None
    depth: int = 0


def forest(store: Store, containers: Iterable[ContainerSummary], report: Report) -> list[Position]:
    """Return all positions, each after the one that it stands on."""
    grown = _Forest(store, references(store, report), report)
    for one in _sorted(_images(store, report)):
        grown.add(one)
    for container in containers:
        grown.add_container(container)
    return grown.positions


def _images(store: Store, report: Report) -> dict[Digest, _Image]:
    found: dict[Digest, _Image] = {}
    for image_id in store.images:
        try:
            found[image_id] = _Image(image_id, store.images.get(image_id), store.images.parent(image_id))
        except LaminaError as error:
            report(Problem(str(error)))
    for one in found.values():
        parent = found.get(one.parent) if one.parent else None
        if parent is None or one.image.diff_ids[: len(parent.image.diff_ids)] != parent.image.diff_ids:
            one.parent = None
    for one in found.values():
        one.depth = _depth(one, found)
    return found


def _depth(one: _Image, images: dict[Digest, _Image]) -> int:
    """Return how many images an image was built on; a ring, which only damage makes, is cut."""
    seen = {one.id}
    current = one
    while current.parent is not None and current.parent not in seen:
        seen.add(current.parent)
        current = images[current.parent]
    if current.parent is not None:
        one.parent = None
    return len(seen) - 1


def _sorted(images: dict[Digest, _Image]) -> list[_Image]:
    """Return images so that each comes after those that it may stand on."""
    return sorted(
        images.values(), key=lambda one: (len(one.image.diff_ids), one.depth, one.image.created or "", one.id)
    )


class _Forest:
    def __init__(self, store: Store, names: dict[Digest, list[str]], report: Report) -> None:
        self.positions: list[Position] = []
        self._sizes = Sizes(store.layers)
        self._report = report
        self._names = names
        self._images: dict[str, int] = {}
        self._chains: dict[Digest, int] = {}
        self._layers: dict[Digest, int] = {}

    def add(self, one: _Image) -> None:
        """Place an image, and those of its layers that have no place yet."""
        chain_ids = list(self._sizes.chains(one.image.diff_ids))
        commands = [step.created_by for step in one.image.steps if not step.empty_layer]
        below = self._images[one.parent] if one.parent else -1
        done = self._layers[one.parent] if one.parent else 0
        self._layers[one.id] = len(chain_ids)
        for at in range(done, len(chain_ids)):
            known = self._chains.get(chain_ids[at])
            if known is None:
                created_by = commands[at] if at < len(commands) else ""
                known = self._place(Position(chain_ids[at], below, self._size(chain_ids[at]), (), "layer", created_by))
                self._chains[chain_ids[at]] = known
            below = known
        self._put(one, below, is_new=len(chain_ids) > done)

    def _size(self, chain_id: Digest) -> int:
        """Return the bytes of a layer, 0 where damage hides them."""
        try:
            return self._sizes.own(chain_id)
        except LaminaError as error:
            self._report(Problem(str(error)))
            return 0

    def _put(self, one: _Image, below: int, *, is_new: bool) -> None:
        """Make an image of the layer that it ends with; if that is one already, stand on it."""
        names = tuple(self._names.get(one.id, ()))
        if is_new and self.positions[below].kind == "layer":
            position = self.positions[below]
            position.id, position.names, position.kind = one.id, names, "image"
            self._images[one.id] = below
        else:
            created_by = one.image.steps[-1].created_by if one.image.steps else ""
            self._images[one.id] = self._place(Position(one.id, below, 0, names, "image", created_by))

    def add_container(self, one: ContainerSummary) -> None:
        """Place a container on its image."""
        below = self._images.get(one.record.image_id, -1)
        command = " ".join(one.record.command)
        self._place(Position(one.record.id, below, one.size or 0, (one.record.name,), "container", command))

    def _place(self, position: Position) -> int:
        self.positions.append(position)
        return len(self.positions) - 1
