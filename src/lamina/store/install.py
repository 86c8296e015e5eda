"""An image into the store from a source of content: only the layers that are missing, verified, base first.

The config comes first: its diff ids say every chain id before a single layer is read. Layers that are there
already are not opened. The rest are unpacked, made durable together, and get their names in order; the config
gets its own last, so that an image is whole or not there.
"""

import io
import os
from collections.abc import Sequence
from typing import NamedTuple

from ..compression import decompressed
from ..content.contract import Source
from ..content.copying import read
from ..errors import DataLoss
from ..events import Progress, Report, Status, ignore
from ..layers.layers import Claim, Layer, Pending
from ..lock import Lease
from ..oci import config, digest
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Manifest
from ..oci.reference import Reference
from ..processes import share
from ..streams import DigestMismatch, Reader
from .lifecycle import create
from .store import Store


class Disagreement(DataLoss):
    """A manifest and its config do not describe the same image."""


class Installed(NamedTuple):
    """An image that is in the store now; `layers` are those that were not before."""

    image_id: Digest
    layers: int


def install(
    store: Store,
    lease: Lease,
    source: Source,
    manifest: Manifest,
    report: Report,
    processes: int = 1,
    names: Sequence[Reference] = (),
) -> Installed:
    """Take in the image that a manifest describes, and name it.

    With more `processes`, layers are unpacked in so many at once where the driver allows that; the source must be
    one that a forked process can read: files, not connections.

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
    store.layers.check_depth(len(image.diff_ids))
    wanted = list(zip(image.diff_ids, manifest.layers, strict=True))
    incoming = _Incoming(store, lease, source, wanted, report)
    try:
        count = incoming.bring(processes)
    except BaseException:
        incoming.discard()
        raise
    image_id, befores = create(store, lease, raw, names)
    for name, before in zip(names, befores, strict=True):
        if before is not None:
            what = f"The image {name.familiar} already exists, renaming the old one with ID {before} to empty string"
            report(Status(what))
    return Installed(image_id, count)


class _Incoming:
    """The layers of one image on their way in: those that are missing, unpacked, and then put on each other."""

    def __init__(
        self, store: Store, lease: Lease, source: Source, wanted: list[tuple[Digest, Descriptor]], report: Report
    ) -> None:
        self._layers = store.layers
        self._lease = lease
        self._source = source
        self._report = report
        self._process = os.getpid()
        present = store.rely_on(lease, digest.chains([diff_id for diff_id, _ in wanted]))
        for diff_id, _ in wanted[: len(present)]:
            report(Status("Already exists", digest.short(diff_id)))
        self._base = present[-1] if present else None
        self._missing = wanted[len(present) :]
        self._unpacked: dict[int, Pending] = {}
        self._placed: list[Pending] = []

    def bring(self, processes: int) -> int:
        """Bring in the layers that are missing; return their number."""
        for diff_id, _ in self._missing:
            self._report(Status("Loading layer", digest.short(diff_id)))
        if processes > 1 and not self._layers.parent_first:
            self._unpack_in(processes)
        for number, (diff_id, _) in enumerate(self._missing):
            below = self._placed[-1] if self._placed else self._base
            pending = self._unpacked.get(number) or self._unpack(number, below)
            self._unpacked[number] = pending
            if pending.diff_id != diff_id:
                raise DigestMismatch(f"invalid diffID for layer {digest.short(diff_id)}", diff_id, pending.diff_id)
            self._layers.place(pending, below)
            self._placed.append(pending)
        self._layers.publish(self._lease, self._placed, self._base)
        return len(self._placed)

    def discard(self) -> None:
        """Remove what was unpacked, but for what has been published."""
        for pending in self._unpacked.values():
            self._layers.discard(self._lease, pending)

    def _unpack_in(self, processes: int) -> None:
        """Unpack the layers in several processes; those left out by a failure are left to this one."""
        self._layers.get_ready()
        claims = [self._layers.claim(self._lease) for _ in self._missing]
        try:
            self._unpacked = share(
                len(claims), lambda number: self._unpack(number, self._base, claims[number]), Pending, processes
            )
        finally:
            for number, claim in enumerate(claims):
                if number not in self._unpacked:
                    self._layers.abandon(self._lease, claim)

    def _unpack(self, number: int, below: Layer | Pending | None, claim: Claim | None = None) -> Pending:
        diff_id, descriptor = self._missing[number]
        with self._source.open(descriptor) as stream:
            report = self._report if os.getpid() == self._process else ignore
            watched = Watched(stream, descriptor.size, digest.short(diff_id), report)
            return self._layers.prepare(self._lease, decompressed(watched), below, claim)


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
