"""Uploads that are read past the HTTP parser, and connections that go on behind them."""

import contextlib
import http.client
import os
import pathlib
import socket
import ssl
from collections.abc import Iterator

import pytest
from tests.registry import certificates
from tests.registry.client import Client
from tests.registry.serving import Serving, serving

from lamina.oci import digest

DATA = os.urandom(3_000_000)


class Connection:
    """One connection, which no request may close."""

    def __init__(self, plain: socket.socket) -> None:
        self.socket = plain
        self._wire = http.client.HTTPConnection("registry")
        self._wire.sock = plain

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
        """Send a request; return status, location and body."""
        self._wire.request(method, path, body, headers)
        with self._wire.getresponse() as reply:
            data = reply.read()
        assert self._wire.sock is self.socket, "the connection was closed"
        return reply.status, reply.headers.get("Location", ""), data


@contextlib.contextmanager
def connected(kind: str, folder: pathlib.Path) -> Iterator[Connection]:
    """Connect to a registry in one of the ways there are."""
    certificate, key = certificates.make(folder) if kind == "tls" else ("", "")
    address = f"unix://{folder}/socket" if kind == "unix" else "127.0.0.1:0"
    with serving(folder, address=address, tls=(certificate, key) if certificate else None) as registry:
        if kind == "unix":
            plain = socket.socket(socket.AF_UNIX)
            plain.connect(registry.address.removeprefix("unix://"))
        else:
            plain = to(registry)
        if certificate:
            plain = ssl.create_default_context(cafile=certificate).wrap_socket(plain, server_hostname="127.0.0.1")
        with plain:
            yield Connection(plain)


def to(registry: Serving) -> socket.socket:
    host, _, port = registry.address.partition(":")
    return socket.create_connection((host, int(port)), 20)


def head(at: str, size: int, *headers: str) -> bytes:
    return "\r\n".join([f"PATCH {at} HTTP/1.1", "Host: x", f"Content-Length: {size}", *headers, "", ""]).encode()


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_a_connection_goes_on_behind_large_bodies(kind: str, tmp_path: pathlib.Path) -> None:
    with connected(kind, tmp_path) as ask:
        whole = DATA + DATA[:500_000] + b"small" + DATA
        for name in ("one", "two"):
            _, at, _ = ask("POST", f"/v2/{name}/blobs/uploads/")
            for piece in (DATA, DATA[:500_000], b"small"):
                status, at, _ = ask("PATCH", at, piece)
                assert status == 202
            status, at, _ = ask("PUT", f"{at}&digest={digest.of(whole)}", DATA)
            assert status == 201
            assert ask("GET", at) == (200, "", whole)
        status, at, _ = ask("POST", f"/v2/one/blobs/uploads/?digest={digest.of(DATA)}", DATA)
        assert (status, ask("GET", at)[2]) == (201, DATA)


