"""A registry as a process: its storage and its parts made from settings, and run until it is told to stop."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from ..errors import InvalidArgument
from . import paths, server
from .accesslog import AccessLog
from .contract import Storage
from .filesystem import Filesystem
from .memory import Memory
from .service import Access, Handler, Listener, Service
from .settings import Settings, TokenAccess

Ready = Callable[[str], None]
Write = Callable[[bytes], None]


def run(settings: Settings, ready: Ready, write: Write) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: what the registry is told.
        ready: is called with the address when clients may come.
        write: takes lines of the access log.

    Raises:
        InvalidArgument: a setting cannot be used.
        Unavailable: the address cannot be had.
    """
    listening = server.listen(settings.address)
    try:
        asyncio.run(_serve(settings, listening, ready, write))
    finally:
        listening.close()
        if settings.address.startswith("unix://"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(settings.address.removeprefix("unix://"))


async def _serve(settings: Settings, listening: socket.socket, ready: Ready, write: Write) -> None:
    access, tokens = _access(settings)
    listeners: list[Listener] = [AccessLog(write)] if settings.access_log else []
    service = Service(_storage(settings), settings, _secret(settings), access, tokens, listeners)
    async with server.serving(service, listening):
        ready(server.address(listening))
        await server.until_stopped()
    for listener in listeners:
        listener.close()


def _access(settings: Settings) -> tuple[Access | None, Handler | None]:
    """Return who may do what, and what gives tokens. Modules are imported as they are needed: these are large."""
    if not (settings.htpasswd or settings.token or settings.issuer):
        return None, None
    from . import passwords  # noqa: PLC0415

    users = passwords.Passwords(settings.htpasswd) if settings.htpasswd else None
    if settings.issuer is None and settings.token is None:
        assert users is not None
        return passwords.Basic(users, settings.realm), None
    from . import bearer, issuing  # noqa: PLC0415

    if settings.issuer is None:
        assert settings.token is not None
        return bearer.Bearer(settings.token, bearer.keys(settings.token)), None
    key = bearer.own_key(os.path.join(_own(settings), "token.key"))
    told = settings.token or TokenAccess(issuing.PATH, issuing.NAME, issuing.NAME)
    tokens = issuing.Tokens(settings.issuer, users, key)
    return bearer.Bearer(told, {issuing.NAME: key.public_key()}), tokens.answer


def _own(settings: Settings) -> str:
    """Return the folder for what only lamina keeps.

    Raises:
        InvalidArgument: it cannot be made.
    """
    folder = os.path.join(settings.storage, paths.OWN)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InvalidArgument(f"cannot keep anything in {settings.storage}: {error.strerror}") from error
    return folder


def _storage(settings: Settings) -> Storage:
    if settings.storage == ":memory:":
        return Memory()
    _own(settings)
    return Filesystem(settings.storage)


def _secret(settings: Settings) -> bytes:
    """Return what tokens are signed with: what was configured, or what the storage's servers agree on."""
    if settings.secret or settings.storage == ":memory:":
        return settings.secret.encode() or os.urandom(32)
    path = os.path.join(_own(settings), "secret")
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32).hex().encode())
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)  # the first one counts
    os.unlink(temporary)
    with open(path, "rb") as file:
        return file.read()
