"""Requests to registries: connections that are kept, redirects, who we are, and patience.

One client serves all repositories of a process, from any number of threads. What may go better next time is tried
again, with growing waits or after what Retry-After asks for; a redirect is followed without telling the new host who
we are.
"""

import contextlib
import random
import ssl
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError

from .. import __version__
from ..errors import Cancelled, InvalidArgument
from . import answers, headers, origins
from .answers import InvalidAnswer, RegistryUnavailable
from .credentials import Credential, Keychain, Nobody
from .origins import Origin, Place
from .settings import Settings
from .tokens import Authorizer, Scopes, Wanted

_MOST_REDIRECTS = 10
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DRAINED = 64 << 10
"""Bytes of an unread body that are read to keep the connection."""

_TOKEN = 1 << 20
_FIRST_WAIT = 0.25
_CONNECTIONS = 32


class Broken(RegistryUnavailable):
    """A connection ended in the middle of something."""


class Request(NamedTuple):
    """What is asked of a registry. `scopes` are what a token must be good for; bodies can be sent again."""

    method: str
    url: str
    scopes: Scopes = frozenset()
    headers: Mapping[str, str] = {}
    body: bytes | None = None


class Answer:
    """What came back: a body to read, once. Close it, or use it as a context."""

    def __init__(self, response: Any, url: str, method: str) -> None:
        self._response = response
        self._method = method
        self.url = url
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    def read(self, size: int = -1, /) -> bytes:
        """Return a piece of the body, as it was sent.

        Raises:
            Broken: the connection ended before the body did.
        """
        try:
            data = self._response.read(None if size < 0 else size, decode_content=False)
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


class _Unverified(HTTPSConnection):
    """A connection to a host that was named insecure: nobody has to be warned of that each time."""

    def connect(self) -> None:
        super().connect()
        self.is_verified = True


