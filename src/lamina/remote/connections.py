"""Connections to hosts, kept for the next request: one request out, one answer in, and no cleverness.

Only here is urllib3 spoken to. Where plain HTTP is allowed besides HTTPS, a host is asked once which it speaks.
"""

import contextlib
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, ProxyError, SSLError

from .. import __version__
from ..errors import Cancelled
from ..streams import chunks
from . import answers, origins, proxies
from .answers import Broken, RegistryUnavailable, Unreachable
from .origins import Origin, Place
from .request import Request
from .settings import Settings

_DRAINED = 64 << 10
"""Bytes of an unread body that are read to keep the connection."""

_CONNECTIONS = 32

_NOT_MADE = (NewConnectionError, ProxyError, SSLError)


class Answer:
    """What came back: a body to read, once. Close it, or use it as a context."""

    def __init__(self, response: Any, url: str, method: str) -> None:
        self._response = response
        self._method = method
        self.url = url
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._end = 0.0

    def within(self, seconds: float) -> Self:
        """Have the body read in so many seconds, or not at all: a byte now and then is not enough."""
        self._end = time.monotonic() + seconds
        return self

    def read(self, size: int = -1, /) -> bytes:
        """Return a piece of the body as it was sent: what has come by now, and something in any case but at the end.

        Raises:
            Broken: the connection ended before the body did, or it takes too long.
        """
        if size < 0:
            return b"".join(chunks(self))
        if self._end and time.monotonic() > self._end:
            raise Broken(f"{origins.of_url(self.url)}: the answer takes too long")
        try:
            data = self._response.read1(size, decode_content=False)
        except (HTTPError, OSError) as error:
            raise Broken(f"{origins.of_url(self.url)}: connection lost: {_why(error)}") from error
        return bytes(data)

    def close(self) -> None:
        """Give the connection back: to be used again if little is left to read on it."""
        with contextlib.suppress(HTTPError, OSError):
            left = self._response.length_remaining
            if self._method == "HEAD" or (left is not None and left <= _DRAINED):
                self._response.read(_DRAINED, decode_content=False)
            else:
                self._response.close()
        self._response.release_conn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Connections:
    """Connections to any number of hosts, until `close`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._pools: dict[Origin, urllib3.HTTPConnectionPool] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._origins: dict[str, Origin] = {}
        self._reached: set[Origin] = set()
        self._lines = _Lines()
        self.cancelled = self._lines.cut

    def twin(self) -> "Connections":
        """Return the same without connections, for a forked process: it need not find out again who speaks what."""
        found = Connections(self._settings)
        found._contexts = {**self._contexts}
        found._origins = {**self._origins}
        found._reached = {*self._reached}
        return found

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def cancel(self) -> None:
        """Begin nothing more, and end what is being sent, waited for and read, in whatever thread."""
        self._lines.cut_all()

    def origin(self, place: Place) -> Origin:
        """Return where a registry answers, found out once; that it does not is told by what is sent there.

        Raises:
            CertificateInvalid: what is configured for TLS with it is unusable.
        """
        with self._lock:
            if place.host not in self._origins:
                self._origins[place.host] = self._find(place)
                self._pool(self._origins[place.host])  # whose certificates are read now, also for a twin
            return self._origins[place.host]

    def send(self, request: Request) -> Answer:
        """Send one request as it is, once, and return its answer.

        Raises:
            RegistryUnavailable: there is none; Unreachable where there never was.
            Cancelled: by `cancel`.
        """
        if self.cancelled.is_set():
            raise Cancelled("cancelled")
        origin = origins.of_url(request.url)
        try:
            response = self._pool(origin).urlopen(
                request.method,
                self._target(request.url, origin),
                body=request.body,  # type: ignore[arg-type] # any buffer will do
                headers={"User-Agent": f"lamina/{__version__}", **request.headers},
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError, UnicodeError) as error:
            if self.cancelled.is_set():
                raise Cancelled("cancelled") from error
            is_new = isinstance(error, _NOT_MADE) and origin not in self._reached
            kind = Unreachable if is_new else RegistryUnavailable
            raise kind(f"{origin} cannot be reached: {_why(error)}") from error
        self._reached.add(origin)
        return Answer(response, request.url, request.method)

    def _pool(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if origin not in self._pools:
                self._pools[origin] = self._new_pool(origin)
            return self._pools[origin]

    def _new_pool(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        timeout = urllib3.Timeout(connect=self._settings.connect_timeout, read=self._settings.read_timeout)
        options: dict[str, Any] = {"timeout": timeout, "maxsize": _CONNECTIONS}
        if origin.scheme == "https":
            host = str(origin).removeprefix("https://")
            if host not in self._contexts:
                self._contexts[host] = origins.context(host, self._settings)
            options["ssl_context"] = self._contexts[host]
        proxy = proxies.choose(self._settings.proxies, origin)
        manager = _through(proxy, options) if proxy else urllib3.PoolManager(**options)
        pool = manager.connection_from_host(origin.host, origin.port, origin.scheme)
        kind = HTTPConnection
        if origin.scheme == "https":
            kind = _Unverified if options["ssl_context"].verify_mode == ssl.CERT_NONE else HTTPSConnection
        pool.ConnectionCls = _noted(kind, self._lines.add)
        return pool

    def _target(self, url: str, origin: Origin) -> str:
        """Return what of a URL is told to who is asked: all of it to a proxy of HTTP (RFC 9112, section 3.2)."""
        if origin.scheme == "http" and proxies.choose(self._settings.proxies, origin):
            return url
        parts = urlsplit(url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _find(self, place: Place) -> Origin:
        """Ask a registry in each way that is allowed, if there is more than one, until it answers."""
        *first, last = (origins.of_url(f"{scheme}://{place.host}") for scheme in place.schemes)
        for origin in first:
            with contextlib.suppress(RegistryUnavailable), self.send(Request("GET", f"{origin}/v2/")) as answer:
                if answer.status != 400:  # what a server of TLS says to those who speak plainly
                    return origin
        return last


class _Lines:
    """The sockets of connections, to be cut all at once; `cut` tells whether they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.cut = threading.Event()

    def add(self, line: socket.socket) -> None:
        """Take a socket in; it is cut if the others were."""
        with self._lock:
            self._sockets.add(line)
            if self.cut.is_set():
                _cut(line)

    def cut_all(self) -> None:
        """Have whoever sends or waits on a socket fail."""
        with self._lock:
            self.cut.set()
            for line in list(self._sockets):
                _cut(line)


