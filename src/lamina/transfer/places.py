"""Repositories of registries, with connections of its own for every process: a fork must not share them.

The threads of a process share theirs.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from ..errors import LaminaError
from ..events import Problem, Report
from ..oci.reference import Reference
from ..remote.registry import Registry

if TYPE_CHECKING:
    from ..remote.client import Client

Connect = Callable[[], "Client"]
"""Makes a client: it knows where registries are, and who we are to them."""


class Places:
    """The repositories that a transfer deals with; a context manager that ends its connections.

    Args:
        connect: makes a client.
        report: hears what registries warn of.
    """

    def __init__(self, connect: Connect, report: Report) -> None:
        self._connect = connect
        self._report = report
        self._client: Client | None = None
        self._process = 0
        self._inherited: list[Client] = []  # never closed here: they are another process's
        self._known: dict[Reference, Registry] = {}
        self._lock = threading.Lock()  # never held where a process forks

    def at(self, reference: Reference, report: Report | None = None) -> Registry:
        """Return the repository of a reference, for this process; the first call in one may give it a `report`."""
        with self._lock:
            if self._process != os.getpid():
                self._client = self._mine()
                self._process, self._known = os.getpid(), {}
                hears = report or self._report
                self._client.warn = lambda text: hears(Problem(text))
            assert self._client is not None
            repository = Reference(reference.domain, reference.path)
            if repository not in self._known:
                self._known[repository] = Registry(repository, self._client)
            return self._known[repository]

    def _mine(self) -> "Client":
        """Return a client for this process."""
        if self._client is None:
            return self._connect()
        self._inherited.append(self._client)
        return self._client.twin()

    def secrets(self, reference: Reference) -> dict[str, str]:
        """Return what we are known by to a registry, by Docker's names; nothing if that is nothing, or unreadable."""
        self.at(reference)
        assert self._client is not None
        with contextlib.suppress(LaminaError):
            if (known := self._client.credential(reference.domain)) is not None:
                return {
                    "username": known.username,
                    "password": known.password,
                    "identitytoken": known.identity_token,
                    "registrytoken": known.registry_token,
                }
        return {}

    def cancel(self) -> None:
        """End all that this process waits for; see `Client.cancel`."""
        if self._client is not None and self._process == os.getpid():
            self._client.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._client is not None and self._process == os.getpid():
            self._client.close()
