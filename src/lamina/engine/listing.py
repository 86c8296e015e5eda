"""What images there are, how they came to be, and how big they are."""

from collections.abc import Iterator

import msgspec

from ..errors import LaminaError
from ..events import Problem, Report
from ..images.images import ImageDamaged
from ..images.references import ReferencesDamaged, by_image
from ..layers.layers import Layers
from ..oci import digest, times
from ..oci.digest import Digest
from ..store.names import find
from ..store.store import Store


class ImageSummary(msgspec.Struct, frozen=True):
    """One image of a list.

    Attributes:
        id: its id.
        parent: the image that it was built on, if that is known.
        tags: its references with a tag, in their familiar form.
        digests: its references with a digest.
        created: nanoseconds since the epoch, None where the image does not say.
        size: bytes of the files of all its layers.
        labels: of its config.
        has_children: whether another image was built on it.
    """

    id: Digest
    parent: Digest | None
    tags: list[str]
    digests: list[str]
    created: int | None
    size: int
    labels: dict[str, str]
    has_children: bool

    @property
    def is_dangling(self) -> bool:
        """Whether it has no name and nothing was built on it."""
        return not self.tags and not self.digests and not self.has_children


class HistoryRow(msgspec.Struct, frozen=True):
    """One step of an image; `id` is empty where the image of that step is not known."""

    id: str
    created: int | None
    created_by: str
    size: int
    comment: str
    tags: list[str]


class Sizes:
    """The bytes of chains of layers; each layer's size is read once."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._chains: dict[tuple[Digest | None, Digest], Digest] = {}
        self._own: dict[Digest, int] = {}

    def chains(self, diff_ids: list[Digest]) -> Iterator[Digest]:
        """Yield the chain ids of a stack, base first."""
        below: Digest | None = None
        for diff_id in diff_ids:
            if (below, diff_id) not in self._chains:
                self._chains[below, diff_id] = digest.chain(below, diff_id)
            below = self._chains[below, diff_id]
            yield below

    def own(self, chain_id: Digest) -> int:
        """Return the size of one layer."""
        if chain_id not in self._own:
            self._own[chain_id] = self._layers.size(chain_id)
        return self._own[chain_id]

    def total(self, diff_ids: list[Digest]) -> int:
        """Return the size of a stack."""
        return sum(map(self.own, self.chains(diff_ids)))


def references(store: Store, report: Report) -> dict[Digest, list[str]]:
    """Return the names of every image; where they cannot be read, say so and go on without."""
    try:
        return by_image(store.references.all())
    except ReferencesDamaged as error:
        report(Problem(str(error)))
        return {}


def _parent(store: Store, image_id: Digest, report: Report) -> Digest | None:
    try:
        return store.images.parent(image_id, sure=True)
    except ImageDamaged as error:
        report(Problem(str(error)))
        return None


def images(store: Store, report: Report) -> list[ImageSummary]:
    """Return all images, intermediate ones of builds included, the newest first."""
    names = references(store, report)
    parents = {image_id: _parent(store, image_id, report) for image_id in store.images}
    with_children = set(parents.values())
    sizes = Sizes(store.layers)
    found: list[ImageSummary] = []
    for image_id, parent in parents.items():
        try:
            summary = store.images.summary(image_id)
            size = sizes.total(summary.diff_ids)
        except LaminaError as error:
            if image_id in store.images:
                report(Problem(str(error)))
            continue
        texts = names.get(image_id, [])
        found.append(
            ImageSummary(
                image_id,
                parent,
                [text for text in texts if "@" not in text],
                [text for text in texts if "@" in text],
                created(summary.created),
                size,
                (summary.config.labels if summary.config else None) or {},
                image_id in with_children,
            )
        )
    return sorted(found, key=lambda image: -(image.created or times.ZERO))


def created(text: str | None) -> int | None:
    """Return the instant that a config names, in nanoseconds; None for none, or Go's zero time."""
    try:
        instant = times.parse_rfc3339(text) if text else times.ZERO
    except times.InvalidTime:
        return None
    return None if instant == times.ZERO else instant


def history(store: Store, name: str, report: Report) -> list[HistoryRow]:
    """Return the steps of an image, the newest first."""
    image_id: Digest | None = find(store, name)
    assert image_id is not None
    image = store.images.get(image_id)
    names = references(store, report)
    sizes = Sizes(store.layers)
    layers = sizes.chains(image.diff_ids)
    rows: list[HistoryRow] = []
    for step in image.steps:
        size = 0 if step.empty_layer else sizes.own(next(layers))
        rows.append(HistoryRow("", created(step.created), step.created_by, size, step.comment, []))
    rows.reverse()
    for at, row in enumerate(rows):
        if image_id is None:
            break
        tags = [text for text in names.get(image_id, []) if "@" not in text]
        rows[at] = msgspec.structs.replace(row, id=image_id, tags=tags)
        image_id = store.images.parent(image_id)
    return rows
