"""Our own tokens: who asks, what they may do, and the token that says so (distribution, Token Authentication)."""

import fnmatch
import time
import uuid
from collections.abc import Iterable, Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519

from ..oci import times
from . import answers
from .answers import Answer
from .calls import Call
from .codes import Unauthorized
from .passwords import Passwords, basic
from .settings import Issuer

NAME = "lamina"
PATH = "/auth/token"
_ACTIONS = ("pull", "push", "delete", "*")


class Tokens:
    """The endpoint that gives tokens to the users of a password file."""

    def __init__(self, settings: Issuer, passwords: Passwords | None, key: ed25519.Ed25519PrivateKey) -> None:
        self._settings = settings
        self._passwords = passwords
        self._key = key

    async def answer(self, call: Call) -> Answer:
        """Give a token for as much of what is asked for as the user may do; nothing is refused but a wrong password."""
        user = await self._user(call)
        asked = [scope for text in call.request.query.getall("scope", []) for scope in text.split(" ") if scope]
        now = int(time.time())
        token = jwt.encode(
            {
                "iss": NAME,
                "sub": user,
                "aud": call.query("service") or NAME,
                "iat": now,
                "nbf": now,
                "exp": now + self._settings.seconds,
                "jti": uuid.uuid4().hex,
                "access": list(self._granted(user, asked)),
            },
            self._key,
            "EdDSA",
            headers={"kid": NAME},
        )
        issued = times.rfc3339(now * 10**9)
        row = {"token": token, "access_token": token, "expires_in": self._settings.seconds, "issued_at": issued}
        return answers.document(row, {"Cache-Control": "no-store"})

    async def _user(self, call: Call) -> str:
        if "Authorization" not in call.request.headers:
            return ""
        found = basic(call)
        if found is None or self._passwords is None or not await self._passwords.verify(*found):
            raise Unauthorized(
                "the user or the password is wrong", headers={"WWW-Authenticate": f'Basic realm="{NAME}"'}
            )
        return found[0]

    def _granted(self, user: str, scopes: Iterable[str]) -> Iterable[Mapping[str, object]]:
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = self._allowed(user, "catalog" if kind == "registry" else name)
            given = [each for each in actions.split(",") if each in _ACTIONS and (each in allowed or "*" in allowed)]
            if given:
                yield {"type": kind, "name": name, "actions": given}

    def _allowed(self, user: str, name: str) -> set[str]:
        """Return the actions that a user, everybody, or nobody in particular has in a repository."""
        found: set[str] = set()
        for who in ("*", user) if user else ("",):
            for pattern, actions in self._settings.rights.get(who, {}).items():
                if fnmatch.fnmatchcase(name, pattern):
                    found.update(actions)
        return found
