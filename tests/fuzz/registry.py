"""The registry's readers, as targets: requests, tokens of an issuer, manifests, states of uploads, its files."""

import asyncio
import base64
import contextlib
import functools
import logging
import socket
import tempfile
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lamina.errors import InvalidArgument
from lamina.oci import digest, mediatypes
from lamina.registry import configuration, documents, passwords, tokens
from lamina.registry.bearer import Bearer
from lamina.registry.calls import Call
from lamina.registry.memory import Memory
from lamina.registry.repository import Cache, Repository, Stored
from lamina.registry.server import _Connections
from lamina.registry.service import Service
from lamina.registry.settings import Settings, TokenAccess

_SECRET = b"secret"
_MOST = 64 << 10  # bytes of a request, which a socket takes at once
_ROUNDS = 30  # turns of the event loop, more than any answer takes
_ACCESS = TokenAccess("https://issuer/token", "images", "them")

MANIFEST = (
    b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"a/b","digest":"%s","size":2},"layers":[],'
    b'"subject":{"mediaType":"a/b","digest":"%s","size":2},"annotations":{"a":"b"}}'
) % (mediatypes.OCI_MANIFEST.encode(), digest.of(b"{}").encode(), digest.of(b"").encode())

_UPLOAD = "0b4f0a6c-8a5f-4d0e-9d3c-0f5f6a6b7c8d"

_STATE = tokens.State("a", _UPLOAD, 0, "2026-01-01T00:00:00Z")

STATE = tokens.pack(_STATE, _SECRET)

CLAIMS = (
    b'{"alg":"EdDSA","kid":"one"}\n{"iss":"them","aud":"images","exp":99999999999,"sub":"ann",'
    b'"access":[{"type":"repository","name":"a","actions":["pull"]}]}'
)

CONFIGURATION = (
    b"version: 0.1\nhttp: {addr: ':5000', headers: {X-A: [b]}, draintimeout: 1m}\n"
    b"notifications: {endpoints: [{name: a, url: 'http://b/', backoff: 2s}]}\n"
    b"lamina: {issuer: {rights: {a: {b: [pull]}}}}\n"
)

_BLOB = digest.of(b"{}")

REQUESTS = [
    f"{line}\r\nHost: h\r\n{headers}\r\n{body}".encode()
    for line, headers, body in (
        ("GET /v2/ HTTP/1.1", "", ""),
        ("GET /v2/_catalog?n=1&last=a HTTP/1.1", "", ""),
        ("GET /v2/a/tags/list?n=1&last=a HTTP/1.1", "", ""),
        ("GET /v2/a/manifests/1 HTTP/1.1", "Accept: */*\r\nIf-None-Match: x\r\n", ""),
        (f"GET /v2/a/blobs/{_BLOB} HTTP/1.1", "Range: bytes=0-1\r\nIf-Range: x\r\n", ""),
        (f"GET /v2/a/referrers/{_BLOB}?artifactType=a/b HTTP/1.1", "", ""),
        (f"POST /v2/a/blobs/uploads/?digest={_BLOB} HTTP/1.1", "Content-Length: 2\r\n", "{}"),
        (f"POST /v2/b/blobs/uploads/?mount={_BLOB}&from=a HTTP/1.1", "Content-Length: 0\r\n", ""),
        ("POST /v2/a/blobs/uploads/?digest-algorithm=sha512 HTTP/1.1", "Content-Length: 0\r\n", ""),
        (
            f"PATCH /v2/a/blobs/uploads/{_UPLOAD}?_state={STATE} HTTP/1.1",
            "Content-Range: 0-2\r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "PUT /v2/a/manifests/1?tag=b HTTP/1.1",
            f"Content-Type: {mediatypes.OCI_MANIFEST}\r\nContent-Length: {len(MANIFEST)}\r\n",
            MANIFEST.decode(),
        ),
        ("DELETE /v2/a/manifests/1 HTTP/1.1", "Authorization: Basic YTpi\r\n", ""),
    )
]


class Watcher:
    """A listener that holds: a request may be refused, and never finds an error of the registry's own."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def answered(self, call: Call, kind: str, status: int, sent: int, seconds: float) -> None:
        self.statuses.append(status)

    def happened(self, action: str, call: Call, target: dict[str, object]) -> None:
        pass

    def close(self) -> None:
        pass


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    logging.getLogger("lamina.registry").addHandler(logging.NullHandler())
    return asyncio.new_event_loop()


def request(data: bytes) -> list[int]:
    """Answer what comes over a connection; return the statuses."""
    return _loop().run_until_complete(_statuses(data))


@functools.cache
def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def claims(data: bytes) -> list[int]:
    """Take a token that the issuer has signed, whatever it says: its header, a line feed, its claims."""
    head, _, body = data.partition(b"\n")
    signed = _b64(head) + b"." + _b64(body)
    token = signed + b"." + _b64(_key().sign(signed))
    text = b"GET /v2/a/tags/list HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    return _loop().run_until_complete(_statuses(text, Bearer(_ACCESS, {"one": _key().public_key()})))


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


async def _statuses(data: bytes, access: Bearer | None = None) -> list[int]:
    watcher = Watcher()
    connections = _Connections(Service(await _furnished(), Settings(delete=True), _SECRET, access, None, [watcher]))
    ours, theirs = socket.socketpair()
    with ours:
        ours.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(connections, theirs)
        ours.send(data[:_MOST])
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
    await connections.shutdown(1.0)
    assert all(status < 500 for status in watcher.statuses), watcher.statuses
    return watcher.statuses


async def _furnished() -> Memory:
    storage = Memory()
    repository = Repository(storage, "a", Cache())
    await storage.begin("a", _UPLOAD)
    await storage.put(_BLOB, b"{}", repository.blob_links(_BLOB))
    stored = Stored(digest.of(MANIFEST), mediatypes.OCI_MANIFEST, MANIFEST)
    await repository.put(stored, documents.parse(MANIFEST), ["1"])
    return storage


def manifest(data: bytes) -> None:
    """Read a manifest, and describe it as a referrer."""
    found = documents.parse(data)
    kind = documents.require_type("", found)
    row = documents.descriptor(data, found, documents.digest(data, None), kind)
    assert row.size == len(data)


def state(data: bytes) -> None:
    """Read the state of an upload, as a client carries it: none that is not ours is taken."""
    assert tokens.unpack(data.decode("utf-8", "surrogateescape"), _SECRET) == _STATE


def settings(data: bytes) -> None:
    """Read a configuration, as TOML and as YAML."""
    with contextlib.suppress(InvalidArgument), _written(data, ".toml") as path:
        configuration.read(path)
    with _written(data, ".yml") as path:
        assert configuration.read(path).prefix.endswith("/")


def htpasswd(data: bytes) -> None:
    """Read users and their passwords."""
    with _written(data, "") as path:
        passwords.Passwords(path)


@contextlib.contextmanager
def _written(data: bytes, ending: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="fuzz", suffix=ending) as file:
        file.write(data)
        file.flush()
        yield file.name
