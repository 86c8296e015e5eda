"""What the registry has done, in numbers for Prometheus; all workers count in one piece of shared memory.

For each worker: for each kind of endpoint, method and class of status, how many requests; for each kind, how many
bytes were sent, how many seconds it took, and how many requests took at most so long; how many bodies are coming in.
"""

import contextlib
import mmap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .calls import Call
from .codes import TooManyRequests

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

KINDS = (
    *("", "alive", "base", "extensions", "token"),
    *("catalog", "tags", "referrers", "manifests", "blobs", "uploads", "upload"),
)
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "other")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
ACTIONS = ("pull", "push", "mount", "delete")
BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)

_COUNTS = len(KINDS) * len(METHODS) * len(CLASSES)
_OF_KIND = 2 + len(BOUNDS) + 1
_ARRIVING = _COUNTS + len(KINDS) * _OF_KIND
_DONE = _ARRIVING + 1
_SIZE = _DONE + len(ACTIONS)
_METHOD = {name: at for at, name in enumerate(METHODS)}
_KIND = {name: at for at, name in enumerate(KINDS)}
_ACTION = {name: at for at, name in enumerate(ACTIONS)}


class Table:
    """The numbers of all workers; made before they are."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, max(workers, 1) * _SIZE * 8)
        self._numbers: memoryview[float] = memoryview(self._memory).cast("d")
        self._workers = max(workers, 1)

    def of(self, worker: int) -> "memoryview[float]":
        """Return the numbers that one worker adds to, when it starts."""
        found = self._numbers[worker * _SIZE : (worker + 1) * _SIZE]
        found[_ARRIVING] = 0  # those of one that died do not come any more
        return found

    def arriving(self) -> int:
        """Return how many bodies of uploads are coming in, at all workers."""
        return int(self.total(_ARRIVING))

    def total(self, at: int) -> float:
        """Return the sum of one number over all workers."""
        return float(sum(self._numbers[worker * _SIZE + at] for worker in range(self._workers)))

    def collect(self) -> "Iterator[Metric]":
        """Yield everything as Prometheus has it."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily  # noqa: PLC0415

        requests = CounterMetricFamily(
            "registry_http_requests", "Requests answered.", labels=("kind", "method", "class")
        )
        sent = CounterMetricFamily("registry_http_response_bytes", "Bytes of bodies sent.", labels=("kind",))
        took = HistogramMetricFamily(
            "registry_http_request_seconds", "Seconds until an answer began.", labels=("kind",)
        )
        for kind, name in enumerate(KINDS):
            for method in range(len(METHODS)):
                for number in range(len(CLASSES)):
                    if count := self.total(_count(kind, method, number)):
                        requests.add_metric([name, METHODS[method], CLASSES[number]], count)
            at = _COUNTS + kind * _OF_KIND
            sent.add_metric([name], self.total(at))
            took.add_metric([name], self._buckets(at + 2), self.total(at + 1))
        done = CounterMetricFamily("registry_actions", "What was done to images.", labels=("action",))
        for number, action in enumerate(ACTIONS):
            done.add_metric([action], self.total(_DONE + number))
        arriving = GaugeMetricFamily("registry_uploads_arriving", "Bodies of uploads that are coming in.")
        arriving.add_metric([], self.arriving())
        yield from (requests, sent, took, done, arriving)

    def _buckets(self, at: int) -> list[tuple[str, float]]:
        so_far = 0.0
        found: list[tuple[str, float]] = []
        for offset, bound in enumerate([*map(str, BOUNDS), "+Inf"]):
            so_far += self.total(at + offset)
            found.append((bound, so_far))
        return found


class Counter:
    """Counts what one worker does."""

    def __init__(self, table: Table, worker: int) -> None:
        self._table = table
        self._numbers = table.of(worker)

    @contextlib.contextmanager
    def arriving(self, limit: int) -> Iterator[None]:
        """Count a body that comes in, while the block runs.

        Raises:
            TooManyRequests: `limit` of them come in already, at all workers; 0 is no limit.
        """
        if limit and (count := self._table.arriving()) >= limit:
            raise TooManyRequests(f"{count} uploads come in already, the limit", headers={"Retry-After": "1"})
        self._numbers[_ARRIVING] += 1
        try:
            yield
        finally:
            self._numbers[_ARRIVING] -= 1

    def answered(self, call: Call, kind: str, status: int, sent: int, seconds: float) -> None:
        number = _KIND[kind]
        self._numbers[_count(number, _METHOD.get(call.request.method, len(METHODS) - 1), status // 100 - 1)] += 1
        at = _COUNTS + number * _OF_KIND
        self._numbers[at] += sent
        self._numbers[at + 1] += seconds
        self._numbers[at + 2 + sum(seconds > bound for bound in BOUNDS)] += 1

    def happened(self, action: str, call: Call, target: dict[str, object]) -> None:
        self._numbers[_DONE + _ACTION[action]] += 1

    def close(self) -> None:
        pass


def _count(kind: int, method: int, number: int) -> int:
    return (kind * len(METHODS) + method) * len(CLASSES) + number
