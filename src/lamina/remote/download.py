"""A blob as a stream. A connection that breaks is made again, and the stream goes on where it was (RFC 9110, 14)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..streams import CHUNK, DigestMismatch, chunks
from . import headers
from .answers import Broken, InvalidAnswer

if TYPE_CHECKING:
    from .connections import Answer

_PROGRESS = 1 << 20
"""Bytes after which a connection counts as one that worked, and patience begins anew."""

Check = Callable[["Answer"], "Answer"]
"""Returns an answer at the byte that is wanted, or closes it and raises."""

Get = Callable[[Mapping[str, str], Check], "Answer"]
"""Asks for the blob with further headers; returns the first answer, 200 or 206, that passes the check, or raises."""


class Download:
    """A reader of a blob from an offset on. It never reads past the blob's size; its bytes are not verified here.

    Args:
        get: asks for the blob.
        wait: waits before a try, given its number.
        tries: how often a connection may break without having brought much.
        elsewhere: called when it has; tells whether there is another place to ask.
        size: of the whole blob.
        offset: where to begin.
        what: names the blob in messages.
    """

    def __init__(
        self,
        get: Get,
        wait: Callable[[int], None],
        tries: int,
        elsewhere: Callable[[], bool],
        size: int,
        offset: int,
        what: str,
    ) -> None:
        self._get, self._wait, self._tries, self._elsewhere = get, wait, tries, elsewhere
        self._size = size
        self._what = what
        self._failures = 0
        self._since = 0
        self.offset = offset
        self._answer: Answer | None = self._open() if offset < size or not size else None

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, none at the blob's end.

        Raises:
            DigestMismatch: the registry has more of it than there should be, or less.
            RegistryUnavailable: the connection broke too often.
            InvalidAnswer: the registry lies about ranges.
        """
        if size < 0:
            return b"".join(chunks(self))
        size = min(size, self._size - self.offset)
        while size:
            try:
                if self._answer is None:
                    self._answer = self._open()
                data = self._answer.read(size)
                if not data:
                    raise Broken(f"{self._what}: the connection ended {self._size - self.offset} bytes early")
            except Broken as error:
                self._failed(error)
                continue
            self.offset += len(data)
            self._since += len(data)
            return data
        return b""

    def close(self) -> None:
        """Give the connection back."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _failed(self, error: Broken) -> None:
        self.close()
        if self._since >= _PROGRESS:
            self._failures = self._since = 0
        self._failures += 1
        if self._failures < self._tries:
            self._wait(self._failures)
        elif self._elsewhere():
            self._failures = 0
        else:
            raise error

    def _open(self) -> "Answer":
        return self._get({"Range": f"bytes={self.offset}-"} if self.offset else {}, self._checked)

    def _checked(self, answer: "Answer") -> "Answer":
        begin = self.offset
        try:
            if answer.status == 206:
                self._check_range(answer, begin)
            else:
                self._check_length(answer)
                self._skip(answer, begin)
        except BaseException:
            answer.close()
            raise
        return answer

    def _check_range(self, answer: "Answer", begin: int) -> None:
        text = answer.headers.get("Content-Range", "")
        span = headers.content_range(text)
        if not begin or span is None or span.first != begin or span.total not in (None, self._size):
            raise InvalidAnswer(
                f"{self._what}: asked for bytes from {begin} of {self._size}, the registry sends {text!r}"
            )

    def _check_length(self, answer: "Answer") -> None:
        """Say at once that a blob has the wrong size, where the registry says its size."""
        length = headers.length(answer.headers.get("Content-Length", ""))
        if length not in (None, self._size):
            raise DigestMismatch(self._what, f"{self._size} bytes", f"{length} bytes")

    def _skip(self, answer: "Answer", count: int) -> None:
        """Read what was read already, from a registry that knows no ranges."""
        while count:
            data = answer.read(min(count, CHUNK))
            if not data:
                raise Broken(f"{self._what}: the connection ended early")
            count -= len(data)
