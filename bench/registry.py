"""Compare the registry's speed with docker-registry's: `python -m bench registry`.

Both lie on one ext4 over a loop file in memory, and take turns within a round; no server writes an access log. GETs are
wrk's and HEADs ab's, with 16 connections; pushes are POST, PATCH and PUT, whose bodies are sent from files by the
kernel, so that the client costs little. The first byte is waited for by one more client, which asks for a manifest
again and again while wrk's 16 take blobs of 10 MB. Figures are medians.

`python -m bench.registry MB` takes the peak of all the server's processes instead, while 64 uploads of so many MB are
under way. What has arrived is punched out of the files again, so that the disk need not hold it.
"""

import argparse
import contextlib
import ctypes
import glob
import http.client
import io
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple, TypeVar

from tests import disks
from tests.registry.client import Client, image
from tests.registry.distribution import Distribution
from tests.registry.serving import serving

from lamina.files import libc
from lamina.oci import digest, mediatypes
from lamina.oci.digest import Digest

from . import memory
from .measuring import Bench, Part, say
from .report import LAMINA, Row, Target

T = TypeVar("T")

_DISK = 6 << 30
_PEER = "docker-registry"
_SECONDS = 5
_TEN = 10 << 20
_UPLOADS = 64
_PUNCH_HOLE = 3  # and keep the size: fallocate(2)


class File(NamedTuple):
    """A blob to push."""

    path: str
    size: int
    digest: Digest


class Place(NamedTuple):
    """A registry, and what a round pushes to it."""

    address: str
    layers: list[File]
    fifties: list[File]


def main() -> None:
    """Print the server's memory."""
    parser = argparse.ArgumentParser(prog="python -m bench.registry")
    parser.add_argument("size", type=int, metavar="MB", help="what each of 64 uploads brings")
    if reason := disks.missing():
        sys.exit(f"bench: {reason}")
    size = parser.parse_args().size
    with disks.ext4(_DISK) as disk:
        _memory(disk, size)


