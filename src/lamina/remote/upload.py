"""A blob on its way to a registry, piece by piece (distribution-spec, Pushing a blob in chunks).

    POST uploads/           202  Location: where the pieces go
    PATCH <location>        202  Location: where the next one goes; Range: what is there
    GET <location>          204  Range: what is there, after something went wrong
    PUT <location>?digest=  201  with the last piece

A piece stays in memory until the registry has it, so what breaks is sent again from where the registry is.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from ..errors import LaminaError
from ..oci.manifest import Descriptor
from ..streams import Reader, Verified
from . import answers
from .answers import InvalidAnswer, RegistryUnavailable
from .headers import received
from .request import Body

if TYPE_CHECKING:
    from .connections import Answer

_LARGEST_MINIMUM = 256 << 20
_UNSURE = frozenset({408, 416, 429, 500, 502, 503, 504})
"""After these, part of a piece may have arrived."""

_BINARY = {"Content-Type": "application/octet-stream"}


class UploadLost(RegistryUnavailable):
    """A registry does not know an upload any more, or is not where we are: begin again, with a new stream."""


class Wire(NamedTuple):
    """How an upload talks to its registry.

    Attributes:
        ask: sends a method to a URL with headers and a body, so many times at most (0: as often as is usual).
        wait: waits before a try, given its number.
        elsewhere: makes a URL of an answer's Location.
        tries: how often something is sent that does not arrive.
    """

    ask: Callable[[str, str, Mapping[str, str], Body | None, int], "Answer"]
    wait: Callable[[int], None]
    elsewhere: Callable[["Answer", str], str]
    tries: int


class Upload:
    """One upload that a registry has begun, with the answer `begun`; `what` names the blob in messages."""

    def __init__(self, wire: Wire, begun: "Answer", what: str) -> None:
        self._wire = wire
        self._what = what
        self._minimum = _minimum(begun)
        self._location = ""
        self._move(begun)
        if not self._location:
            raise InvalidAnswer(f"{what}: the registry begins an upload and does not say where")

    def send(self, descriptor: Descriptor, stream: Reader, size: int, *, known: bool = False) -> None:
        """Send a whole blob in pieces of `size` bytes; the last goes when all are verified, unless `known`.

        Raises:
            DigestMismatch: the stream is not what the descriptor says; the registry keeps nothing.
            UploadLost: begin again.
        """
        source = stream if known else Verified(stream, descriptor.digest, descriptor.size, self._what)
        room = memoryview(bytearray(min(max(size, self._minimum), descriptor.size)))
        begin = 0
        try:
            while begin + len(room) < descriptor.size:
                self._send("PATCH", _piece(source, room), begin, {})
                begin += len(room)
            last = _piece(source, room[: descriptor.size - begin])
            source.read(1)  # which raises unless it was all
            self._send("PUT", last, begin, {"digest": descriptor.digest})
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Tell the registry to forget the upload; that it cannot is no error."""
        with contextlib.suppress(LaminaError):
            self._wire.ask("DELETE", self._location, {}, None, 1).close()

    def _send(self, method: str, piece: memoryview, begin: int, query: Mapping[str, str]) -> None:
        """Send a piece until the registry has all of it."""
        sent = failures = 0
        while True:
            there = self._try(method, piece, begin, sent, query)
            if there is None or (method == "PATCH" and there - begin == len(piece)):
                return
            if not begin <= there <= begin + len(piece):
                raise UploadLost(f"{self._what}: the registry has {there} bytes, where {begin} were sent")
            failures = failures + 1 if there - begin <= sent else 0
            sent = there - begin
            if failures:
                self._wire.wait(failures)
            if failures >= self._wire.tries:
                raise UploadLost(f"{self._what}: the registry takes no more than {there} bytes")

    def _try(self, method: str, piece: memoryview, begin: int, sent: int, query: Mapping[str, str]) -> int | None:
        """Send what is left of a piece; return how many bytes of the blob are there, None if the piece is done."""
        body = piece[sent:]
        start = begin + sent
        span = {"Content-Range": f"{start}-{start + len(body) - 1}"} if body and (start or method == "PATCH") else {}
        mark = "&" if "?" in self._location else "?"
        url = self._location + (mark + urlencode(query) if query else "")
        try:
            answer = self._wire.ask(method, url, {**_BINARY, **span}, body, 1)
        except RegistryUnavailable:
            return self._status()
        with answer:
            if answer.status in (201, 204) or (answer.status == 202 and method == "PATCH"):
                self._move(answer)
                there = received(answer.headers.get("Range", "")) if method == "PATCH" else None
                return None if there is None or there >= start + len(body) else there
            if answer.status in _UNSURE:
                return self._status()
            if answer.status == 404:
                raise UploadLost(f"{self._what}: the registry does not know the upload any more")
            raise answers.error(answer, self._what)

    def _status(self) -> int:
        """Ask how many bytes are there."""
        with self._wire.ask("GET", self._location, {}, None, 0) as answer:
            if answer.status not in (200, 202, 204):
                lost = answers.error(answer, self._what)
                raise UploadLost(str(lost)) from lost
            self._move(answer)
            return received(answer.headers.get("Range", "")) or 0

    def _move(self, answer: "Answer") -> None:
        if location := answer.headers.get("Location"):
            self._location = self._wire.elsewhere(answer, location)


def _piece(stream: Reader, room: memoryview) -> memoryview:
    """Fill some room from a stream; return the part that is filled, all of it if the stream has as much."""
    read_into = getattr(stream, "readinto", None) or (lambda rest: _copied(stream, rest))
    filled = 0
    while filled < len(room) and (count := read_into(room[filled:])):
        filled += count
    return room[:filled]


def _copied(stream: Reader, room: memoryview) -> int:
    data = stream.read(len(room))
    room[: len(data)] = data
    return len(data)


def _minimum(answer: "Answer") -> int:
    """Return the least that a registry wants a piece to be, if that is sensible."""
    text = answer.headers.get("OCI-Chunk-Min-Length", "")
    return min(int(text), _LARGEST_MINIMUM) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
