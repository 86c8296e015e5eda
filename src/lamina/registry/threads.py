"""Blocking work beside the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def start(call: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
    """Start to call a function in a thread."""
    return asyncio.get_running_loop().run_in_executor(None, call, *arguments)


async def run(call: Callable[..., T], *arguments: object) -> T:
    """Call a function in a thread."""
    return await start(call, *arguments)


async def settle(work: "asyncio.Future[T]") -> T:
    """Wait for work to its end, also when the caller is cancelled: it uses what is the caller's."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
