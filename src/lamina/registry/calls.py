"""One request as handlers see it, and what they share: its query, its body within bounds, its pages."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from .codes import PageInvalid, SizeInvalid, TooLarge, UploadInvalid
from .repository import Repository

if TYPE_CHECKING:
    from .service import Service

_BATCH = 128 << 10


class Call:
    """A request for something in a repository, or for none; `reference` is as it stands in the path."""

    def __init__(self, service: "Service", request: web.BaseRequest, name: str, reference: str) -> None:
        self.service = service
        self.request = request
        self.reference = reference
        self.user = ""
        self.identity = ""
        self.repository = Repository(service.storage, name, service.cache)

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.repository.name

    def query(self, key: str) -> str:
        """Return a parameter of the query, or nothing."""
        return self.request.query.get(key, "")

    def url(self, path: str) -> str:
        """Return the URL of a path below `/v2/`."""
        return f"{self.service.settings.host}{self.service.settings.prefix}v2/{path}"

    async def body(self, limit: int, what: str) -> bytes:
        """Return a small body.

        Raises:
            TooLarge: it is longer than `limit`; nothing past that is read.
        """
        if limit and (self.request.content_length or 0) > limit:
            raise TooLarge(f"{what} has {self.request.content_length} bytes; the limit is {limit}")
        return b"".join([piece async for piece in self.pieces(limit, what)])

    async def pieces(self, limit: int, what: str) -> AsyncIterator[bytes]:
        """Yield the body in pieces of some size, whatever the network brings; of one that breaks off, what has come.

        Raises:
            TooLarge: it is longer than `limit` bytes.
            SizeInvalid: it broke off.
            UploadInvalid: nothing came for too long.
        """
        await self._invite()
        parts: list[bytes] = []
        waiting = total = 0
        try:
            while data := await self._next():
                total += len(data)
                if limit and total > limit:
                    raise TooLarge(f"{what} has more than {limit} bytes, which is the limit")
                parts.append(data)
                waiting += len(data)
                if waiting >= _BATCH:
                    yield b"".join(parts)
                    parts, waiting = [], 0
        except (TimeoutError, ConnectionError, web.PayloadAccessError, web.RequestPayloadError) as error:
            if parts:
                yield b"".join(parts)
            if isinstance(error, TimeoutError):
                raise UploadInvalid("no byte came for too long", headers={"Connection": "close"}) from error
            raise SizeInvalid("the body broke off", headers={"Connection": "close"}) from error
        if parts:
            yield b"".join(parts)

    async def _next(self) -> bytes:
        async with asyncio.timeout(self.service.settings.idle or None):
            return await self.request.content.readany()

    async def _invite(self) -> None:
        """Tell a client that waits for it that its body is welcome (RFC 9110, 10.1.1)."""
        if self.request.headers.get("Expect", "").lower() == "100-continue":
            await self.request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def page(self) -> tuple[int, str]:
        """Return how many rows are asked for, -1 for all, and after which.

        Raises:
            PageInvalid: the number is none.
        """
        number = self.query("n")
        if not number:
            return -1, self.query("last")
        if not (number.isascii() and number.isdigit()) or len(number) > 18:
            raise PageInvalid(f"n is {number[:50]!r}: expected a number that is not negative", {"n": number[:50]})
        return int(number), self.query("last")

    def next_page(self, path: str, **query: object) -> dict[str, str]:
        """Return the header that leads to the next page."""
        return {"Link": f'<{self.url(path)}?{urlencode(query)}>; rel="next"'}
