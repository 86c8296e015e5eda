"""Sockets, and the life of a server: it takes what comes until it is told to stop, and finishes what is under way."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from ..errors import InvalidArgument, Unavailable
from . import direct
from .service import Service
from .settings import Tls

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_THREADS = 24
_KEEP_ALIVE = 60.0  # also how long a client may take to say what it wants
_LINE = 16 << 10
_BUFFER = 64 << 10  # bytes of a body that wait for their handler: many uploads at once are to cost little memory
_BACKLOG = 1024
_LINGER = 2.0  # seconds that a client whose body is refused has to see it


def listen(address: str, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens; one in the file system that nobody serves is replaced.

    Args:
        address: `HOST:PORT`, `[::1]:PORT` or `unix://PATH`.
        shared: several processes listen on the port (SO_REUSEPORT).

    Raises:
        InvalidArgument: the address is none.
        Unavailable: it cannot be had.
    """
    try:
        return _unix(address.removeprefix("unix://")) if address.startswith("unix://") else _tcp(address, shared=shared)
    except OSError as error:
        raise Unavailable(f"cannot listen on {address}: {error.strerror or error}") from error


def _unix(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
            raise FileExistsError(0, "another process serves there")
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    found = socket.socket(socket.AF_UNIX)
    found.bind(path)
    found.listen(_BACKLOG)
    return found


def _tcp(address: str, *, shared: bool) -> socket.socket:
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InvalidArgument(f"{address!r} is no address to listen on: expected HOST:PORT or unix://PATH")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not host:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if shared:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind((host, int(port)))
    found.listen(_BACKLOG)
    return found


def address(listening: socket.socket) -> str:
    """Return where a socket listens, as clients write it."""
    if listening.family == socket.AF_UNIX:
        return f"unix://{listening.getsockname()}"
    host, port, *_ = listening.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tls(settings: Tls) -> ssl.SSLContext:
    """Return the context of a server's TLS.

    Raises:
        InvalidArgument: certificate or key cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if settings.minimum == "tls1.3" else ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        for path in settings.client_authorities:
            context.load_verify_locations(path)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"cannot use {settings.certificate} and {settings.key} for TLS: {error}") from error
    return context


@contextlib.asynccontextmanager
async def serving(service: Service, listening: socket.socket, context: ssl.SSLContext | None) -> AsyncIterator[None]:
    """Serve while the block runs; at its end new connections are refused, and what is under way is finished."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, "storage"))
    settings = service.settings
    connections = _Connections(service)
    server = await loop.create_server(connections, sock=listening, ssl=context, backlog=_BACKLOG)
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.drain):
                await connections.finish()
        await connections.shutdown(1.0)


@contextlib.asynccontextmanager
async def answering(handler: Handler, listening: socket.socket) -> AsyncIterator[None]:
    """Answer requests on a socket while the block runs; nothing is waited for."""
    connections = web.Server(handler, access_log=None, logger=_silent())
    server = await asyncio.get_running_loop().create_server(connections, sock=listening)
    try:
        yield
    finally:
        server.close()
        await connections.shutdown(1.0)


async def until_stopped() -> None:
    """Return when the process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


class _Connections(web.Server):
    """aiohttp's connections, and on which of them a request is under way."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            self._handle,
            keepalive_timeout=_KEEP_ALIVE,
            access_log=None,
            auto_decompress=False,
            max_line_size=_LINE,
            lingering_time=_LINGER,
            read_bufsize=_BUFFER,
            logger=_silent(),
        )
        self._service = service
        self._busy: set[web.RequestHandler] = set()
        self._ending = False
        self._done = asyncio.Event()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._busy.add(request.protocol)
        try:
            answer = await self._service.handle(request)
            body = direct.of(request)
            if self._ending or (body is not None and body.left):
                answer.force_close()
            await answer.prepare(request)
            await answer.write_eof()
            if body is not None and body.left:
                await body.drop(_LINGER)
            elif body is not None and answer.keep_alive:
                direct.renew(request, self)
            return answer
        finally:
            self._busy.discard(request.protocol)
            self._done.set()

    async def finish(self) -> None:
        """Hang up on those who have asked for nothing, and return when all others have had their answer.

        aiohttp's own way to close a connection takes no byte more, also none of a body that is still on its way.
        """
        self._ending = True
        await asyncio.sleep(0)  # who has asked just now is heard
        for each in self.connections:
            if each not in self._busy:
                each.force_close()
        while self._busy:
            self._done.clear()
            await self._done.wait()


def _silent() -> logging.Logger:
    """Return a log for what clients do wrong on the wire: they are told, and nobody else."""
    found = logging.getLogger("lamina.registry.wire")
    found.propagate = False
    found.addHandler(logging.NullHandler())
    return found
