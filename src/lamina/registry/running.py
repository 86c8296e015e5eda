"""A registry as processes: its storage and its parts made from settings, and run until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Callable

from ..errors import InvalidArgument
from . import paths, server, workers
from .accesslog import AccessLog
from .collection import purge
from .contract import Storage
from .filesystem import Filesystem
from .memory import Memory
from .metrics import Counter, Table
from .operations import Operations
from .service import Access, Handler, Listener, Service
from .settings import Settings, TokenAccess

_MOST_WORKERS = 4
_GARBAGE = 2_000  # objects between two searches for garbage in cycles

Ready = Callable[[str], None]
Write = Callable[[bytes], None]

log = logging.getLogger("lamina.registry")


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
    count = 1 if settings.storage == ":memory:" else settings.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    table = Table(count)
    access = _access(settings)
    secret = _secret(settings)
    context = server.tls(settings.tls) if settings.tls else None
    storage = _storage(settings)
    debug = server.listen(settings.debug_address) if settings.debug_address else None
    sockets = _sockets(settings.address, count)

    def work(number: int, listening: socket.socket) -> None:
        counter = Counter(table, number)
        listeners: list[Listener] = [counter]
        listeners += [AccessLog(write, settings.log_delay)] if settings.access_log else []
        service = Service(storage, settings, secret, *access, listeners, counter.arriving)

        async def serve() -> None:
            async with contextlib.AsyncExitStack() as stack:
                if settings.endpoints:
                    listeners.append(await stack.enter_async_context(_notifying(settings)))
                await stack.enter_async_context(server.serving(service, listening, context))
                if number == 0:
                    await stack.enter_async_context(_purging(settings, storage))
                    if debug is not None:
                        operations = Operations(settings, storage, table)
                        await stack.enter_async_context(server.answering(operations.handle, debug))
                if count == 1:
                    ready(server.address(listening))
                await server.until_stopped()
            for listener in listeners:
                listener.close()

        asyncio.run(serve())

    gc.freeze()  # what is there now lives as long as the process: nobody need look through it again
    gc.set_threshold(_GARBAGE)
    try:
        if count == 1:
            work(0, sockets[0])
        else:
            workers.run(sockets, work, lambda: ready(server.address(sockets[0])))
    finally:
        if settings.address.startswith("unix://"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(settings.address.removeprefix("unix://"))
        for each in {*sockets, *([debug] if debug else [])}:
            each.close()


def _sockets(address: str, count: int) -> list[socket.socket]:
    """Return a socket for each worker: one of each own on one port, one for all in the file system."""
    first = server.listen(address, shared=count > 1)
    if address.startswith("unix://"):
        return [first] * count
    return [first, *(server.listen(server.address(first), shared=True) for _ in range(count - 1))]


@contextlib.asynccontextmanager
async def _purging(settings: Settings, storage: Storage) -> AsyncIterator[None]:
    """Forget old uploads from time to time while the block runs."""

    async def work() -> None:
        while settings.purge:
            await asyncio.sleep(settings.purge_interval * random.uniform(0.5, 1))  # noqa: S311 - servers take turns
            try:
                count = await purge(storage, settings.purge_age, dry=settings.purge_dry, report=log.info)
                done = "would be" if settings.purge_dry else "are"
                log.info("%d uploads were older than %d seconds and %s forgotten", count, settings.purge_age, done)
            except OSError as error:
                log.error("old uploads cannot be forgotten: %s", error)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        await _end(task)


@contextlib.asynccontextmanager
async def _notifying(settings: Settings) -> AsyncIterator[Listener]:
    """Yield a listener that tells endpoints, while the block runs."""
    from .notifications import Notifier, Queue  # noqa: PLC0415 - an HTTP client, only where there are endpoints

    queues = [Queue(endpoint) for endpoint in settings.endpoints]
    tasks = [asyncio.create_task(queue.send()) for queue in queues]
    try:
        yield Notifier(queues, settings.address)
    finally:
        for task in tasks:
            await _end(task)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


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
    if not settings.readonly:
        _own(settings)
    return Filesystem(settings.storage)


def _secret(settings: Settings) -> bytes:
    """Return what tokens are signed with: what was configured, or what the storage's servers agree on."""
    if settings.secret or settings.readonly or settings.storage == ":memory:":
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
