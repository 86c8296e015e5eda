"""The rest of a large body, read from the socket itself, past the HTTP parser.

Once a request's headers are read, the parser is left alone: a thread reads into one buffer, and what works on the bytes
finds them in the processor's cache. The connection goes on with a new parser when the body is all taken. Threads are
few and never wait for a client: the event loop does.
"""

import asyncio
import functools
import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from . import threads

Into = Callable[[memoryview], None]

_LARGE = 256 << 10  # bytes yet to come that are worth leaving the parser for
_BUFFER = 256 << 10
_TURN = 8 << 20  # bytes of one body before others get their turn
_MOMENT = 2  # milliseconds in which a client that is fast sends more
_THREADS = 4
_KEY = "lamina.direct"


class Direct:
    """A body whose parser was left alone: `first` is what the parser had taken, `left` bytes are yet to come."""

    def __init__(self, transport: asyncio.Transport, first: list[bytes], left: int) -> None:
        self.left = left
        self._transport = transport
        self._first = first

    async def pour(self, into: Into, idle: float | None) -> None:
        """Give all bytes to a function, in order, in threads.

        Raises:
            TimeoutError: nothing came for `idle` seconds.
            ConnectionError: the connection ended.
        """
        if self._transport.is_closing():
            raise ConnectionResetError("the connection ended before a body")
        loop = asyncio.get_running_loop()
        fd = os.dup(self._transport.get_extra_info("socket").fileno())  # the loop's own is the transport's
        try:
            while self.left or self._first:
                if not self._first:
                    async with asyncio.timeout(idle):
                        await _readable(fd)
                await threads.settle(loop.run_in_executor(_threads(), self._take, fd, into))
        finally:
            os.close(fd)

    def _take(self, fd: int, into: Into) -> None:
        """Take what is there, and what comes at once, up to a turn's share."""
        while self._first:
            into(memoryview(self._first.pop(0)))
        buffer = _buffer()
        last = max(self.left - _TURN, 0)
        filled, more = 0, True
        try:
            while more and self.left > last:
                try:
                    count = os.readv(fd, [buffer[filled : min(_BUFFER, filled + self.left)]])
                except BlockingIOError:
                    more = _soon(fd)
                    continue
                if not count:
                    raise ConnectionResetError("the connection ended within a body")
                filled += count
                self.left -= count
                if filled == _BUFFER:
                    filled = 0
                    into(buffer)
        finally:
            if filled:
                into(buffer[:filled])

    async def drop(self, seconds: float) -> None:
        """Read and forget the rest, for some time: a client that sees an error first stops by itself."""
        try:
            async with asyncio.timeout(seconds):
                await self.pour(lambda _: None, None)
        except (TimeoutError, ConnectionError):
            pass


def leave_parser(request: web.BaseRequest) -> Direct | None:
    """Leave the parser of a request whose body is large and has a length; None where there is nothing to win."""
    transport, size, content = request.transport, request.content_length, request.content
    if transport is None or size is None or size < _LARGE or transport.get_extra_info("sslcontext"):
        return None
    if content.exception() is not None or content.is_eof():
        return None
    first: list[bytes] = []
    while piece := content.read_nowait():
        first.append(piece)
    content.feed_eof()
    transport.pause_reading()  # last: both of the above let it go on
    left = size - sum(map(len, first))
    request[_KEY] = found = Direct(transport, first, left)
    return found


def of(request: web.BaseRequest) -> Direct | None:
    """Return the body of a request whose parser was left."""
    found = request.get(_KEY)
    assert found is None or isinstance(found, Direct)
    return found


def renew(request: web.BaseRequest, server: web.Server) -> None:
    """Let a connection go on with a new parser, after the answer to a request whose parser was left."""
    old, transport = request.protocol, request.transport
    if transport is None or transport.is_closing():
        return
    new = server()
    transport.set_protocol(new)
    new.connection_made(transport)
    old.transport = None  # it is not the old one's to close
    old.connection_lost(None)
    transport.resume_reading()


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _set, readable)
    try:
        await readable
    finally:
        loop.remove_reader(fd)


def _set(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _soon(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(_MOMENT))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "bodies")


_own = threading.local()


def _buffer() -> memoryview:
    """Return the buffer of this thread."""
    if not hasattr(_own, "buffer"):
        _own.buffer = memoryview(bytearray(_BUFFER))
    found = _own.buffer
    assert isinstance(found, memoryview)
    return found
