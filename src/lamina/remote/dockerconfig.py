"""What a person has stored about registries, in Docker's `config.json`.

    {
      "auths":       {"<registry>": {"auth": base64(username:password), "identitytoken": "..."}},
      "credsStore":  "<program>",
      "credHelpers": {"<registry>": "<program>"}
    }

A registry's own helper comes first, then the store of all, then the file. Whatever else the file has stays in it.

podman's `auth.json` (containers-auth.json(5)) has the same form, but its keys are no URLs: one with a path is about a
part of a registry, and is passed over.
"""

import base64
import os
from collections.abc import Mapping
from typing import Any

import msgspec

from ..files import replace
from ..oci import codec
from ..oci.reference import DEFAULT_DOMAIN
from .credentials import HUB, Credential, Keychain, key
from .programs import Program

_HUBS = frozenset({DEFAULT_DOMAIN, "index.docker.io", "registry-1.docker.io"})


class _Auth(msgspec.Struct, omit_defaults=True):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _Config(msgspec.Struct, rename="camel"):
    auths: dict[str, _Auth] | None = None
    creds_store: str = ""
    cred_helpers: dict[str, str] | None = None


class DockerConfig(Keychain):
    """Credentials of a file.

    Args:
        path: of the file, which need not be there.
        environment: that helpers run in.
        podman: the file is podman's.
    """

    def __init__(self, path: str, environment: Mapping[str, str], *, podman: bool = False) -> None:
        self.path = path
        self._environment = environment
        self._podman = podman

    def find(self, host: str) -> Credential | None:
        config = codec.decode(self._raw(), _Config, self.path)
        program = self._program(config, host)
        if program is not None and (found := program.get(host if self._podman else key(host))) is not None:
            return found
        return self._filed(config, host)

    def keeps_plain(self, host: str) -> bool:
        """Tell whether a secret that is stored for a registry lies in the file, for all to read who can read it."""
        return self._program(codec.decode(self._raw(), _Config, self.path), host) is None

    def store(self, host: str, credential: Credential) -> None:
        """Keep what a registry knows us by, where the file says that it is to be kept.

        Raises:
            ProgramFailed: a helper does not take it.
            InvalidDocument: the file is malformed; it stays as it is.
        """
        config = codec.decode(self._raw(), _Config, self.path)
        program = self._program(config, host)
        entry: dict[str, str] = {}
        if program is not None:
            program.store(key(host), credential)
        else:
            pair = f"{credential.username}:{'' if credential.identity_token else credential.password}"
            entry["auth"] = base64.b64encode(pair.encode()).decode()
            if credential.identity_token:
                entry["identitytoken"] = credential.identity_token
        self._write({name for name in config.auths or {} if _host(name) == _host(host)}, {key(host): entry})

    def erase(self, host: str) -> bool:
        """Forget a registry; tell whether it was known."""
        config = codec.decode(self._raw(), _Config, self.path)
        program = self._program(config, host)
        was_kept = program is not None and program.get(key(host)) is not None
        if program is not None and was_kept:
            program.erase(key(host))
        names = {name for name in config.auths or {} if _host(name) == _host(host)}
        if names:
            self._write(names, {})
        return was_kept or bool(names)

    def _program(self, config: _Config, host: str) -> Program | None:
        helpers = {_host(name): program for name, program in (config.cred_helpers or {}).items()}
        name = helpers.get(_host(host)) or config.creds_store
        return Program(name, self._environment) if name else None

    def _filed(self, config: _Config, host: str) -> Credential | None:
        auths = config.auths or {}
        exact = auths.get(key(host))
        names = [name for name in auths if _host(name) == _host(host) and not (self._podman and "/" in name)]
        found = exact or (auths[names[0]] if names else None)
        if found is None:
            return None
        name, password = self._pair(found, host)
        credential = Credential(name, password, found.identitytoken, found.registrytoken)
        return credential if any((name, found.identitytoken, found.registrytoken)) else None

    def _pair(self, found: _Auth, host: str) -> tuple[str, str]:
        if not found.auth:
            return found.username, found.password
        try:
            name, colon, password = base64.b64decode(found.auth, validate=True).decode().partition(":")
        except ValueError as error:
            raise codec.InvalidDocument(f"{self.path} is invalid: auth of {_shown(host)} cannot be read") from error
        if not colon:
            raise codec.InvalidDocument(f"{self.path} is invalid: auth of {_shown(host)} has no colon")
        return name, password.strip("\0")

    def _raw(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return file.read(codec.LIMIT + 1) or b"{}"
        except (FileNotFoundError, NotADirectoryError):
            return b"{}"

    def _write(self, gone: set[str], new: dict[str, dict[str, str]]) -> None:
        document: dict[str, Any] = codec.decode(self._raw(), dict[str, Any], self.path)
        kept = {name: value for name, value in (document.get("auths") or {}).items() if name not in gone}
        document["auths"] = {**kept, **new}
        path = os.path.realpath(self.path)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        replace(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n", 0o600)


def _host(name: str) -> str:
    """Return the registry that a key of the file is about: keys may be URLs."""
    if name == HUB:
        return DEFAULT_DOMAIN
    host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return DEFAULT_DOMAIN if host in _HUBS else host


def _shown(host: str) -> str:
    return host if host.isprintable() else repr(host)
