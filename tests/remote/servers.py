"""Small servers that answer as a test says: rightly, wrongly, or not at all.

    def answer(asked: Asked) -> Reply:
        return Reply(404)

    with Server(answer) as server:
        ...
        assert server.asked[0].path == "/v2/"

A reply may announce another length than it has, and then the connection ends; or leave its pieces to an iterator, which
goes out in chunks.
"""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from typing import Any, NamedTuple, Self

from lamina.oci import codec, digest, mediatypes
from lamina.oci.manifest import Descriptor, Manifest


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes


class Reply(NamedTuple):
    """What to answer. `length` is announced in place of the body's; status 0 hangs up."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | Iterable[bytes] = b""
    length: int | None = None


Answer = Callable[[Asked], Reply]


class Server:
    """A server on a free port of this machine; `tls` is what it proves itself by."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        handler = type("Handler", (_Handler,), {"ours": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.server_bind()
        self._server.server_activate()
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.01))
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def lines(self) -> list[str]:
        """Return the requests but the first look at /v2/, as `GET /path`."""
        return [f"{one.method} {one.path}" for one in self.asked if one.path != "/v2/"]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ours: "Server"

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return super().handle_one_request()
        self.close_connection = True
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answered
        raise AttributeError(name)

    def _answered(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked = Asked(self.command, self.path, self.headers, body)
        self.ours.asked.append(asked)
        self._send(self.ours.answer(asked))

    def _send(self, reply: Reply) -> None:
        if not reply.status:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not isinstance(reply.body, bytes):
            self._send_chunks(reply.body)
            return
        length = len(reply.body) if reply.length is None else reply.length
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
            self.close_connection = length > len(reply.body)

    def _send_chunks(self, pieces: Iterable[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


class Library:
    """Content by digest, served as a registry does; `before` may answer in its place."""

    def __init__(self, before: Callable[[Asked], Reply | None] = lambda _: None) -> None:
        self.blobs: dict[str, bytes] = {}
        self.kinds: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.before = before

    def add(self, data: bytes, kind: str = "application/octet-stream", name: str = "") -> Descriptor:
        """Have some content, and a tag of it."""
        content = digest.of(data)
        self.blobs[content], self.kinds[content] = data, kind
        self.names.update({name: content} if name else {})
        return Descriptor(kind, content, len(data))

    def image(self, *layers: bytes, name: str = "1") -> Descriptor:
        """Have an image."""
        config = self.add(b'{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[]}}', mediatypes.OCI_CONFIG)
        parts = tuple(self.add(layer, mediatypes.OCI_LAYER) for layer in layers)
        raw = codec.encode(Manifest(2, config, parts, mediatypes.OCI_MANIFEST))
        return self.add(raw, mediatypes.OCI_MANIFEST, name)

    def __call__(self, asked: Asked) -> Reply:
        if (reply := self.before(asked)) is not None:
            return reply
        path = asked.path.partition("?")[0]
        if path == "/v2/":
            return Reply(200, body=b"{}")
        name = path.rpartition("/")[2]
        content = self.names.get(name, name)
        if asked.method not in ("GET", "HEAD") or content not in self.blobs:
            return Reply(404, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
        headers = {"Docker-Content-Digest": content, "Content-Type": self.kinds[content]}
        return self._part(asked, self.blobs[content], headers)

    def _part(self, asked: Asked, data: bytes, headers: dict[str, str]) -> Reply:
        first = asked.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        if not first:
            return Reply(200, headers, data)
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        return Reply(206, {**headers, "Content-Range": span}, data[int(first) :])
