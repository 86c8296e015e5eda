"""Moving a graph of content with several blobs under way at a time.

As `content.copying` does it, children before parents; between two repositories of one registry a blob is not moved but
mounted.
"""

import io
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from ..content.contract import Source, Target
from ..content.copying import MAX_NESTING, read
from ..errors import Cancelled
from ..events import Event, Problem, Progress, Report, Status, ignore
from ..oci import codec, digest, manifest, mediatypes
from ..oci.manifest import Descriptor
from ..streams import Reader
from .answers import MirrorLied
from .registry import Registry
from .upload import UploadLost

WORKERS = 4
_TRIES = 3
_PARENTS = mediatypes.INDEXES | mediatypes.MANIFESTS
_ELSEWHERE = frozenset(
    {mediatypes.DOCKER_FOREIGN_LAYER} | {mediatypes.OCI_FOREIGN_LAYER + suffix for suffix in ("", "+gzip", "+zstd")}
)
"""Layers that may not be distributed: they stay where their URLs say."""


def move(
    source: Source,
    target: Target,
    root: Descriptor,
    report: Report = ignore,
    workers: int = WORKERS,
    cancel: Callable[[], None] = lambda: None,
) -> None:
    """Move content with all that it points to; what the target has is neither read nor sent.

    Args:
        source: where from; several threads read it, if there are several workers.
        target: where to; a parent comes after all its children.
        root: a manifest, an index, or a blob.
        report: hears of every blob, from one thread at a time.
        workers: how many blobs may be under way.
        cancel: called when this thread is interrupted, to end what the others wait for: `Client.cancel`.

    Raises:
        ContentNotFound: the source lacks something.
        DigestMismatch: something is not what its descriptor says.
        InvalidDocument: a manifest is malformed, or indexes lie too deep.
    """
    _Moving(source, target, report, workers, cancel).graph(root, 0)


class _Moving:
    """One move, whose blobs all end early when one fails."""

    def __init__(
        self, source: Source, target: Target, report: Report, workers: int, cancel: Callable[[], None]
    ) -> None:
        self._source, self._target, self._hears = source, target, report
        self._one_at_a_time = threading.Lock()
        self._workers, self._cancel = workers, cancel
        self._over = threading.Event()
        self._mount = _mounting(source, target)

    def graph(self, root: Descriptor, depth: int) -> None:
        if root.media_type not in _PARENTS:
            self._blobs([root])
            return
        if depth > MAX_NESTING:
            raise codec.InvalidDocument(f"indexes lie more than {MAX_NESTING} deep in each other")
        if self._target.has(root):
            return
        raw = read(self._source, root)
        children = {child.digest: child for child in manifest.children(manifest.parse(raw, root.digest))}.values()
        for child in children:
            if child.media_type in _PARENTS:
                self.graph(child, depth + 1)
        self._blobs([one for one in children if one.media_type not in _PARENTS | _ELSEWHERE])
        self._target.push(root, io.BytesIO(raw))

    def _blobs(self, blobs: list[Descriptor]) -> None:
        """Move blobs, as many at a time as there are workers."""
        if self._workers <= 1 or len(blobs) <= 1:
            for blob in blobs:
                self._one(blob)
            return
        with ThreadPoolExecutor(min(self._workers, len(blobs))) as pool:
            futures = [pool.submit(self._one, blob) for blob in blobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._over.set()
                self._cancel()
                raise
            finally:
                if not all(future.done() and future.exception() is None for future in futures):
                    self._over.set()
                    pool.shutdown(cancel_futures=True)
        failures = [error for future in futures if not future.cancelled() and (error := future.exception())]
        if failures:  # the first is why the others were cancelled
            raise next((error for error in failures if not isinstance(error, Cancelled)), failures[0])

    def _report(self, event: Event) -> None:
        with self._one_at_a_time:
            self._hears(event)

    def _one(self, blob: Descriptor) -> None:
        short = digest.short(blob.digest)
        if self._target.has(blob):
            self._report(Status("Already exists", short))
            return
        if self._mount is not None and self._mount(blob):
            self._report(Status("Mounted", short))
            return
        lost = 0
        while True:
            try:
                with self._source.open(blob) as stream:
                    self._target.push(blob, _Watched(stream, blob, self._report, self._over))
                break
            except MirrorLied as error:
                self._report(Problem(str(error)))
            except UploadLost:
                lost += 1
                if lost == _TRIES:
                    raise
        self._report(Status("Copied", short))


class _Watched:
    """A reader that tells how far it is, and ends when all is over."""

    def __init__(self, stream: Reader, blob: Descriptor, report: Report, over: threading.Event) -> None:
        self._stream, self._blob, self._report, self._over = stream, blob, report, over
        self._count = 0

    def read(self, size: int = -1, /) -> bytes:
        if self._over.is_set():
            raise Cancelled("another part of the copy failed")
        data = self._stream.read(size)
        self._count += len(data)
        if data:
            self._report(Progress(digest.short(self._blob.digest), "Copying", self._count, self._blob.size))
        return data


def _mounting(source: Source, target: Target) -> Callable[[Descriptor], bool] | None:
    """Return what mounts a blob, if both places are repositories of one registry."""
    if not (isinstance(source, Registry) and isinstance(target, Registry)):
        return None
    ours, theirs = source.reference, target.reference
    if ours.domain != theirs.domain or ours.path == theirs.path:
        return None
    return lambda blob: target.mount(blob, ours.path)
