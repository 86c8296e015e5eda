"""A registry as a process: its storage and its parts made from settings, and run until it is told to stop."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from ..errors import InvalidArgument
from . import paths, server
from .contract import Storage
from .filesystem import Filesystem
from .memory import Memory
from .service import Service
from .settings import Settings

Ready = Callable[[str], None]


def run(settings: Settings, ready: Ready) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the address when clients may come.

    Raises:
        InvalidArgument: a setting cannot be used.
        Unavailable: the address cannot be had.
    """
    listening = server.listen(settings.address)
    try:
        asyncio.run(_serve(settings, listening, ready))
    finally:
        listening.close()
        if settings.address.startswith("unix://"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(settings.address.removeprefix("unix://"))


async def _serve(settings: Settings, listening: socket.socket, ready: Ready) -> None:
    service = Service(_storage(settings), settings, _secret(settings))
    async with server.serving(service, listening):
        ready(server.address(listening))
        await server.until_stopped()


def _storage(settings: Settings) -> Storage:
    if settings.storage == ":memory:":
        return Memory()
    try:
        os.makedirs(settings.storage, exist_ok=True)
    except OSError as error:
        raise InvalidArgument(f"cannot keep anything in {settings.storage}: {error.strerror}") from error
    return Filesystem(settings.storage)


def _secret(settings: Settings) -> bytes:
    """Return what tokens are signed with: what was configured, or what the storage's servers agree on."""
    if settings.secret or settings.storage == ":memory:":
        return settings.secret.encode() or os.urandom(32)
    folder = os.path.join(settings.storage, paths.OWN)
    path = os.path.join(folder, "secret")
    os.makedirs(folder, exist_ok=True)
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
