"""Requests to registries: who we are, redirects, and patience.

One client serves all repositories of a process, from any number of threads. What may go better next time is tried
again, with growing waits or after what Retry-After asks for; a redirect is followed without telling the new host who
we are.
"""

import threading
import time
from collections.abc import Callable
from typing import Self
from urllib.parse import urljoin

from ..errors import Cancelled, InvalidArgument
from . import answers, headers, origins
from .answers import InvalidAnswer, RegistryUnavailable, Unreachable
from .connections import Answer, Connections
from .credentials import Credential, Keychain, Nobody
from .origins import Origin, Place
from .request import Request
from .settings import Settings
from .tokens import Authorizer, Wanted

_MOST_REDIRECTS = 10
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN = 1 << 20
_FIRST_WAIT = 0.25
_MOST_WARNINGS, _LONGEST_WARNING = 20, 500


class Client:
    """Connections to registries, until `close`; `cancel` ends all waiting, from any thread.

    Args:
        settings: how to meet them.
        keychain: who we are to them.
        warn: hears what registries warn of, each text once; from any thread that asks.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        keychain: Keychain | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings or Settings()
        self.warn = warn
        self._warned: set[str] = set()
        self._keychain = keychain or Nobody()
        self._connections = Connections(self.settings)
        self._lock = threading.Lock()
        self._authorizers: dict[Origin, Authorizer] = {}
        self._credentials: dict[str, Credential | None] = {}
        self._down: set[str] = set()

    def twin(self) -> "Client":
        """Return a client for a forked process: it knows what this one does, but for tokens, and has no connections."""
        found = Client(self.settings, self._keychain, self.warn)
        found._connections = self._connections.twin()
        found._credentials, found._down, found._warned = {**self._credentials}, {*self._down}, {*self._warned}
        return found

    def close(self) -> None:
        """End all connections."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def cancel(self) -> None:
        """End all waiting and reading, and begin nothing more: it is answered by `Cancelled`."""
        self._connections.cancel()

    def origin(self, place: Place) -> Origin:
        """Return where a registry answers; see `Connections.origin`."""
        return self._connections.origin(place)

    def authorizer(self, origin: Origin, domain: str, *, offline: bool = False) -> Authorizer:
        """Return who says who we are to a registry; `domain` is what credentials are known under."""
        with self._lock:
            if origin not in self._authorizers:
                made = Authorizer(origin, lambda: self.credential(domain), self._token, offline=offline)
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
            except RegistryUnavailable as error:
                if attempt == tries or isinstance(error, Unreachable):
                    raise
                self.wait(attempt)
                continue
            self._heed(answer, authorizer.origin)
            if answer.status not in _AGAIN or attempt == tries:
                return answer
            asked = headers.seconds(answer.headers.get("Retry-After", ""), time.time())
            if asked is not None and asked > self.settings.patience:
                return answer
            answer.close()
            self.wait(attempt, asked)
        raise AssertionError("unreachable")

    def wait(self, attempt: int, asked: float | None = None) -> None:
        """Wait before the next try: what is asked for, or longer each time, and not all clients in step."""
        from random import uniform  # noqa: PLC0415 - few have to wait

        longest = min(self.settings.patience, _FIRST_WAIT * 2 ** min(attempt, 16))
        seconds = asked if asked is not None else longest * uniform(0.5, 1)  # noqa: S311 - no secret
        if self._connections.cancelled.wait(seconds):
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

    def _heed(self, answer: Answer, ours: Origin) -> None:
        """Pass on what a registry itself warns of: nothing else comes of it."""
        said = answer.headers.get("Warning", "")
        if not said or origins.of_url(answer.url) != ours:
            return
        for text in map(answers.printable, headers.warnings(said)):
            with self._lock:
                is_new = text not in self._warned and len(self._warned) < _MOST_WARNINGS
                self._warned.update({text} if is_new else ())
            if is_new and text:
                self.warn(f"{ours} warns: {text[:_LONGEST_WARNING]}")

    def _followed(self, request: Request, ours: Origin, said: str) -> Answer:
        """Send a request, and go where it is sent on; who we are is told to nobody else."""
        method, url, body = request.method, request.url, request.body
        for _ in range(_MOST_REDIRECTS + 1):
            with_us = {"Authorization": said} if said and origins.of_url(url) == ours else {}
            answer = self._connections.send(Request(method, url, headers={**request.headers, **with_us}, body=body))
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

    def credential(self, domain: str) -> Credential | None:
        """Return who we are to a registry.

        Raises:
            LaminaError: what is kept of that cannot be read.
        """
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
                with self._connections.send(request) as answer:
                    if answer.status == 200:
                        return answers.read_some(answer.within(self.settings.document_timeout), _TOKEN)
                    if answer.status not in _AGAIN or last:
                        raise answers.error(answer, f"{where} gives no token")
            except RegistryUnavailable as error:
                if last or isinstance(error, Unreachable):
                    raise
            self.wait(attempt)
        raise AssertionError("unreachable")


def printed(url: str) -> str:
    """Return a URL as it may be shown: what follows the ? may be a secret."""
    return url.partition("?")[0][:200]