def rows(bench: Bench) -> Iterator[Row]:
    """Measure everything, each round with new servers over new folders; lamina alone where docker-registry is not."""
    if absent := [name for name in ("wrk", "ab") if not shutil.which(name)]:
        say(f"registry: not installed: {', '.join(absent)}")
        return
    folder = bench.stuff.folder
    layers = [_file(f"{folder}/layer{number}", 225 * (1 << 20) // 10) for number in range(10)]
    fifties = [_file(f"{folder}/fifty{number}", 50 << 20) for number in range(8)]
    found = {part.about: Row("registry", part.about, part.unit, part.targets, {}, {}, part.more) for part in PARTS}
    starts = {LAMINA: _ours} if Distribution.missing() else {LAMINA: _ours, _PEER: _theirs}
    for number in range(bench.rounds + 1):
        for who, start in starts.items():
            place = pathlib.Path(folder, f"{who}-served")
            place.mkdir()
            with start(place) as address:
                for part, measure in PARTS.items():
                    figure = measure(Place(address, layers, fifties))
                    if number:
                        found[part.about].rounds.setdefault(who, []).append(figure)
            shutil.rmtree(place)
    yield from found.values()


def _memory(disk: str, size: int) -> None:
    """Print the peak of the server while uploads are under way."""
    source = _file(f"{disk}/source", size << 20)
    folder = pathlib.Path(disk, "memory")
    folder.mkdir()
    most = 0.0
    quiet = {"log": {"accesslog": {"disabled": True}}}
    with serving(folder, config=quiet) as registry, ThreadPoolExecutor(_UPLOADS) as pool:
        sent = [pool.submit(_send, registry.address, f"upload{number}", source) for number in range(_UPLOADS)]
        while not all(upload.done() for upload in sent):
            most = max(most, memory.now(registry.pid))
            _punch(folder)
            time.sleep(0.05)
        for upload in sent:
            upload.result()
    print(f"{_UPLOADS} uploads of {size} MB at a time: peak memory {most:.0f} MB")


def _punch(folder: pathlib.Path) -> None:
    """Free what has arrived of uploads."""
    for path in glob.glob(f"{folder}/registry/docker/registry/v2/**/data", recursive=True):
        with contextlib.suppress(FileNotFoundError), open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            libc().fallocate(file.fileno(), _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(size))


@contextlib.contextmanager
def _ours(folder: pathlib.Path) -> Iterator[str]:
    with serving(folder, config={"log": {"accesslog": {"disabled": True}}}) as registry:
        yield registry.address


@contextlib.contextmanager
def _theirs(folder: pathlib.Path) -> Iterator[str]:
    with Distribution(str(folder), storage=str(folder / "registry"), quiet=True) as registry:
        yield registry.host


def _file(path: str, size: int) -> File:
    data = os.urandom(size)
    pathlib.Path(path).write_bytes(data)
    return File(path, size, digest.of(data))


def _manifests(place: Place) -> float:
    client = Client(place.address)
    _put(place.address, "app", [(b"{}", digest.of(b"{}"))])
    client.manifest("app", "1", image(b"{}"))
    client.close()
    return _wrk(place, "/v2/app/manifests/1", "Requests/sec")


def _blobs(place: Place) -> float:
    data = os.urandom(_TEN)
    _put(place.address, "app", [(data, digest.of(data))])
    return _wrk(place, f"/v2/app/blobs/{digest.of(data)}", "Requests/sec") * _TEN / 1e6


def _heads(place: Place) -> float:
    command = ["ab", "-i", "-k", "-q", "-c16", "-n10000", "-H", f"Accept: {mediatypes.OCI_MANIFEST}"]
    url = f"http://{place.address}/v2/app/manifests/1"
    text = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    return float(next(line.split()[3] for line in text.splitlines() if line.startswith("Requests per second")))


def _first_byte(place: Place) -> float:
    """Return the time to the first byte, in ms, that 99 of 100 requests under load keep to."""
    client = http.client.HTTPConnection(place.address)
    found = []
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(_blobs, place)
        while not load.done():
            begun = time.perf_counter()
            client.request("GET", "/v2/app/manifests/1", headers={"Accept": mediatypes.OCI_MANIFEST})
            with client.getresponse() as reply:
                found.append(time.perf_counter() - begun)
                reply.read()
        load.result()
    client.close()
    return statistics.quantiles(found, n=100)[98] * 1e3


def _wrk(place: Place, path: str, row: str) -> float:
    accept = f"Accept: {mediatypes.OCI_MANIFEST}"
    command = ["wrk", "-c16", "-t2", f"-d{_SECONDS}", "-H", accept, f"http://{place.address}{path}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(next(line.split()[-1] for line in text.splitlines() if row in line))


def _app(place: Place) -> float:
    return _timed(lambda file: _send(place.address, "pushed", file), place.layers, 5)


def _fifty(place: Place) -> float:
    return _timed(lambda file: _send(place.address, "fifty", file), place.fifties, 8)


def _small(place: Place) -> float:
    return _timed(lambda number: _image(place.address, number), list(range(1000)), 16)


def _image(address: str, number: int) -> None:
    layer, config = b"layer %d" % number, json.dumps({"number": number}).encode()
    name = f"small/{number % 10}"
    with _Connection(address) as connection:
        for data in (layer, config):
            connection.upload(name, io.BytesIO(data), len(data), digest.of(data))
        manifest = json.dumps(image(config, layer)).encode()
        path = f"/v2/{name}/manifests/t{number}"
        connection("PUT", path, io.BytesIO(manifest), len(manifest), mediatypes.OCI_MANIFEST)


def _timed(work: Callable[[T], None], what: list[T], at_a_time: int) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(work, what))
    return time.perf_counter() - begun


def _put(address: str, repository: str, blobs: list[tuple[bytes, Digest]]) -> None:
    with _Connection(address) as connection:
        for data, name in blobs:
            connection.upload(repository, io.BytesIO(data), len(data), name)


def _send(address: str, repository: str, file: File) -> None:
    """Push a file."""
    with _Connection(address) as connection, open(file.path, "rb") as source:
        connection.upload(repository, source, file.size, file.digest)


class _Connection:
    """A connection; called, it sends a request and returns the location that comes back."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._host = address
        self._raw = socket.create_connection((host, int(port)))
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as Go's clients do
        self._replies = self._raw.makefile("rb")

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *exc: object) -> None:
        self._replies.close()
        self._raw.close()

    def upload(self, repository: str, source: BinaryIO, size: int, name: Digest) -> None:
        """Push a blob."""
        at = self("POST", f"/v2/{repository}/blobs/uploads/")
        at = self("PATCH", at, source, size)
        self("PUT", f"{at}{'&' if '?' in at else '?'}digest={name}")

    def __call__(
        self,
        method: str,
        path: str,
        body: BinaryIO | None = None,
        size: int = 0,
        kind: str = "application/octet-stream",
    ) -> str:
        headers = (f"Host: {self._host}", f"Content-Type: {kind}", f"Content-Length: {size}")
        self._raw.sendall("\r\n".join((f"{method} {path} HTTP/1.1", *headers, "", "")).encode())
        if body is not None:
            self._raw.sendfile(body)
        status = int(self._replies.readline().split()[1])
        found: dict[bytes, bytes] = {}
        while line := self._replies.readline().strip():
            key, _, value = line.partition(b": ")
            found[key.lower()] = value
        self._replies.read(int(found.get(b"content-length", b"0")))
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status}")
        return found[b"location"].decode().removeprefix(f"http://{self._host}")


PARTS: dict[Part, Callable[[Place], float]] = {
    Part("GET of a manifest by tag", (Target(6),), "/s", more=True): _manifests,
    Part("HEAD of a manifest by tag", (Target(6),), "/s", more=True): _heads,
    Part("GET of a blob of 10 MB", (Target(1.1),), "MB/s", more=True): _blobs,
    Part("first byte under load, 99 of 100", (Target(1),), "ms"): _first_byte,
    Part("push of 225 MB in 10 blobs", (Target(1 / 2),)): _app,
    Part("8 uploads of 50 MB at a time", (Target(1 / 2),)): _fifty,
    Part("1,000 images of two small blobs", (Target(1 / 2),)): _small,
}

if __name__ == "__main__":
    main()
