"""What is not for clients, on an address of its own: `/debug/health`, and metrics where they are asked for."""

import os

from aiohttp import web

from .contract import Missing, Storage
from .metrics import Table
from .settings import Settings


class Operations:
    """Answers the one who operates the registry."""

    def __init__(self, settings: Settings, storage: Storage, table: Table) -> None:
        self._settings = settings
        self._storage = storage
        self._table = table

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/debug/health":
            problems = await self._problems()
            return web.json_response(problems, status=503 if problems else 200)
        if request.path == self._settings.metrics:
            return web.Response(body=_exposition(self._table), content_type="text/plain", charset="utf-8")
        return web.Response(status=404, text="there are /debug/health and, if switched on, metrics\n")

    async def _problems(self) -> dict[str, str]:
        """Return what is wrong, by the name of the check, as distribution has it."""
        try:
            await self._storage.names("")
            if not self._settings.readonly and self._settings.storage != ":memory:":
                await self._storage.write([("_health", str(os.getpid()).encode())])
                await self._storage.remove("_health")
        except (OSError, Missing) as error:
            return {"storage": str(error)}
        return {}


def _exposition(table: Table) -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - only where it is asked for

    registry = CollectorRegistry()
    registry.register(table)
    return generate_latest(registry)
