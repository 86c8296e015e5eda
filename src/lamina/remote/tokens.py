"""Who we are to a registry: what goes into Authorization (distribution's token specification; RFC 6749).

Nothing is said before it is asked for. A registry answers 401 and how: `Basic` gets name and password, `Bearer` a token
that the realm it names gives for a scope. A token is used until its time is over, and given up when it is refused.
"""

import base64
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from ..errors import InvalidArgument
from .answers import InvalidAnswer, Unauthorized
from .credentials import Credential
from .headers import Challenge, challenges
from .origins import Origin, of_url
from .request import Scopes

_CLIENT = "lamina"
_SHORTEST = 60.0
"""Seconds that a token lasts at least, also one that says nothing of it (the specification's)."""

_EARLY = 5.0
"""Seconds before its end from which a token is not used any more."""

_LONGEST = 86400.0


class Wanted(NamedTuple):
    """A request to a realm: with a form it is a POST; `basic` is what goes into Authorization."""

    url: str
    basic: str = ""
    form: str = ""


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = 0
    refresh_token: str = ""


class _Held(NamedTuple):
    text: str
    until: float


Fetch = Callable[[Wanted], bytes]
"""Asks a realm, and returns what it answered."""


class Authorizer:
    """What one registry is told of us. Threads may share it: one of them gets a token, the others wait for that.

    Args:
        origin: the registry.
        credential: gives who we are, if that is known.
        fetch: asks a realm.
        offline: whether to ask for a token that lasts, as a login does; it is in `refresh_token` then.
    """

    def __init__(
        self, origin: Origin, credential: Callable[[], Credential | None], fetch: Fetch, *, offline: bool = False
    ) -> None:
        self.origin = origin
        self._credential = credential
        self._fetch = fetch
        self._offline = offline
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[Scopes, _Held] = {}
        self.refresh_token = ""

    def header(self, scopes: Scopes) -> str:
        """Return what a request should say by what is known by now; empty is nothing."""
        with self._lock:
            if self._challenge is None:
                return ""
            return self._header(scopes, scopes)

    def answer(self, challenge: str, scopes: Scopes, refused: str) -> str:
        """Return what to say after a 401, or nothing where there is nothing better to say.

        Args:
            challenge: the WWW-Authenticate header.
            scopes: what the request is about.
            refused: what the request said, and was refused for.

        Raises:
            Unauthorized: the realm does not give us a token.
            InvalidAnswer: the challenge, or what the realm gave, makes no sense.
        """
        with self._lock:
            found = {one.scheme: one for one in challenges(challenge)}
            chosen = found.get("bearer") or found.get("basic")
            if chosen is None:
                raise InvalidAnswer(f"{self.origin} answered 401 without a challenge that we know (basic, bearer)")
            self._challenge = chosen
            held = self._tokens.get(scopes)
            if held is not None and refused == f"Bearer {held.text}":
                del self._tokens[scopes]
            text = self._header(scopes, scopes | set(chosen.parameters.get("scope", "").split()))
            return "" if text == refused else text

    def _header(self, scopes: Scopes, asked: Scopes) -> str:
        assert self._challenge is not None
        credential = self._credential()
        if self._challenge.scheme == "basic":
            return _basic(credential) if credential is not None and credential.password else ""
        if credential is not None and credential.registry_token:
            return f"Bearer {_checked(credential.registry_token, self.origin)}"
        held = self._tokens.get(scopes)
        if held is None or held.until < time.monotonic():
            held = self._tokens[scopes] = self._new(self._challenge, asked, credential)
        return f"Bearer {held.text}"

    def _new(self, challenge: Challenge, scopes: Scopes, credential: Credential | None) -> _Held:
        now = time.monotonic()
        realm = challenge.parameters.get("realm", "")
        self._require_safe(realm)
        service = challenge.parameters.get("service", "")
        raw = self._fetch(_wanted(realm, service, scopes, credential, offline=self._offline))
        try:
            found = msgspec.json.decode(raw, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidAnswer(f"{realm} gave no token: {error}") from error
        text = found.token or found.access_token
        if not text:
            raise Unauthorized(f"{realm} gave no token for {' '.join(sorted(scopes)) or self.origin}")
        self.refresh_token = found.refresh_token if self._offline else ""
        lasts = min(max(found.expires_in, _SHORTEST), _LONGEST)
        return _Held(_checked(text, realm), now + lasts - _EARLY)

    def _require_safe(self, realm: str) -> None:
        try:
            scheme = of_url(realm).scheme
        except InvalidArgument as error:
            raise InvalidAnswer(f"{self.origin} names a realm that is no URL: {realm[:200]!r}") from error
        if self.origin.scheme == "https" and scheme != "https":
            raise InvalidAnswer(f"{self.origin} wants credentials sent in the clear, to {realm}; they were not sent")


def _wanted(realm: str, service: str, scopes: Scopes, credential: Credential | None, *, offline: bool) -> Wanted:
    asked = sorted(scopes)
    if credential is not None and credential.identity_token:
        form = {"grant_type": "refresh_token", "service": service, "client_id": _CLIENT, "scope": " ".join(asked)}
        return Wanted(realm, form=urlencode({**form, "refresh_token": credential.identity_token}))
    query = [("service", service)] * bool(service) + [("scope", scope) for scope in asked]
    basic = ""
    if credential is not None and credential.username:
        query.append(("account", credential.username))
        basic = _basic(credential)
    if offline:
        query += [("offline_token", "true"), ("client_id", _CLIENT)]
    if not query:
        return Wanted(realm, basic)
    return Wanted(realm + ("&" if "?" in realm else "?") + urlencode(query), basic)


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _checked(token: str, where: object) -> str:
    """Return a token that may stand in a header."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidAnswer(f"{where} gave a token that cannot be sent")
    return token
