"""Users and passwords: Apache's htpasswd with bcrypt, and HTTP's Basic authentication (RFC 7617)."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict

import bcrypt

from ..errors import InvalidArgument
from .calls import Call
from .codes import Unauthorized

_DUMMY = b"$2b$10$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"
_KNOWN = 1024
_MOST = 72  # bytes of a password that bcrypt looks at; it refuses more


class Passwords:
    """The users of a file; it is read again when it changes. Passwords that were right are not computed again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._changed = -1
        self._users: dict[str, bytes] = {}
        self._key = os.urandom(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._load()

    async def verify(self, user: str, password: str) -> bool:
        """Tell whether a password is a user's."""
        self._load()
        known = hmac.digest(self._key, f"{user}\0{password}".encode(), hashlib.sha256)
        if known in self._right:
            self._right.move_to_end(known)
            return True
        stored = self._users.get(user)
        secret = password.encode()[:_MOST]
        right = await asyncio.to_thread(bcrypt.checkpw, secret, stored or _DUMMY)
        if not right or stored is None:
            return False
        self._right[known] = None
        if len(self._right) > _KNOWN:
            self._right.popitem(last=False)
        return True

    def _load(self) -> None:
        try:
            changed = os.stat(self._path).st_mtime_ns
            if changed == self._changed:
                return
            with open(self._path, encoding="utf-8") as file:
                self._users = _parse(file.read(), self._path)
        except (OSError, UnicodeDecodeError) as error:
            if self._changed >= 0:
                return  # what was read before counts until there is a new file
            raise InvalidArgument(f"cannot read the users in {self._path}: {error}") from error
        self._changed = changed
        self._right.clear()


def _parse(text: str, path: str) -> dict[str, bytes]:
    users: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        user, colon, stored = entry.partition(":")
        if not colon or not stored.startswith(("$2a$", "$2b$", "$2y$")) or len(stored) != 60:
            raise InvalidArgument(f"{path}, line {number}: expected user:hash with bcrypt, as of htpasswd -B")
        users[user] = stored.encode()
    return users


def basic(call: Call) -> tuple[str, str] | None:
    """Return the user and the password that come with a request, if they do."""
    scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon and "\0" not in user + password else None


class Basic:
    """Access for all users of a file to everything."""

    def __init__(self, passwords: Passwords, realm: str) -> None:
        self._passwords = passwords
        self._challenge = {"WWW-Authenticate": f'Basic realm="{realm}"'}

    async def check(self, call: Call, kind: str, name: str, actions: list[str]) -> str:
        found = basic(call)
        if found is None or not await self._passwords.verify(*found):
            raise Unauthorized("authentication is required", headers=self._challenge)
        return found[0]
