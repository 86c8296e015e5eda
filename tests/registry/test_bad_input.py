"""What no well-behaved client sends: each gets an error, nothing becomes visible, and the server goes on."""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from tests.registry.client import Client, image
from tests.registry.serving import Serving, serving

from lamina.oci import digest
from lamina.registry import server
from lamina.registry.memory import Memory
from lamina.registry.service import Service
from lamina.registry.settings import Settings

ABSENT = digest.of(b"absent")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    config = {"lamina": {"idle": "500ms", "maxblob": 1 << 20}}
    with serving(tmp_path_factory.mktemp("bad"), delete=True, config=config) as found:
        yield found


@pytest.fixture(autouse=True)
def goes_on(registry: Serving) -> Iterator[None]:
    yield
    client = Client(registry.address)
    name = client.blob("still/there", os.urandom(8))
    assert client("HEAD", f"/v2/still/there/blobs/{name}").status == 200
    client.close()


def raw(registry: Serving, *pieces: bytes, patience: float = 20) -> bytes:
    """Send bytes as they are; return what comes back until the server has no more to say."""
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port)), patience) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        found = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                found += data
        return found


def request(line: str, *headers: str, connection: str = "close") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: registry", f"Connection: {connection}", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "a/..",
        "a/../b",
        "a//b",
        "A",
        "a_",
        "-a",
        "a.",
        "a%2fb",
        "a%2Fb",
        "%2e%2e",
        "a___b",
        "a\u00e9",
        "a b",
        "a:b",
        "x" * 256,
        "x/" * 150 + "x",
    ],
)
def test_names(registry: Serving, name: str) -> None:
    for line in (f"GET /v2/{name}/tags/list", f"POST /v2/{name}/blobs/uploads/", f"GET /v2/{name}/manifests/latest"):
        reply = raw(registry, request(line, "Content-Length: 0"))
        assert reply.split()[1] in (b"400", b"404"), reply
        assert b"Traceback" not in reply


def test_names_of_the_greatest_length(client: Client) -> None:
    client.image("x" * 255, "t" * 128)
    assert client("GET", f"/v2/{'x' * 255}/manifests/{'t' * 128}").status == 200
    assert client("GET", f"/v2/{'x' * 255}/manifests/{'t' * 129}").code == "TAG_INVALID"


@pytest.mark.parametrize(
    "reference", ["..", "a/b", "%2e%2e%2fx", "%0d%0aX-Evil:%20yes", "a%00", "-a", "sha256:..", "%ff"]
)
def test_references(registry: Serving, reference: str) -> None:
    for kind in ("manifests", "blobs", "referrers"):
        reply = raw(registry, request(f"GET /v2/a/{kind}/{reference}"))
        assert reply.split()[1] in (b"400", b"404"), reply
        assert b"X-Evil: yes" not in reply.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "query", ["digest=%0d%0aX-Evil:%20yes", "mount=x&from=%0d%0aX-Evil:%20yes", "digest-algorithm=%0d%0a"]
)
def test_headers_are_not_injected(registry: Serving, query: str) -> None:
    reply = raw(registry, request(f"POST /v2/a/blobs/uploads/?{query}", "Content-Length: 0"))
    assert reply.split()[1] == b"400"
    assert b"X-Evil: yes" not in reply.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"A" * 100_000,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http(registry: Serving, data: bytes) -> None:
    assert raw(registry, data + b"\r\n\r\n").split()[1:2] in ([b"400"], [])


def test_a_manifest_without_end(registry: Serving) -> None:
    head = request("PUT /v2/a/manifests/t", "Transfer-Encoding: chunked")
    assert raw(registry, head, *[b"100000\r\n" + bytes(1 << 20) + b"\r\n"] * 8).split()[1] == b"413"


def test_a_blob_without_end(registry: Serving, client: Client) -> None:
    head = request("POST /v2/a/blobs/uploads/?digest=" + ABSENT, "Transfer-Encoding: chunked")
    assert raw(registry, head, *[b"100000\r\n" + bytes(1 << 20) + b"\r\n"] * 4).split()[1] == b"413"
    assert client("GET", f"/v2/a/blobs/{ABSENT}").status == 404


