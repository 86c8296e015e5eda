"""One request: what it asks for, whether it may, and an answer in any case."""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiohttp import web

from ..errors import LaminaError
from . import answers, blobs, lists, manifests, routes, uploads
from .answers import Answer
from .calls import Call
from .codes import BlobUnknown, Denied, ManifestUnknown, Refusal, StorageFull, Unavailable, Unsupported
from .contract import Storage
from .incoming import FULL
from .repository import Cache
from .settings import Settings

Handler = Callable[[Call], Awaitable[Answer]]

_VERSION = {"Server": "lamina", "Docker-Distribution-API-Version": "registry/2.0", "X-Content-Type-Options": "nosniff"}
_PULL, _PUSH, _DELETE = ["pull"], ["pull", "push"], ["delete"]

log = logging.getLogger("lamina.registry")


Arriving = Callable[[int], contextlib.AbstractContextManager[None]]
"""What counts a body while it comes in, and refuses it where so many do already."""


class Access(Protocol):
    """Who may do what."""

    async def check(self, call: Call, kind: str, name: str, actions: list[str]) -> str:
        """Return the name of the user who asks; `actions` is empty where a known user is enough.

        Raises:
            Unauthorized: nobody whom we know asks; its headers say how to prove otherwise.
            Denied: the user has not the right.
        """
        ...


class Listener(Protocol):
    """Who is told of each request, and of what was pushed, pulled and deleted."""

    def answered(self, call: Call, kind: str, status: int, sent: int, seconds: float) -> None:
        """Take note of a request that was answered."""
        ...

    def happened(self, action: str, call: Call, target: dict[str, object]) -> None:
        """Take note of something done to a target."""
        ...

    def close(self) -> None:
        """Let go of what is kept back."""
        ...


async def _alive(_: Call) -> Answer:
    return answers.empty(200, {"Cache-Control": "no-cache"})


async def _base(_: Call) -> Answer:
    return answers.document({})


HANDLERS: dict[str, dict[str, tuple[Handler, list[str]]]] = {
    "alive": {"GET": (_alive, []), "HEAD": (_alive, [])},
    "base": {"GET": (_base, []), "HEAD": (_base, [])},
    "extensions": {"GET": (lists.extensions, [])},
    "catalog": {"GET": (lists.repositories, ["*"])},
    "tags": {"GET": (lists.tags, _PULL)},
    "referrers": {"GET": (lists.referring, _PULL)},
    "manifests": {
        "GET": (manifests.get, _PULL),
        "HEAD": (manifests.head, _PULL),
        "PUT": (manifests.put, _PUSH),
        "DELETE": (manifests.delete, _DELETE),
    },
    "blobs": {"GET": (blobs.get, _PULL), "HEAD": (blobs.head, _PULL), "DELETE": (blobs.delete, _DELETE)},
    "uploads": {"POST": (uploads.start, _PUSH)},
    "upload": {
        "GET": (uploads.status, _PULL),
        "HEAD": (uploads.status, _PULL),
        "PATCH": (uploads.append, _PUSH),
        "PUT": (uploads.finish, _PUSH),
        "DELETE": (uploads.cancel, _PUSH),
    },
}
_READS = ("GET", "HEAD")


