"""The layers of an image on their way in: fetched and unpacked several at a time, then put on each other.

Each blob is read once: it comes, is kept as it comes, hashed, inflated, hashed again and unpacked. What was kept of an
earlier try is read first. Who needs a layer that another process brings in waits for it, and finds it there.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from ..compression import READ, Corrupt, decompressed
from ..errors import DataLoss, InvalidArgument, NotSupported, ResourceExhausted
from ..events import Problem, Progress, Report, Status
from ..layers.layers import Claim, Layer, Pending
from ..lock import Lease
from ..oci import digest
from ..oci.digest import Digest
from ..oci.manifest import Descriptor
from ..oci.reference import Reference
from ..readahead import Ahead
from ..remote.answers import MirrorLied
from ..store.store import Store
from ..streams import DigestMismatch, Reader, Verified, chunks
from .crew import crew
from .partial import Arriving, Partial, Partials
from .places import Places

PROCESSES = 3
"""Those that fetch and unpack at a time: Docker's number of downloads."""


class Wanted(NamedTuple):
    """A layer of an image: what it is when unpacked, and how it comes."""

    diff_id: Digest
    descriptor: Descriptor


class _Task(NamedTuple):
    """A blob that is missing, and the numbers of the layers that it becomes: mostly one."""

    descriptor: Descriptor
    layers: list[int]


@contextlib.contextmanager
def brought(
    store: Store, lease: Lease, places: Places, reference: Reference, wanted: list[Wanted], report: Report
) -> Iterator[None]:
    """Bring in the layers of an image that are missing, for a block that enters the image: they stay as the lease does.

    What came of blobs stays until that block has ended well; where the disk is full, what came now is given back.

    Args:
        store: where to.
        lease: of the caller.
        places: the registries.
        reference: of the repository that the blobs come from.
        wanted: the layers, base first.
        report: hears of every layer.

    Raises:
        DigestMismatch: a blob, or what it unpacks to, is not what it is said to be.
        InvalidTar: a layer cannot be unpacked.
        RegistryUnavailable: the registry gives no more; what has come is kept.
    """
    chain_ids = digest.chains([layer.diff_id for layer in wanted])
    missing = wanted[len(store.rely_on(lease, chain_ids)) :]
    if not missing:
        _say_present(wanted, report)
        yield
        return
    blobs = {layer.descriptor.digest for layer in missing}
    with Partials(store.paths.partial).held(blobs, lambda blob: report(Status("Waiting", digest.short(blob)))) as held:
        present = store.rely_on(lease, chain_ids)  # another process may have brought in some meanwhile
        missing = wanted[len(present) :]
        _say_present(wanted[: len(present)], report)
        incoming = _Incoming(store, lease, places, reference, missing, held, report)
        with _given_back_where_full(held):
            try:
                incoming.bring(present[-1] if present else None)
            except BaseException:
                incoming.discard()
                raise
            yield
        _settle(store, missing, held)


@contextlib.contextmanager
def _given_back_where_full(held: dict[Digest, Partial]) -> Iterator[None]:
    """Take away what comes of blobs in a block that fails for want of room."""
    before = {blob: partial.size for blob, partial in held.items()}
    try:
        yield
    except (OSError, ResourceExhausted) as error:
        if not isinstance(error, OSError) or error.errno in (errno.ENOSPC, errno.EDQUOT):
            for blob, partial in held.items():
                partial.clear(before[blob])
        raise


def _say_present(layers: list[Wanted], report: Report) -> None:
    for layer in layers:
        report(Status("Already exists", digest.short(layer.descriptor.digest)))


def _settle(store: Store, missing: list[Wanted], held: dict[Digest, Partial]) -> None:
    """Let go of the blobs, whose image is there now, or keep them if that is the policy."""
    from . import kept, policy  # noqa: PLC0415 - only where layers came

    bound = policy.read(store.paths.policy).layers
    for layer in {layer.descriptor.digest: layer for layer in missing}.values():
        partial = held[layer.descriptor.digest]
        if layer.descriptor.size <= bound and partial.size == layer.descriptor.size:
            partial.move(store.content.path(layer.descriptor.digest))
        else:
            partial.remove()
    if bound:
        kept.shrink(store, bound)


