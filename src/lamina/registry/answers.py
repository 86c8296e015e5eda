"""Responses: documents, files that the kernel sends, errors."""

from typing import Any

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from .codes import Refusal
from .contract import Blob

_INLINE = 64 << 10
_PIECE = 256 << 10

Answer = web.StreamResponse


def empty(status: int, headers: dict[str, str]) -> Answer:
    """Return a response without a body."""
    return web.Response(status=status, headers=headers)


def document(value: object, headers: dict[str, str] | None = None, status: int = 200) -> Answer:
    """Return a JSON document; `Content-Type` may be among the headers."""
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json", **(headers or {})})


def refusal(error: Refusal) -> Answer:
    """Return an error as the specification has it."""
    row: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.detail is not None:
        row["detail"] = error.detail
    return document({"errors": [row]}, error.headers, error.http_status)


def head(size: int, headers: dict[str, str]) -> Answer:
    """Return the headers of a body of some size."""
    return _Head(status=200, headers={**headers, "Content-Length": str(size)})


async def content(blob: Blob, start: int, size: int, headers: dict[str, str], status: int) -> Answer:
    """Return a part of a blob, which is closed when it is sent."""
    if size > _INLINE:
        return _Sent(blob, start, size, headers, status)
    try:
        return web.Response(body=await blob.read(start, size), status=status, headers=headers)
    finally:
        blob.close()


class _Head(web.StreamResponse):
    """Headers alone, with the length that a body would have."""

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(b"")


class _Sent(web.StreamResponse):
    """A part of an open blob: sendfile(2) where the socket and the blob allow it, pieces elsewhere."""

    def __init__(self, blob: Blob, start: int, size: int, headers: dict[str, str], status: int) -> None:
        super().__init__(status=status, headers=headers)
        self.content_length = size
        self._blob = blob
        self._offset = start
        self._size = size

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it; a second call does nothing."""
        if self.prepared:
            return None
        try:
            writer = await super().prepare(request)
            assert writer is not None
            writer.send_headers()
            if not await self._sendfile(request):
                await self._pieces()
            await self.write_eof()
            return writer
        finally:
            self._blob.close()

    async def _sendfile(self, request: web.BaseRequest) -> bool:
        if self._blob.file is None or request.transport is None or request.transport.get_extra_info("sslcontext"):
            return False
        await request.loop.sendfile(request.transport, self._blob.file, self._offset, self._size)
        return True

    async def _pieces(self) -> None:
        offset, end = self._offset, self._offset + self._size
        while offset < end:
            piece = await self._blob.read(offset, min(_PIECE, end - offset))
            if not piece:
                raise ConnectionResetError("a blob ends before its size")
            await self.write(piece)
            offset += len(piece)
