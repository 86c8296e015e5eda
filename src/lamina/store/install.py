"""An image into the store from a source of content: only the layers that are missing, verified, base first.

The config comes first: its diff ids say every chain id before a single layer is read. Layers that are there
already are not opened. The rest are unpacked, made durable together, and get their names in order; the config
gets its own last, so that an image is whole or not there.
"""

import io
from typing import NamedTuple

from ..compression import decompressed
from ..content.contract import Source
from ..content.copying import read
from ..errors import DataLoss
from ..events import Progress, Report, Status
from ..layers.layers import Layer, Pending, check_depth
from ..lock import Lease
from ..oci import config, digest
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Manifest
from ..streams import DigestMismatch, Reader
from .store import Store


class Disagreement(DataLoss):
    """A manifest and its config do not describe the same image."""


class Installed(NamedTuple):
    """An image that is in the store now; `layers` are those that were not before."""

    image_id: Digest
    layers: int


def install(store: Store, lease: Lease, source: Source, manifest: Manifest, report: Report) -> Installed:
    """Take in the image that a manifest describes.

    Raises:
        Disagreement: manifest and config name different layers.
        DigestMismatch: content is not what it is said to be.
        InvalidTar: a layer cannot be unpacked.
    """
    raw = read(source, manifest.config)
    image = config.parse(raw, f"image config {manifest.config.digest}")
    if len(image.diff_ids) != len(manifest.layers):
        raise Disagreement(
            f"invalid manifest, layers length mismatch: the config of image {digest.short(manifest.config.digest)} "
            f"names {len(image.diff_ids)} layers, the manifest {len(manifest.layers)}"
        )
    check_depth(len(image.diff_ids))
    count = _layers(store, lease, source, list(zip(image.diff_ids, manifest.layers, strict=True)), report)
    with store.lock():
        return Installed(store.images.create(raw), count)


def _layers(store: Store, lease: Lease, source: Source, wanted: list[tuple[Digest, Descriptor]], report: Report) -> int:
    """Bring in the layers that are missing; return their number."""
    present = store.rely_on(lease, digest.chains([diff_id for diff_id, _ in wanted]))
    for diff_id, _ in wanted[: len(present)]:
        report(Status("Already exists", digest.short(diff_id)))
    below = present[-1] if present else None
    pending: list[Pending] = []
    try:
        for diff_id, descriptor in wanted[len(present) :]:
            report(Status("Loading layer", digest.short(diff_id)))
            pending.append(
                _layer(store, lease, source, (diff_id, descriptor), pending[-1] if pending else below, report)
            )
        store.layers.publish(lease, pending, below)
    except BaseException:
        for layer in reversed(pending):
            store.layers.discard(lease, layer)
        raise
    return len(pending)


def _layer(
    store: Store,
    lease: Lease,
    source: Source,
    wanted: tuple[Digest, Descriptor],
    below: Layer | Pending | None,
    report: Report,
) -> Pending:
    diff_id, descriptor = wanted
    with source.open(descriptor) as stream:
        watched = Watched(stream, descriptor.size, digest.short(diff_id), report)
        pending = store.layers.prepare(lease, decompressed(watched), below)
    try:
        if pending.diff_id != diff_id:
            raise DigestMismatch(f"invalid diffID for layer {digest.short(diff_id)}", diff_id, pending.diff_id)
        store.layers.place(pending, below)
    except BaseException:
        store.layers.discard(lease, pending)
        raise
    return pending


class Watched:
    """A reader that reports how far it is."""

    def __init__(self, source: Reader, total: int, subject: str, report: Report) -> None:
        self._source = source
        self._total = total
        self._subject = subject
        self._report = report
        self._done = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._done += len(data)
        self._report(Progress(self._subject, "Loading layer", self._done, self._total))
        return data


def keep(store: Store, source: Source, descriptor: Descriptor) -> None:
    """Keep a manifest or an index as it came, beside the image; `copying.read` says what is raised."""
    if not store.content.has(descriptor):
        raw = read(source, descriptor)
        store.content.push(descriptor, io.BytesIO(raw))