def _cut(line: socket.socket) -> None:
    """End a connection both ways. TLS is passed by: it would leave the socket open for a moment, to plain text."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)


def _noted(kind: type[HTTPConnection], note: Callable[[socket.socket], None]) -> type[HTTPConnection]:
    """Return a kind of connection whose sockets are noted as soon as they are connected."""

    def connect(self: HTTPConnection) -> None:
        kind.connect(self)
        note(getattr(self.sock, "socket", self.sock))  # what is below TLS in TLS, to a host behind a proxy

    return type(kind.__name__, (kind,), {"connect": connect})


class _Unverified(HTTPSConnection):
    """A connection to a host that was named insecure: nobody has to be warned of that each time."""

    def connect(self) -> None:
        super().connect()
        self.is_verified = True


def _through(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    """Return what makes connections through a proxy, whose URL may have a name and a password."""
    parts = urlsplit(proxy)
    who = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    said = urllib3.make_headers(proxy_basic_auth=who) if who else None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return urllib3.ProxyManager(bare, proxy_headers=said, **options)


def _why(error: BaseException) -> str:
    """Return the innermost reason of a failed connection, in a line."""
    reason = getattr(error, "reason", None)
    inner = error.__cause__ or (reason if isinstance(reason, BaseException) else None)
    while inner is not None and inner is not error:
        error, inner = inner, inner.__cause__
    strerror = getattr(error, "strerror", None)
    return answers.printable(str(strerror or error))[:300] or type(error).__name__