def test_a_client_waits_for_leave_to_send_much(registry: Serving, client: Client) -> None:
    at = client.upload("polite")
    with to(registry) as connection:
        connection.sendall(head(at, len(DATA), "Expect: 100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(DATA)
        assert b" 202 " in connection.recv(1000)


def test_a_body_that_comes_bit_by_bit(registry: Serving, client: Client) -> None:
    """What has come is counted before the next bit is sent, and no other request waits for it."""
    at, size = client.upload("slow"), 600_000
    with to(registry) as connection:
        connection.sendall(head(at, size))
        for sent in range(100_000, size + 1, 100_000):
            connection.sendall(DATA[sent - 100_000 : sent])
            while client("GET", at).headers["Range"] != f"0-{sent - 1}":
                pass
        assert b" 202 " in connection.recv(1000)
    name = digest.of(DATA[:size])
    assert client("PUT", f"{at.partition('?')[0]}?digest={name}").status == 201


def test_many_clients_that_stall_stop_nobody(registry: Serving, client: Client) -> None:
    """A worker has fewer threads than there are bodies on the way here."""
    with contextlib.ExitStack() as stack:
        for number in range(40):
            connection, at = stack.enter_context(to(registry)), client.upload(f"stalled{number}")
            connection.sendall(
                f"PATCH {at} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n".encode() + DATA[:300_000]
            )
            while client("GET", at).headers["Range"] != "0-299999":
                pass
        at = client.upload("fast")
        assert client("PUT", f"{at}&digest={digest.of(DATA)}", DATA).status == 201


@pytest.mark.parametrize("more", [b"", DATA])
def test_a_refused_body_ends_the_connection_after_the_answer(registry: Serving, client: Client, more: bytes) -> None:
    """A client that still sends sees why: the rest of what it sends is not taken for a request."""
    at = client.upload("refused")
    with to(registry) as connection:
        head = (
            f"PATCH {at} HTTP/1.1\r\nHost: x\r\nContent-Range: 5-{len(DATA) + 4}\r\nContent-Length: {len(DATA)}\r\n\r\n"
        )
        connection.sendall(head.encode() + DATA[:400_000])
        assert connection.recv(1000).split()[1] == b"416"
        with contextlib.suppress(ConnectionError):
            connection.sendall(more)
            while connection.recv(1000):
                pass
    assert client("GET", at).headers["Range"] == "0-0"


def test_a_body_of_another_digest(registry: Serving, client: Client) -> None:
    at = client.upload("wrong")
    with to(registry) as plain:
        ask = Connection(plain)
        status, _, text = ask("PUT", f"{at}&digest={digest.of(b'other')}", DATA)
        assert (status, b"DIGEST_INVALID" in text) == (400, True)
        assert ask("GET", "/v2/")[0] == 200
    assert client("GET", at).status == 404


def test_a_limit_counts_for_all_workers(tmp_path: pathlib.Path) -> None:
    """Whichever worker a client comes to, one body more than the limit is told to come later."""
    debug = f"unix://{tmp_path}/debug"
    config = {"lamina": {"maxuploads": 4}, "http": {"debug": {"addr": debug, "prometheus": {"enabled": True}}}}
    with serving(tmp_path, "--workers", "3", config=config) as registry, contextlib.ExitStack() as stack:
        client = Client(registry.address)
        for number in range(4):
            connection, at = stack.enter_context(to(registry)), client.upload(f"a{number}")
            connection.sendall(head(at, 10) + b"begun")
            while f"registry_uploads_arriving {number + 1}.0".encode() not in metrics(debug):
                pass
        for _ in range(6):  # each from a connection of its own
            other = Client(registry.address)
            reply = other("PATCH", other.upload("more"), b"x")
            assert (reply.status, reply.code, reply.headers["Retry-After"]) == (429, "TOOMANYREQUESTS", "1")
            other.close()
        connection.sendall(b"ended")
        assert b" 202 " in connection.recv(1000)
        assert client("PATCH", client.upload("more"), b"x").status == 202
        client.close()


@pytest.mark.parametrize("noted", ["trusted", "of another size", "since the machine started anew", "nonsense"])
def test_an_upload_ends_at_another_worker(tmp_path: pathlib.Path, noted: str) -> None:
    """What one worker has hashed another one need not read; what it cannot trust it reads."""
    with serving(tmp_path) as registry:
        client = Client(registry.address)
        at = client("PATCH", client.upload("a"), DATA).headers["Location"]
        registry.stop()
        client.close()
    (note,) = (tmp_path / "registry/docker/registry/v2/repositories/a/_uploads").glob("*/digest")
    boot, size, found = note.read_text().split()
    assert (int(size), found) == (len(DATA), digest.of(DATA))
    wrong = digest.of(b"what a note says that is wrong")
    note.write_text(
        {
            "trusted": f"{boot} {size} {wrong}",  # seen to be believed: it is not read again
            "of another size": f"{boot} {len(DATA) - 1} {wrong}",
            "since the machine started anew": f"{boot[::-1]} {size} {wrong}",
            "nonsense": "\xff nonsense",
        }[noted]
    )
    with serving(tmp_path) as registry:
        client = Client(registry.address)
        expected = 400 if noted == "trusted" else 201
        assert client("PUT", f"{at}&digest={digest.of(DATA)}").status == expected
        client.close()


def metrics(debug: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(debug.removeprefix("unix://"))
        return Connection(plain)("GET", "/metrics")[2]
