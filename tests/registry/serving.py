"""A registry of ours in a process of its own, on a free port of this machine.

with serving(tmp_path, delete=True) as registry:
    skopeo("copy", ..., f"docker://{registry.address}/app:1")
    assert "GET /v2/app/manifests/1" in registry.requests()
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests import traces


class Serving:
    """A registry that serves; `address` is `HOST:PORT`, or `unix://PATH`, and `storage` its folder."""

    def __init__(self, process: subprocess.Popen[bytes], folder: pathlib.Path, storage: pathlib.Path) -> None:
        self._process = process
        self._folder = folder
        self.storage = storage
        self.address = self._ready()

    @property
    def host(self) -> str:
        """Host and port."""
        return self.address

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def told(self, patience: float = 30) -> str:
        """Return the next line of what the operator is told.

        Raises:
            TimeoutError: there is none for `patience` seconds.
        """
        assert self._process.stderr is not None
        if not traces.readable(patience, self._process.stderr.fileno()):
            raise TimeoutError("the registry says nothing")
        return self._process.stderr.readline().decode()

    def _ready(self) -> str:
        assert self._process.stderr is not None
        line = self.told()
        if not line.startswith("serving "):
            raise RuntimeError(line + self._process.stderr.read().decode())
        return line.rpartition(" on ")[2].strip()

    def log(self) -> list[dict[str, Any]]:
        """Return the access log up to now: lines are written before their answer, unless a test wants it otherwise."""
        return [json.loads(line) for line in (self._folder / "access.log").read_bytes().splitlines()]

    def requests(self) -> list[str]:
        """Return the method and path of all requests up to now."""
        return [f"{line['method']} {line['path']}" for line in self.log()]

    def stop(self, number: int = signal.SIGTERM, patience: float = 30) -> int:
        """End the server; return its exit status."""
        self._process.send_signal(number)
        return self.ended(patience)

    def ended(self, patience: float = 30) -> int:
        """Return the exit status of a server that was told to end, or ends by itself."""
        return self._process.wait(patience)


@contextlib.contextmanager
def serving(
    folder: pathlib.Path,
    *options: str,
    address: str = "127.0.0.1:0",
    storage: str = "",
    delete: bool = False,
    htpasswd: dict[str, str] | None = None,
    rights: dict[str, dict[str, list[str]]] | None = None,
    tls: tuple[str, str] | None = None,
    config: dict[str, Any] | None = None,
) -> Iterator[Serving]:
    """Run a registry while the block does.

    Args:
        folder: where its logs go, and its storage unless `storage` says otherwise.
        options: further ones of the command line.
        address: what it listens on; a port of 0 is any free one.
        storage: the storage's folder.
        delete: whether deletion is allowed.
        htpasswd: users and their passwords.
        rights: makes the registry issue tokens to these users; see `lamina.registry.settings.Issuer`.
        tls: certificate and key, files.
        config: a configuration's sections.
    """
    place = pathlib.Path(storage) if storage else folder / "registry"
    words = ["registry", "serve", "--addr", address, "--storage", str(place), *options]
    words += ["--delete"] if delete else []
    if htpasswd:
        words += ["--auth", f"htpasswd={_users(folder, htpasswd)}"]
    own = {"logdelay": "0s", **({"issuer": {"rights": rights}} if rights is not None else {})}
    config = {**(config or {}), "lamina": {**own, **(config or {}).get("lamina", {})}}
    if tls:
        words += ["--tls-cert", tls[0], "--tls-key", tls[1]]
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    words += ["--config", str(folder / "config.yml")]
    command = [os.path.join(os.path.dirname(sys.executable), "lamina"), *words]
    with open(folder / "access.log", "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.PIPE, bufsize=0)
    try:
        yield Serving(process, folder, place)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            assert process.stderr is not None
            process.stderr.close()


def _users(folder: pathlib.Path, users: dict[str, str]) -> pathlib.Path:
    import bcrypt

    path = folder / "htpasswd"
    lines = (f"{user}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}\n" for user, word in users.items())
    path.write_text("".join(lines))
    return path
