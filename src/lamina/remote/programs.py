"""Programs that keep secrets for Docker: `docker-credential-<name>` (github.com/docker/docker-credential-helpers).

    get    stdin: the registry                        stdout: {"ServerURL", "Username", "Secret"}
    store  stdin: {"ServerURL","Username","Secret"}
    erase  stdin: the registry
    list                                              stdout: {"<registry>": "<username>"}

A username of `<token>` says that the secret is an identity token.
"""

import re
import shutil
from collections.abc import Mapping

import msgspec

from ..errors import FailedPrecondition, InvalidArgument
from .answers import printable
from .credentials import Credential

_PATIENCE = 60.0  # seconds: it may ask the person something
_TOKEN = "<token>"  # noqa: S105 - the protocol's word
_ABSENT = "credentials not found in native keychain"
"""What a program says, in English, of a registry that it does not know: the protocol has no other sign."""


class ProgramFailed(FailedPrecondition):
    """A credential helper is missing, or did not do what it was asked for."""


class _Secret(msgspec.Struct, rename={"server": "ServerURL", "username": "Username", "secret": "Secret"}):
    server: str = ""
    username: str = ""
    secret: str = ""


class Program:
    """One of these programs, found and run with the variables of `environment`."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise InvalidArgument(f"{name[:100]!r} is no name of a credential helper")
        self.name = f"docker-credential-{name}"
        self._environment = dict(environment)

    def get(self, key: str) -> Credential | None:
        """Return what is kept for a registry, or None.

        Raises:
            ProgramFailed: the program cannot be run, or fails.
        """
        status, out = self._run("get", key)
        if status:
            if out.decode("utf-8", "replace").strip() == _ABSENT:
                return None
            raise self._failed("get", out)
        try:
            found = msgspec.json.decode(out, type=_Secret)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProgramFailed(f"{self.name} get: its answer is not of the protocol") from error
        if found.username == _TOKEN:
            return Credential(identity_token=found.secret)
        return Credential(found.username, found.secret)

    def store(self, key: str, credential: Credential) -> None:
        """Keep what a registry knows us by."""
        token = credential.identity_token
        secret = _Secret(key, _TOKEN if token else credential.username, token or credential.password)
        self._require("store", msgspec.json.encode(secret).decode())

    def erase(self, key: str) -> None:
        """Forget it."""
        self._require("erase", key)

    def _require(self, verb: str, said: str) -> None:
        status, out = self._run(verb, said)
        if status:
            raise self._failed(verb, out)

    def _failed(self, verb: str, out: bytes) -> ProgramFailed:
        said = printable(out.decode("utf-8", "replace"))[:300]
        return ProgramFailed(f"{self.name} {verb} failed{': ' if said else ''}{said}")

    def _run(self, verb: str, said: str) -> tuple[int, bytes]:
        import subprocess  # noqa: PLC0415 - few have such programs

        path = shutil.which(self.name, path=self._environment.get("PATH", ""))
        if path is None:
            raise ProgramFailed(f"{self.name} is named in Docker's config.json, and is not in PATH: install it")
        try:
            done = subprocess.run(
                [path, verb],
                input=said.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramFailed(f"{self.name} cannot be run: {type(error).__name__}") from error
        return done.returncode, done.stdout
