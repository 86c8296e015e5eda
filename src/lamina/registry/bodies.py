"""Bodies of requests: taken piece by piece, or poured into a function that works in threads."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from . import direct, threads
from .codes import SizeInvalid, TooLarge, UploadInvalid
from .direct import Into

_BATCH = 128 << 10  # bytes that are worth a thread


class Body:
    """A body as pieces that come."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def pour(self, into: Into) -> None:
        """Give all pieces to a function, in order; it works on one in a thread while the next comes in.

        Of a body that breaks off, what has come is given.
        """
        working: asyncio.Future[None] | None = None
        try:
            async for piece in self._pieces:
                if working is not None:
                    await working
                    working = None
                if len(piece) < _BATCH:
                    into(memoryview(piece))  # a thread would cost more than the work
                else:
                    working = threads.start(into, memoryview(piece))
        finally:
            if working is not None:
                await threads.settle(working)


class Arriving(Body):
    """The body of a request, of up to `limit` bytes (0: any number), each of which comes within `idle` seconds.

    Raises:
        TooLarge: it is longer; nothing past that is taken.
        SizeInvalid: it broke off.
        UploadInvalid: nothing came for too long.
    """

    def __init__(self, request: web.BaseRequest, limit: int, idle: float, what: str) -> None:
        super().__init__(self._batches())
        self._request = request
        self._limit = limit
        self._idle = idle or None
        self._what = what

    async def all(self) -> bytes:
        """Return a small body."""
        self._check(self._request.content_length or 0)
        return b"".join([piece async for piece in self])

    async def pour(self, into: Into) -> None:
        self._check(self._request.content_length or 0)
        past = direct.leave_parser(self._request)
        if past is None:
            await super().pour(into)
        else:
            await self._invite()
            with self._broken():
                await past.pour(into, self._idle)

    async def _batches(self) -> AsyncIterator[bytes]:
        """Yield pieces of some size, whatever the network brings; of a body that breaks off, what has come."""
        await self._invite()
        parts: list[bytes] = []
        waiting = total = 0
        with self._broken():
            try:
                while data := await self._next():
                    total += len(data)
                    self._check(total)
                    parts.append(data)
                    waiting += len(data)
                    if waiting >= _BATCH:
                        yield b"".join(parts)
                        parts, waiting = [], 0
            except (TimeoutError, ConnectionError, web.PayloadAccessError, web.RequestPayloadError):
                if parts:
                    yield b"".join(parts)
                raise
        if parts:
            yield b"".join(parts)

    async def _next(self) -> bytes:
        async with asyncio.timeout(self._idle):
            return await self._request.content.readany()

    def _check(self, size: int) -> None:
        if self._limit and size > self._limit:
            raise TooLarge(f"{self._what} has {size} bytes or more; the limit is {self._limit}")

    @contextlib.contextmanager
    def _broken(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise UploadInvalid("no byte came for too long", headers={"Connection": "close"}) from error
        except (ConnectionError, web.PayloadAccessError, web.RequestPayloadError) as error:
            raise SizeInvalid("the body broke off", headers={"Connection": "close"}) from error

    async def _invite(self) -> None:
        """Tell a client that waits for it that its body is welcome (RFC 9110, 10.1.1)."""
        if self._request.headers.get("Expect", "").lower() == "100-continue":
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
