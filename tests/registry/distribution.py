"""Debian's docker-registry (CNCF distribution) as a peer, over a folder of its own and on a free port.

with Distribution(folder, locked=True) as registry:
    registry.host  # 127.0.0.1:40123
"""

import contextlib
import json
import os
import re
import socket
import subprocess
from typing import Any, Protocol, Self

from tests import traces
from tests.peers import PATH, NotStarted, Tool

USER, PASSWORD = "me", "secret"
"""Who may use a locked one."""

_HASHED = "$2b$04$ZisPADJHoDcW3qiop8QOh.Zrt17tFYvtZZXYMMHOJJQVXlhjovOWy"


class Running(Protocol):
    """A registry that runs, one of these or one of ours."""

    @property
    def host(self) -> str:
        """Host and port."""
        ...

    def requests(self) -> list[str]:
        """Return the requests that it had, as `GET /v2/`."""
        ...


class Distribution:
    """A registry that runs while the context does. Deletion is on, and nothing is cached.

    Args:
        folder: of its own, for its log and all else.
        storage: the folder that it serves; one below `folder` if empty.
        secret: seals the states of uploads.
        locked: whether only USER may use it.
        tls: a certificate and its key, as files.
        tokens: its `auth.token`: whose tokens it takes.
        quiet: whether it notes no requests.
    """

    def __init__(
        self,
        folder: str,
        *,
        storage: str = "",
        secret: str = "asecret",
        locked: bool = False,
        tls: tuple[str, str] | None = None,
        tokens: dict[str, str] | None = None,
        quiet: bool = False,
    ) -> None:
        self.folder = folder
        self.storage = storage or os.path.join(folder, "root")
        self._secret, self._locked, self._tls, self._tokens, self._quiet = secret, locked, tls, tokens, quiet
        self.host = ""
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str:
        """Return why it cannot be used here, or nothing."""
        return Tool("docker-registry").missing()

    def __enter__(self) -> Self:
        os.makedirs(self.folder, exist_ok=True)
        port = _free_port()
        self.host = f"127.0.0.1:{port}"
        path = os.path.join(self.folder, "config.json")  # all JSON is YAML
        with open(path, "w") as file:
            json.dump(self._configuration(), file)
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "docker-registry", "serve", path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": PATH, "OTEL_TRACES_EXPORTER": "none"},
            )
        self._wait(port)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def log(self) -> str:
        """Return what it has logged: its requests among it."""
        with open(os.path.join(self.folder, "log"), errors="replace") as file:
            return file.read()

    def requests(self) -> list[str]:
        """Return the requests that it had, as `GET /v2/`."""
        found = re.findall(r'"([A-Z]+) (\S+) HTTP/1\.1" \d+', self.log())
        return [f"{method} {url.removeprefix(f'http://{self.host}')}" for method, url in found]

    def _configuration(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": self.host, "secret": self._secret}
        if self._tls:
            http["tls"] = {"certificate": self._tls[0], "key": self._tls[1]}
        storage = {
            "filesystem": {"rootdirectory": self.storage},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        }
        log: dict[str, Any] = {"level": "warn", "accesslog": {"disabled": True}} if self._quiet else {"level": "info"}
        found: dict[str, Any] = {"version": 0.1, "log": log, "storage": storage, "http": http}
        if self._locked:
            path = os.path.join(self.folder, "htpasswd")
            with open(path, "w") as file:
                file.write(f"{USER}:{_HASHED}\n")
            found["auth"] = {"htpasswd": {"realm": "here", "path": path}}
        if self._tokens:
            found["auth"] = {"token": self._tokens}
        return found

    def _wait(self, port: int) -> None:
        """Wait until it takes connections."""
        assert self._process is not None
        fd = os.pidfd_open(self._process.pid)
        try:
            for _ in range(1000):
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    return
                if traces.readable(0.01, fd):
                    break
        finally:
            os.close(fd)
        raise NotStarted(f"docker-registry: {self.log()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert isinstance(port, int)
    return port
