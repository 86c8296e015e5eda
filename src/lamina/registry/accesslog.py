"""The access log: a JSON object in a line for each request."""

import asyncio
import time
from collections.abc import Callable

import msgspec

from ..oci import times
from .calls import Call


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request."""

    time: str
    id: str
    method: str
    path: str
    status: int
    bytes: int
    seconds: float
    remote: str
    agent: str = ""
    user: str = ""


class AccessLog:
    """Notes requests.

    Args:
        write: takes whole lines.
        delay: seconds that lines are kept back, to be written together; without, each is written before its answer.
    """

    def __init__(self, write: Callable[[bytes], None], delay: float) -> None:
        self._write = write
        self._delay = delay
        self._lines: list[bytes] = []
        self._encoder = msgspec.json.Encoder()

    def answered(self, call: Call, kind: str, status: int, sent: int, seconds: float) -> None:
        request = call.request
        line = Line(
            time=times.rfc3339(time.time_ns()),
            id=call.identity,
            method=request.method,
            path=request.path_qs if "_state" not in request.query_string else request.path,
            status=status,
            bytes=sent,
            seconds=round(seconds, 6),
            remote=request.remote or "",
            agent=request.headers.get("User-Agent", ""),
            user=call.user,
        )
        self._lines.append(self._encoder.encode(line))
        if not self._delay:
            self.close()
        elif len(self._lines) == 1:
            asyncio.get_running_loop().call_later(self._delay, self.close)

    def happened(self, action: str, call: Call, target: dict[str, object]) -> None:
        pass

    def close(self) -> None:
        """Write what is kept back."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._write(b"\n".join(lines) + b"\n")
