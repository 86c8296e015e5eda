"""CNCF distribution's registry, as Debian's package `docker-registry` has it, over a folder."""

import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

from tests import peers


def missing() -> str:
    """Return why it cannot be used here, or nothing."""
    return "" if shutil.which("docker-registry", path=peers.PATH) else "docker-registry: not installed"


@contextlib.contextmanager
def distribution(folder: pathlib.Path, storage: pathlib.Path, secret: str, patience: float = 30) -> Iterator[str]:
    """Run the registry while the block does; yield its address. Deletion is on, and nothing is cached."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": address, "secret": secret},
    }
    (folder / "distribution.yml").write_text(json.dumps(config))
    command = ["docker-registry", "serve", str(folder / "distribution.yml")]
    with open(folder / "distribution.log", "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": peers.PATH})
    try:
        _wait(process, address, patience)
        yield address
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, patience: float) -> None:
    host, _, port = address.partition(":")
    end = time.monotonic() + patience
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), 1):
            return
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"docker-registry does not serve on {address}")
        time.sleep(0.02)
