"""A reader whose source is read by another thread."""

import contextlib
import queue
import threading

from .streams import CHUNK, Reader, chunks


class Ahead:
    """A reader whose source is read by another thread, a bounded number of chunks ahead.

    Reading, hashing and inflating in the source release the interpreter lock, so they overlap with the work
    of whoever reads here. Errors of the source are raised from `read`. Use it as a context manager: leaving
    it stops the thread, wherever it is.
    """

    def __init__(self, source: Reader, depth: int = 4, size: int = CHUNK) -> None:
        self._source = source
        self._size = size
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(depth)
        self._stopped = False
        self._rest = b""
        self._at = 0
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> "Ahead":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join()

    def _fill(self) -> None:
        try:
            for data in chunks(self._source, self._size):
                self._queue.put(data)
                if self._stopped:
                    return
            self._queue.put(b"")
        except BaseException as error:  # noqa: BLE001 - it is raised again in the reader's thread
            self._queue.put(error)

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(chunks(self, self._size))
        if self._at == len(self._rest):
            item = self._queue.get()
            if not item or isinstance(item, BaseException):
                self._queue.put(item)
            if isinstance(item, BaseException):
                raise item
            self._rest, self._at = item, 0
        data = self._rest if not self._at and size >= len(self._rest) else self._rest[self._at : self._at + size]
        self._at += len(data)
        return data
