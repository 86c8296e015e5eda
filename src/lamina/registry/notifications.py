"""Webhooks as CNCF distribution has them: envelopes of events, in order, tried until they are taken.

Each endpoint has a queue in memory and takes one envelope after the other. After `threshold` failures in a row there
is a pause of `backoff` seconds between tries. What is not sent when the server ends is lost, as in distribution.
"""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Mapping

import aiohttp
import msgspec

from ..oci import times
from .bearer import origin
from .calls import Call
from .settings import Endpoint

MEDIA_TYPE = "application/vnd.docker.distribution.events.v2+json"
_BLOB = "application/octet-stream"
_MOST = 10_000  # events that wait for an endpoint
_FEW = 100  # events of an envelope

log = logging.getLogger("lamina.registry")


class Queue:
    """The events for one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._events: deque[dict[str, object]] = deque(maxlen=_MOST)
        self._some = asyncio.Event()

    def add(self, event: dict[str, object], media_type: str) -> None:
        """Let an event wait, unless the endpoint does not want it; the oldest goes where too many wait."""
        if media_type in self._endpoint.ignored_media_types or event["action"] in self._endpoint.ignored_actions:
            return
        if len(self._events) == _MOST:
            log.error("the endpoint %s does not keep up: an event is dropped", self._endpoint.name)
        self._events.append(event)
        self._some.set()

    async def send(self) -> None:
        """Send events for ever."""
        timeout = aiohttp.ClientTimeout(total=self._endpoint.timeout)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            failures = 0
            while True:
                if not self._events:
                    self._some.clear()
                    await self._some.wait()
                few = [self._events[at] for at in range(min(_FEW, len(self._events)))]
                if await self._deliver(session, few):
                    failures = 0
                    for event in few:
                        if self._events and self._events[0] is event:
                            self._events.popleft()
                    continue
                failures += 1
                if failures >= self._endpoint.threshold:
                    await asyncio.sleep(self._endpoint.backoff)

    async def _deliver(self, session: aiohttp.ClientSession, events: list[dict[str, object]]) -> bool:
        headers = [(name, value) for name, values in self._endpoint.headers.items() for value in values]
        data = msgspec.json.encode({"events": events})
        try:
            async with session.post(
                self._endpoint.url, data=data, headers=[*headers, ("Content-Type", MEDIA_TYPE)]
            ) as answer:
                if answer.status < 400:
                    return True
                log.warning("the endpoint %s answers %d", self._endpoint.name, answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the endpoint %s cannot be reached: %s", self._endpoint.name, error)
        return False


class Notifier:
    """Makes events of what happens, for some queues."""

    def __init__(self, queues: list[Queue], address: str) -> None:
        self._queues = queues
        self._source = {"addr": f"{socket.gethostname()}:{address.rpartition(':')[2]}", "instanceID": str(uuid.uuid4())}

    def answered(self, call: Call, kind: str, status: int, sent: int, seconds: float) -> None:
        pass

    def happened(self, action: str, call: Call, target: Mapping[str, object]) -> None:
        digest = target.get("digest")
        kind = str(target.get("mediaType", "" if action == "delete" else _BLOB))
        said = {"mediaType": kind} if kind else {}
        part = "blobs" if kind == _BLOB else "manifests"
        size = {"length": target["size"]} if "size" in target else {}
        url = {"url": f"{origin(call)}/v2/{call.name}/{part}/{digest}"} if digest and action != "delete" else {}
        event: dict[str, object] = {
            "id": str(uuid.UUID(bytes=os.urandom(16), version=4)),
            "timestamp": times.rfc3339(time.time_ns()),
            "action": action,
            "target": {**said, **target, **size, "repository": call.name, **url},
            "request": {
                "id": call.identity,
                "addr": call.request.remote or "",
                "host": call.request.host,
                "method": call.request.method,
                "useragent": call.request.headers.get("User-Agent", ""),
            },
            "actor": {"name": call.user} if call.user else {},
            "source": self._source,
        }
        for queue in self._queues:
            queue.add(event, kind)

    def close(self) -> None:
        pass