class _Incoming:
    """The missing layers, unpacked as they come, placed base first, and published together."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        places: Places,
        reference: Reference,
        missing: list[Wanted],
        held: dict[Digest, Partial],
        report: Report,
    ) -> None:
        self._store = store
        self._layers = store.layers
        self._lease = lease
        self._places = places
        self._reference = reference
        self._missing = missing
        self._held = held
        self._report = report
        self._total = sum({layer.descriptor.digest: layer.descriptor.size for layer in missing}.values())
        self._claims: list[Claim] = []
        self._unpacked: dict[int, Pending] = {}
        self._placed: list[Pending] = []

    def bring(self, base: Layer | None) -> None:
        """Bring all of them in, on top of a layer that is there."""
        for layer in self._missing:
            self._report(Status("Pulling fs layer", digest.short(layer.descriptor.digest)))
        if self._layers.parent_first:
            for number in range(len(self._missing)):
                below = self._placed[-1] if self._placed else base
                task = _Task(self._missing[number].descriptor, [number])
                self._unpacked[number] = self._unpack(task, number, below, self._report)
                self._place(base)
        else:
            self._layers.get_ready()
            self._claims = [self._layers.claim(self._lease) for _ in self._missing]
            tasks = _tasks(self._missing)
            work = lambda number, report: self._fetch(tasks[number], report)  # noqa: E731
            members = crew(len(tasks), work, list[Pending], PROCESSES, self._report, self._places.cancel)
            with contextlib.closing(members):
                for number, made in members:
                    self._unpacked.update(zip(tasks[number].layers, made, strict=True))
                    self._place(base)
        self._layers.publish(self._lease, self._placed, base)
        for layer in self._missing:
            self._report(Status("Pull complete", digest.short(layer.descriptor.digest)))

    def discard(self) -> None:
        """Remove what was unpacked, but for what has been published."""
        for pending in self._unpacked.values():
            self._layers.discard(self._lease, pending)
        for number, claim in enumerate(self._claims):
            if number not in self._unpacked:
                self._layers.abandon(self._lease, claim)

    def _place(self, base: Layer | None) -> None:
        """Put those that are unpacked on top of each other, as far as they go."""
        while (number := len(self._placed)) in self._unpacked:
            pending, (diff_id, descriptor) = self._unpacked[number], self._missing[number]
            if pending.diff_id != diff_id:
                what = f"layers from manifest don't match image configuration: layer {digest.short(descriptor.digest)}"
                raise DigestMismatch(what, diff_id, pending.diff_id)
            self._layers.place(pending, self._placed[-1] if self._placed else base)
            self._placed.append(pending)

    def _fetch(self, task: _Task, report: Report) -> list[Pending]:
        """Fetch a blob and unpack it, as often as the image has it."""
        return [self._unpack(task, number, None, report) for number in task.layers]

    def _unpack(self, task: _Task, number: int, below: Layer | Pending | None, report: Report) -> Pending:
        """Unpack a blob; again where what was kept of it was wrong, or what a mirror gave."""
        claim = self._claims[number] if self._claims else None
        partial = self._held[task.descriptor.digest]
        while True:
            begin = partial.size
            try:
                return self._unpack_from(task.descriptor, begin, below, claim, report)
            except DataLoss as error:
                partial.clear()
                if isinstance(error, MirrorLied):
                    report(Problem(str(error)))
                elif not begin:
                    raise

    def _unpack_from(
        self, descriptor: Descriptor, begin: int, below: Layer | Pending | None, claim: Claim | None, report: Report
    ) -> Pending:
        what = f"blob {descriptor.digest}"
        short = digest.short(descriptor.digest)
        if begin:
            report(Status("Verifying Checksum", short))
        with self._opened(descriptor, begin, report) as stream:
            action = "Extracting" if begin >= descriptor.size else "Downloading"
            watched = _Watched(stream, Progress(short, action, 0, descriptor.size), report)
            verified = Verified(watched, descriptor.digest, descriptor.size, what)
            with self._shared(verified, descriptor) as blob:
                try:
                    pending = self._layers.prepare(self._lease, decompressed(blob), below, claim)
                except (InvalidArgument, NotSupported, Corrupt):
                    _read_out(blob)  # what cannot be unpacked is mostly not what it should be
                    raise
                try:
                    _read_out(blob)  # what follows the layer in its blob is verified, too
                except BaseException:
                    self._layers.discard(self._lease, pending)
                    raise
                return pending

    def _shared(self, verified: Reader, descriptor: Descriptor) -> contextlib.AbstractContextManager[Reader]:
        """Have a blob read and hashed by one thread and inflated by another, if the others leave a processor idle."""
        if descriptor.size * len(os.sched_getaffinity(0)) <= self._total:
            return contextlib.nullcontext(verified)
        return Ahead(verified, size=READ)

    @contextlib.contextmanager
    def _opened(self, descriptor: Descriptor, begin: int, report: Report) -> Iterator[Reader]:
        """Open a blob: what has come of it already, or is kept of it, and the rest from the registry."""
        partial = self._held[descriptor.digest]
        if not begin and self._store.content.has(descriptor):
            with self._store.content.open(descriptor) as file:
                yield file
        elif begin >= descriptor.size and begin:
            yield Arriving(partial, _Nothing(), begin)
        else:
            with self._places.at(self._reference, report).open(descriptor, begin) as source:
                yield Arriving(partial, source, begin)


def _tasks(missing: list[Wanted]) -> list[_Task]:
    """Return the blobs to fetch, the largest first, so that the processes end together."""
    found: dict[Digest, _Task] = {}
    for number, layer in enumerate(missing):
        found.setdefault(layer.descriptor.digest, _Task(layer.descriptor, [])).layers.append(number)
    return sorted(found.values(), key=lambda task: -task.descriptor.size)


def _read_out(stream: Reader) -> None:
    for _ in chunks(stream):
        pass


class _Nothing:
    def read(self, size: int = -1, /) -> bytes:
        return b""


class _Watched:
    """A reader that reports how far it is, and that it is at its end."""

    def __init__(self, source: Reader, progress: Progress, report: Report) -> None:
        self._source = source
        self._progress = progress
        self._report = report
        self._done = 0
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._done += len(data)
        subject, action, total = self._progress.subject, self._progress.action, self._progress.total
        if data:
            self._report(Progress(subject, action, self._done, total))
        elif not self._ended and size:
            self._ended = True
            if action == "Downloading":
                self._report(Status("Download complete", subject))
        return data