class Service:
    """The registry as a function from requests to answers.

    Args:
        storage: where everything is kept.
        settings: what the registry was told.
        secret: what upload tokens are signed with.
        access: who may do what; nobody is asked where there is none.
        tokens: answers the endpoint that gives tokens, if there is one.
        listeners: who is told.
        arriving: counts bodies of uploads.
    """

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        secret: bytes,
        access: Access | None = None,
        tokens: Handler | None = None,
        listeners: Sequence[Listener] = (),
        arriving: Arriving = lambda _: contextlib.nullcontext(),
    ) -> None:
        self.storage = storage
        self.settings = settings
        self.secret = secret
        self.cache = Cache()
        self.arriving = arriving
        self._access = access
        self._tokens = tokens
        self._listeners = listeners
        self._headers = {**_VERSION, **settings.headers}

    @property
    def guarded(self) -> bool:
        """Whether not everybody may do everything."""
        return self._access is not None

    async def require(self, call: Call, name: str, actions: list[str]) -> None:
        """Check what a request needs besides its own repository.

        Raises:
            Denied: the user has not the right.
        """
        if self._access is not None:
            try:
                await self._access.check(call, "repository", name, actions)
            except Refusal as error:
                raise Denied(str(error)) from error

    def tell(self, action: str, call: Call, target: dict[str, object]) -> None:
        """Tell the listeners what was done."""
        for listener in self._listeners:
            listener.happened(action, call, target)

    async def handle(self, request: web.BaseRequest) -> Answer:
        """Answer a request, and send what is sent by itself; no error goes past this."""
        began = time.perf_counter()
        kind, call = "", Call(self, request, "", "")
        call.identity = identity = _identity(request)
        try:
            path = request.rel_url.raw_path
            route = routes.parse(path if self.settings.prefix == "/" else "/" + path.removeprefix(self.settings.prefix))
            if route is None:
                raise _no_endpoint(request)
            kind, call = route.kind, Call(self, request, route.name, route.reference)
            call.identity = identity
            answer = await self._answer(route.kind, call)
        except Refusal as error:
            answer = answers.refusal(error)
        except OSError as error:
            answer = answers.refusal(_of_system(error))
        except Exception as error:  # noqa: BLE001 - the server stays up, and the client gets a document
            answer = answers.refusal(_unexpected(error, request))
        answer.headers.update(self._headers)
        for text in self.settings.warnings:
            answer.headers.add("Warning", text)
        answer.headers["X-Request-Id"] = identity
        for listener in self._listeners:
            listener.answered(call, kind, answer.status, answer.content_length or 0, time.perf_counter() - began)
        return answer

    async def _answer(self, kind: str, call: Call) -> Answer:
        method = call.request.method
        offered = HANDLERS[kind] if kind != "token" else self._issuing(call.request)
        if method not in offered:
            raise Unsupported(f"{method} is not offered here", headers={"Allow": ", ".join(offered)})
        handler, actions = offered[method]
        if self._access is not None and kind not in ("alive", "token"):
            what = ("registry", "catalog") if kind == "catalog" else ("repository", call.name)
            call.user = await self._access.check(call, *what, actions)
        if self.settings.readonly and method not in _READS:
            raise Unsupported("the registry is read-only at present")
        return await handler(call)

    def _issuing(self, request: web.BaseRequest) -> dict[str, tuple[Handler, list[str]]]:
        if self._tokens is None:
            raise _no_endpoint(request)
        return {"GET": (self._tokens, [])}


def _identity(request: web.BaseRequest) -> str:
    """Return the id that a request came with, or one for it."""
    given = request.headers.get("X-Request-Id", "")
    return given if given.isascii() and given.replace("-", "").isalnum() and len(given) <= 64 else os.urandom(8).hex()


def _no_endpoint(request: web.BaseRequest) -> Refusal:
    error = (
        ManifestUnknown if "/manifests/" in request.path else BlobUnknown if "/blobs/" in request.path else _NotFound
    )
    return error(f"there is no endpoint {request.path[:200]!r}")


class _NotFound(Refusal):
    http_status, code = 404, "UNSUPPORTED"


def _of_system(error: OSError) -> Refusal:
    if error.errno in FULL:
        log.error("the storage is full: %s", error)
        return StorageFull("the registry's storage is full", headers={"Retry-After": "60"})
    log.error("the storage fails: %s", error)
    return Unavailable(f"the registry's storage fails: {os.strerror(error.errno or errno.EIO)}")


def _unexpected(error: Exception, request: web.BaseRequest) -> Refusal:
    if isinstance(error, LaminaError):
        log.error("%s %s: %s", request.method, request.path, error)
        return Unavailable(str(error))
    log.exception("%s %s", request.method, request.path)
    return Refusal("the registry has an error of its own; its log tells more")