@pytest.mark.parametrize(
    "head",
    [
        f"POST /v2/cut/blobs/uploads/?digest={digest.of(b'12345')}",
        "PUT /v2/cut/manifests/t",
    ],
)
@pytest.mark.parametrize("declared", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_short_body_leaves_nothing(registry: Serving, client: Client, head: str, declared: str) -> None:
    """Not even if what came has the digest: it is not what was announced."""
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(request(head, declared) + (b"5\r\n12345" if "chunked" in declared else b"12345"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert client("GET", f"/v2/cut/blobs/{digest.of(b'12345')}").status == 404
    assert client("GET", "/v2/cut/manifests/t").status == 404
    while list((registry.storage / "docker/registry/v2/repositories").glob("cut/_uploads/*")):
        pass  # until the server has seen that nothing more comes


def test_a_body_longer_than_announced(registry: Serving, client: Client) -> None:
    """What is over is no part of it, but a request of its own that nobody understands: the connection ends."""
    name = digest.of(b"12345")
    head = f"POST /v2/over/blobs/uploads/?digest={name} HTTP/1.1\r\nHost: registry\r\nContent-Length: 5\r\n\r\n"
    raw(registry, head.encode() + b"1234567890\r\n\r\n")
    found = client("GET", f"/v2/over/blobs/{name}")
    assert found.status == 404 or found.body == b"12345"
    assert client("GET", f"/v2/over/blobs/{digest.of(b'1234567890')}").status == 404


@pytest.mark.parametrize(
    "body", [b"zz\r\n12345\r\n0\r\n\r\n", b"-5\r\n12345\r\n0\r\n\r\n", b"5\r\n1234567890\r\n0\r\n\r\n"]
)
def test_chunks_that_lie(registry: Serving, client: Client, body: bytes) -> None:
    head = request(f"POST /v2/chunks/blobs/uploads/?digest={digest.of(b'12345')}", "Transfer-Encoding: chunked")
    assert raw(registry, head + body).split()[1:2] in ([b"400"], [])
    assert client("GET", f"/v2/chunks/blobs/{digest.of(b'12345')}").status == 404


def test_a_body_that_breaks_off(registry: Serving, client: Client) -> None:
    """What came before is there, and the upload goes on behind it."""
    data = os.urandom(900_000)
    at = client.upload("short").partition("?")[0]
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request(f"PATCH {at}", f"Content-Length: {len(data)}") + data[:600_000])
        while client("GET", at).headers["Range"] == "0-0":
            pass
    reply = client("GET", at)
    while reply.status != 201:  # until the server has seen that nothing more comes
        size = int(reply.headers["Range"].partition("-")[2]) + 1
        piece = f"{size}-{len(data) - 1}"
        reply = client("PUT", f"{at}?digest={digest.of(data)}", data[size:], Content_Range=piece)
        assert reply.status in (201, 416), reply
        reply = reply if reply.status == 201 else client("GET", at)
    assert size >= 128 << 10
    assert client("GET", f"/v2/short/blobs/{digest.of(data)}").body == data


def test_a_client_that_waits_is_told_to_go_on(registry: Serving, client: Client) -> None:
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(request(f"PATCH {client.upload('polite')}", "Content-Length: 4", "Expect: 100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"data")
        assert connection.recv(1000).split()[1] == b"202"


@pytest.mark.parametrize("declared", ["Content-Length: 100", "Content-Length: 900000", "Transfer-Encoding: chunked"])
def test_a_body_that_never_comes(registry: Serving, client: Client, declared: str) -> None:
    reply = raw(registry, request(f"PATCH {client.upload('slow')}", declared))
    assert reply.split()[1] == b"400"
    assert b"BLOB_UPLOAD_INVALID" in reply


def test_a_client_that_is_refused_may_say_the_rest(registry: Serving, client: Client) -> None:
    """Whoever sees an answer in the midst of sending is not cut off, and the rest is not taken for requests."""
    data = os.urandom(900_000)
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(request(f"PATCH {client.upload('late')}", f"Content-Length: {len(data)}") + data[:300_000])
        assert connection.recv(1000).split()[1] == b"400"  # nothing came for too long
        for start in range(300_000, len(data), 100_000):
            connection.sendall(data[start : start + 100_000])
        assert connection.recv(1000) == b""


def test_a_body_longer_than_the_piece(client: Client) -> None:
    at = client.upload("long")
    assert client("PATCH", at, b"12345", Content_Range="0-2").status == 416
    assert client("GET", at).headers["Range"] == "0-0"
    assert client("PUT", f"{at}&digest={digest.of(b'')}").status == 201


def test_one_waits_for_nobody(registry: Serving, client: Client) -> None:
    """Requests that say nothing do not hold up those that do."""
    host, _, port = registry.address.partition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(b"GET /v2/ HT")
        assert client("GET", "/v2/").status == 200


@pytest.mark.parametrize("said", [b"", b"GET /v2/", b"GET /v2/ HTTP/1.1\r\nX: "])
def test_who_never_says_what_he_wants_is_hung_up_on(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly the bytes drip in, they have to make a request in time."""
    monkeypatch.setattr(server, "_KEEP_ALIVE", 0.3)

    async def test() -> None:
        connections = server._Connections(Service(Memory(), Settings(), b"secret"))
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(connections, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(said)
        ended = asyncio.create_task(reader.read())
        while not (await asyncio.wait([ended], timeout=0.02))[0]:
            if said:
                writer.write(b"x")
        with contextlib.suppress(ConnectionError):  # of a byte that came too late
            assert await ended == b""
        writer.close()
        await connections.shutdown(0)

    asyncio.run(asyncio.wait_for(test(), 20))


def test_indexes_that_name_each_other_are_impossible(client: Client) -> None:
    client.blob("loop", b"{}")
    value = {"schemaVersion": 2, "manifests": [{"mediaType": "a/b", "digest": ABSENT, "size": 1}]}
    kind = "application/vnd.oci.image.index.v1+json"
    assert client("PUT", "/v2/loop/manifests/t", json.dumps(value).encode(), Content_Type=kind).status == 400


def test_two_bodies_for_one_upload_never_mix(registry: Serving, client: Client) -> None:
    at = client.upload("mixed")
    statuses: list[int] = []
    bodies = [bytes([number]) * 500_000 for number in range(4)]

    def send(data: bytes) -> None:
        own = Client(registry.address)
        statuses.append(own("PATCH", at.partition("?")[0], data, Content_Range="0-499999").status)
        own.close()

    threads = [threading.Thread(target=send, args=(data,)) for data in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 416, 416, 416]
    at = at.partition("?")[0]
    assert client("GET", at).headers["Range"] == "0-499999"
    (path,) = (registry.storage / "docker/registry/v2/repositories/mixed/_uploads").glob("*/data")
    assert path.read_bytes() in bodies


def files(folder: pathlib.Path) -> set[str]:
    """Return the files that may be seen: what is left of an upload is not."""
    return {str(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.root
def test_a_full_disk(tmp_path: pathlib.Path) -> None:
    """Nothing becomes visible, and the room is free again."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        with serving(tmp_path, storage=str(folder)) as registry:
            client = Client(registry.address)
            data = os.urandom(8 << 20)
            for way in (f"/v2/a/blobs/uploads/?digest={digest.of(data)}", ""):
                method, path = ("POST", way) if way else ("PATCH", client.upload("a"))
                reply = client(method, path, data)
                assert (reply.status, reply.code) == (507, "UNAVAILABLE")
                assert client("GET", f"/v2/a/blobs/{digest.of(data)}").status == 404
                room = os.statvfs(folder)
                assert room.f_bavail * room.f_bsize > 3 << 20
            name = client.image("a", "1")
            client.blob("a", b"{}")
            before = files(folder)
            with open(folder / "rest", "wb", buffering=0) as rest, contextlib.suppress(OSError):
                while rest.write(bytes(4096)):
                    pass
            data = json.dumps(image(b"{}", annotations={"a": "x" * 100_000})).encode()
            for method, path in (("PUT", "manifests/1"), ("POST", f"blobs/uploads/?digest={digest.of(data)}")):
                reply = client(method, f"/v2/a/{path}", data)
                assert (reply.status, reply.code) == (507, "UNAVAILABLE")
            assert client("HEAD", "/v2/a/manifests/1").headers["Docker-Content-Digest"] == name
            os.unlink(folder / "rest")
            assert files(folder) == before
            client.image("a", "2")
            client.close()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_what_is_under_way_is_finished(tmp_path: pathlib.Path) -> None:
    """It is finished to its last byte, also if that comes when all others have been hung up on."""
    with serving(tmp_path, "--workers", "1") as registry:
        client = Client(registry.address)
        at = client.upload("last")
        host, _, port = registry.address.partition(":")
        with socket.create_connection((host, int(port)), 20) as connection:
            head = request(f"PUT {at}&digest={digest.of(b'in time')}", "Content-Length: 7", connection="keep-alive")
            connection.sendall(head + b"in ")
            with socket.create_connection((host, int(port)), 20) as idle:
                idle.sendall(request(f"GET {at}", connection="keep-alive"))
                assert idle.recv(1000).split()[1] == b"204"  # and the other one has been taken
                os.kill(registry.pid, signal.SIGTERM)
                while idle.recv(1000):
                    pass
            connection.sendall(b"time")
            reply = connection.recv(1000)
            assert (reply.split()[1], b"\r\nConnection: close\r\n" in reply) == (b"201", True)
            assert connection.recv(1000) == b""
        assert registry.ended() == 0
        client.close()


def test_killed_and_started_again(tmp_path: pathlib.Path) -> None:
    """An upload goes on after the server was killed: what had arrived is there."""
    with serving(tmp_path) as registry:
        client = Client(registry.address)
        at = client("PATCH", client.upload("again"), b"first, ").headers["Location"]
        registry.stop(signal.SIGKILL)
        client.close()
    with serving(tmp_path) as registry:
        client = Client(registry.address)
        name = digest.of(b"first, second")
        assert client("PUT", f"{at}&digest={name}", b"second").status == 201
        assert client("GET", f"/v2/again/blobs/{name}").body == b"first, second"
        client.close()