class Client:
    """Connections to registries, until `close`; `cancel` ends all waiting, from any thread.

    Args:
        settings: how to meet them.
        keychain: who we are to them.
    """

    def __init__(self, settings: Settings | None = None, keychain: Keychain | None = None) -> None:
        self.settings = settings or Settings()
        self._keychain = keychain or Nobody()
        self._lock = threading.RLock()
        self._pools: dict[Origin, urllib3.HTTPConnectionPool] = {}
        self._schemes: dict[str, Origin] = {}
        self._authorizers: dict[Origin, Authorizer] = {}
        self._credentials: dict[str, Credential | None] = {}
        self._down: set[str] = set()
        self._cancelled = threading.Event()

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def cancel(self) -> None:
        """End all waiting, and begin nothing more: it is answered by `Cancelled`."""
        self._cancelled.set()

    def origin(self, place: Place) -> Origin:
        """Return where a registry answers, found out once.

        Raises:
            RegistryUnavailable: it cannot be reached.
        """
        with self._lock:
            if place.host not in self._schemes:
                self._schemes[place.host] = self._find(place)
            return self._schemes[place.host]

    def authorizer(self, origin: Origin, domain: str, *, offline: bool = False) -> Authorizer:
        """Return who says who we are to a registry; `domain` is what credentials are known under."""
        with self._lock:
            if origin not in self._authorizers:
                made = Authorizer(origin, lambda: self._credential(domain), self._token, offline=offline)
                self._authorizers[origin] = made
            return self._authorizers[origin]

    def open(self, request: Request, authorizer: Authorizer, *, tries: int = 0) -> Answer:
        """Send a request, and return its answer whatever that is, but not before what is tried again was.

        Args:
            request: what to ask.
            authorizer: of the registry that it goes to.
            tries: how often at most; the settings' number if 0.

        Raises:
            RegistryUnavailable: no answer could be had.
            Cancelled: by `cancel`.
        """
        tries = tries or self.settings.attempts
        for attempt in range(1, tries + 1):
            try:
                answer = self._authorized(request, authorizer)
            except RegistryUnavailable:
                if attempt == tries:
                    raise
                self.wait(attempt)
                continue
            if answer.status not in _AGAIN or attempt == tries:
                return answer
            asked = headers.seconds(answer.headers.get("Retry-After", ""))
            if asked is not None and asked > self.settings.patience:
                return answer
            answer.close()
            self.wait(attempt, asked)
        raise AssertionError("unreachable")

    def wait(self, attempt: int, asked: float | None = None) -> None:
        """Wait before the next try: what is asked for, or longer each time, and not all clients in step."""
        longest = min(self.settings.patience, _FIRST_WAIT * 2 ** min(attempt, 16))
        seconds = asked if asked is not None else longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
        if self._cancelled.wait(seconds):
            raise Cancelled("cancelled")

    def is_down(self, place: Place) -> bool:
        """Tell whether a mirror is passed over."""
        return place.host in self._down

    def pass_over(self, place: Place) -> None:
        """Do not ask a mirror again."""
        self._down.add(place.host)

    def _authorized(self, request: Request, authorizer: Authorizer) -> Answer:
        said = authorizer.header(request.scopes)
        answer = self._followed(request, authorizer.origin, said)
        if answer.status != 401 or origins.of_url(answer.url) != authorizer.origin:
            return answer
        challenge = answer.headers.get("WWW-Authenticate", "")
        try:
            better = authorizer.answer(challenge, request.scopes, said) if challenge else ""
        except BaseException:
            answer.close()
            raise
        if not better:
            return answer
        answer.close()
        return self._followed(request, authorizer.origin, better)

    def _followed(self, request: Request, ours: Origin, said: str) -> Answer:
        """Send a request, and go where it is sent on; who we are is told to nobody else."""
        method, url, body = request.method, request.url, request.body
        for _ in range(_MOST_REDIRECTS + 1):
            with_us = {"Authorization": said} if said and origins.of_url(url) == ours else {}
            answer = self._send(Request(method, url, headers={**request.headers, **with_us}, body=body))
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return answer
            with answer:
                url = self.elsewhere(answer, answer.headers["Location"])
            if answer.status == 303 and method != "HEAD":
                method, body = "GET", None
        raise InvalidAnswer(f"{ours} sends us on more than {_MOST_REDIRECTS} times, at last to {printed(url)}")

    def elsewhere(self, answer: Answer, location: str) -> str:
        """Return the URL that an answer points to.

        Raises:
            InvalidAnswer: it is none, or leads from HTTPS to plain HTTP.
        """
        here = origins.of_url(answer.url)
        try:
            url = urljoin(answer.url, location)
            there = origins.of_url(url)
        except (InvalidArgument, ValueError) as error:
            raise InvalidAnswer(f"{here} sends us to what is no URL: {location[:200]!r}") from error
        if here.scheme == "https" and there.scheme != "https":
            raise InvalidAnswer(f"{here} sends us from HTTPS to plain HTTP: {printed(url)}")
        return url

    def _send(self, request: Request) -> Answer:
        """Send one request, without Authorization of its own, and return its answer.

        Raises:
            RegistryUnavailable: there is none.
        """
        if self._cancelled.is_set():
            raise Cancelled("cancelled")
        origin = origins.of_url(request.url)
        try:
            response = self._pool(origin).urlopen(
                request.method,
                _target(request.url),
                body=request.body,
                headers={"User-Agent": f"lamina/{__version__}", **request.headers},
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError, UnicodeError) as error:
            raise RegistryUnavailable(f"{origin} cannot be reached: {_why(error)}") from error
        return Answer(response, request.url, request.method)

    def _pool(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if origin not in self._pools:
                self._pools[origin] = self._new_pool(origin)
            return self._pools[origin]

    def _new_pool(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        timeout = urllib3.Timeout(connect=self.settings.connect_timeout, read=self.settings.read_timeout)
        if origin.scheme == "http":
            return urllib3.HTTPConnectionPool(origin.host, origin.port, timeout=timeout, maxsize=_CONNECTIONS)
        host = str(origin).removeprefix("https://")
        context = origins.context(host, self.settings)
        pool = urllib3.HTTPSConnectionPool(
            origin.host, origin.port, timeout=timeout, maxsize=_CONNECTIONS, ssl_context=context
        )
        if context.verify_mode == ssl.CERT_NONE:
            pool.ConnectionCls = _Unverified
        return pool

    def _find(self, place: Place) -> Origin:
        """Ask a registry in each way that is allowed, if there is more than one, until it answers."""
        *first, last = (origins.of_url(f"{scheme}://{place.host}") for scheme in place.schemes)
        for origin in first:
            with contextlib.suppress(RegistryUnavailable), self._send(Request("GET", f"{origin}/v2/")) as answer:
                if answer.status != 400:  # what a server of TLS says to those who speak plainly
                    return origin
        return last

    def _credential(self, domain: str) -> Credential | None:
        with self._lock:
            if domain not in self._credentials:
                self._credentials[domain] = self._keychain.find(domain)
            return self._credentials[domain]

    def _token(self, wanted: Wanted) -> bytes:
        """Ask a realm for a token."""
        said = {"Authorization": wanted.basic} if wanted.basic else {}
        request = Request("GET", wanted.url, headers=said)
        if wanted.form:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            request = Request("POST", wanted.url, headers=form, body=wanted.form.encode())
        where = wanted.url.partition("?")[0]
        for attempt in range(1, self.settings.attempts + 1):
            last = attempt == self.settings.attempts
            try:
                with self._send(request) as answer:
                    if answer.status == 200:
                        return answers.read_some(answer, _TOKEN)
                    if answer.status not in _AGAIN or last:
                        raise answers.error(answer, f"{where} gives no token")
            except RegistryUnavailable:
                if last:
                    raise
            self.wait(attempt)
        raise AssertionError("unreachable")


def _target(url: str) -> str:
    """Return what of a URL its host is told (RFC 9112, section 3.2.1)."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def printed(url: str) -> str:
    """Return a URL as it may be shown: what follows the ? may be a secret."""
    return url.partition("?")[0][:200]


def _why(error: BaseException) -> str:
    """Return the innermost reason of a failed connection, in a line."""
    reason = getattr(error, "reason", None)
    inner = error.__cause__ or (reason if isinstance(reason, BaseException) else None)
    while inner is not None and inner is not error:
        error, inner = inner, inner.__cause__
    strerror = getattr(error, "strerror", None)
    return answers.printable(str(strerror or error))[:300] or type(error).__name__
