"""What the operator sees: the access log, metrics, health, notifications, the configuration."""

import contextlib
import http.server
import json
import os
import pathlib
import queue
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests import traces
from tests.registry import certificates
from tests.registry.client import Client
from tests.registry.serving import Serving, serving
from urllib3 import HTTPHeaderDict

from lamina.errors import InvalidArgument
from lamina.oci import mediatypes
from lamina.registry import configuration
from lamina.registry.settings import Settings, Tls


class Hook:
    """An endpoint for notifications: refuses the first, and hands out what it takes."""

    def __init__(self) -> None:
        self.taken: queue.Queue[tuple[dict[str, str], Any]] = queue.Queue()
        self.refuse = 1
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                hook.refuse -= 1
                self.send_response(500 if hook.refuse >= 0 else 200)
                self.end_headers()
                if hook.refuse < 0:
                    hook.taken.put((dict(self.headers), json.loads(data)))

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.close()


def test_notifications(hook: Hook, tmp_path: pathlib.Path) -> None:
    endpoint = {
        "name": "hook",
        "url": f"http://127.0.0.1:{hook.server.server_port}/events",
        "headers": {"X-Key": ["1"]},
        "ignore": {"mediatypes": ["application/octet-stream"]},
    }
    with serving(
        tmp_path, "--workers", "1", delete=True, config={"notifications": {"endpoints": [endpoint]}}
    ) as registry:
        client = Client(registry.address)
        name = client.image("a", "1")
        client("GET", "/v2/a/manifests/1")
        data = client("GET", f"/v2/a/manifests/{name}").body
        blob = client("GET", f"/v2/a/manifests/{name}").json["config"]["digest"]
        client("GET", f"/v2/a/blobs/{blob}")
        client("POST", f"/v2/b/blobs/uploads/?mount={blob}&from=a")
        client("PUT", f"/v2/a/manifests/{name}?tag=2&tag=3", data)
        client("DELETE", "/v2/a/manifests/1", X_Request_Id="abc-1")
        client.close()
        events: list[dict[str, Any]] = []
        while len(events) < 7:
            headers, body = hook.taken.get(timeout=10)
            assert headers["Content-Type"] == "application/vnd.docker.distribution.events.v2+json"
            assert headers["X-Key"] == "1"
            events += body["events"]
    said = [(event["action"], event["target"].get("tag")) for event in events]
    pulled = [("pull", "1"), ("pull", None), ("pull", None)]
    assert said == [("push", "1"), *pulled, ("push", "2"), ("push", "3"), ("delete", "1")]
    target = events[0]["target"]
    assert (target["repository"], target["tag"], target["digest"]) == ("a", "1", name)
    assert target["mediaType"] == mediatypes.OCI_MANIFEST
    assert target["url"] == f"http://{registry.address}/v2/a/manifests/{name}"
    assert events[-1]["request"]["id"] == "abc-1"


def test_metrics_and_health(tmp_path: pathlib.Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        debug = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {"http": {"debug": {"addr": debug, "prometheus": {"enabled": True, "path": "/numbers"}}}}
    with serving(tmp_path, "--workers", "2", config=config) as registry:
        for _ in range(6):
            client = Client(registry.address)
            client.image("a", "1")
            client("GET", "/v2/a/manifests/1")
            client.close()
        operator = Client(debug)
        text = operator("GET", "/numbers").body.decode()
        assert 'registry_http_requests_total{class="2xx",kind="manifests",method="GET"} 6.0' in text
        assert 'registry_actions_total{action="push"} 18.0' in text
        assert 'registry_http_request_seconds_bucket{kind="manifests",le="+Inf"} 12.0' in text
        assert (operator("GET", "/debug/health").status, operator("GET", "/debug/health").json) == (200, {})
        assert [operator("GET", path).status for path in ("/v2/", "/metrics")] == [404, 404]
        operator.close()


def test_the_access_log(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path) as registry:
        client = Client(registry.address, User_Agent="tests/1")
        client("GET", "/v2/a/tags/list?n=1", X_Request_Id="abc-1")
        reply = client("GET", "/v2/", X_Request_Id="not an id\t")
        at = client.upload("a")
        client("PATCH", at, b"x")
        client.close()
        first, second, _, patch = registry.log()
    assert (first["method"], first["path"], first["status"]) == ("GET", "/v2/a/tags/list?n=1", 404)
    assert (first["id"], first["agent"], first["remote"]) == ("abc-1", "tests/1", "127.0.0.1")
    assert second["id"] == reply.headers["X-Request-Id"] != "not an id"
    assert "_state" not in patch["path"]


def test_lines_that_are_kept_back(tmp_path: pathlib.Path) -> None:
    """They come in the end, also if that is the server's."""
    with serving(tmp_path, "--workers", "1", config={"lamina": {"logdelay": "100ms"}}) as registry:
        client = Client(registry.address)
        client("GET", "/v2/first")
        while not registry.log():
            pass
        client("GET", "/v2/last")
        client.close()
        registry.stop()
        assert registry.requests() == ["GET /v2/first", "GET /v2/last"]


def test_a_configuration(tmp_path: pathlib.Path) -> None:
    text = """
version: 0.1
log: {level: debug, formatter: text, fields: {service: registry}, accesslog: {disabled: true}}
loglevel: debug
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /srv/images}
  delete: {enabled: true}
  maintenance: {uploadpurging: {age: 1h30m, dryrun: true}, readonly: {enabled: true}}
http:
  addr: :5000
  secret: shared
  headers: {X-A: [one, two]}
  relativeurls: false
  tls: {certificate: c, key: k, minimumtls: tls1.3}
  h2c: {enabled: false}
  debug: {addr: 127.0.0.1:5001, prometheus: {enabled: true, path: /metrics}}
auth: {htpasswd: {realm: here, path: /etc/users}}
notifications: {events: {includereferences: false}}
catalog: {maxentries: 10}
tags: {maxtags: 20}
redis: {addrs: [localhost:6379]}
health: {storagedriver: {enabled: true}}
lamina: {maxmanifest: 8388608, idle: 10s, warnings: ['say "hello"']}
"""
    path = tmp_path / "config.yml"
    path.write_text(text)
    assert configuration.read(str(path)) == Settings(
        address=":5000",
        storage="/srv/images",
        secret="shared",
        delete=True,
        readonly=True,
        max_manifest=8 << 20,
        max_page=10,
        max_tags=20,
        idle=10,
        headers={"X-A": "one, two"},
        warnings=(r'299 - "say \"hello\""',),
        tls=Tls("c", "k", minimum="tls1.3"),
        htpasswd="/etc/users",
        realm="here",
        access_log=False,
        log_level="debug",
        debug_address="127.0.0.1:5001",
        metrics="/metrics",
        purge_age=5400,
        purge_dry=True,
    )
    toml = tmp_path / "config.toml"
    toml.write_text('[http]\naddr = "/run/images"\nnet = "unix"\n[storage]\ninmemory = {}\n')
    found = configuration.read(str(toml))
    assert (found.address, found.storage) == ("unix:///run/images", ":memory:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("storage: [", "expected"),
        ("storage: {delete: {enabled: 3}}", r"Expected `bool`, got `int` - at `\$.storage.delete.enabled`"),
        ("http: {adr: x}", "unknown field `adr` - at `\\$.http`"),
        ("http: {draintimeout: soon}", "'soon' is no duration"),
        ("- 1", "Expected `object`"),
        ("proxy: {remoteurl: https://registry-1.docker.io}", "proxy is not offered: the registry is no cache"),
        ("compatibility: {schema1: {enabled: true}}", "schema 1 are not taken"),
        ("notifications: {events: {includereferences: true}}", "includereferences is not offered"),
        ("storage: {s3: null}", "storage.s3 is not offered"),
        ("validation: {manifests: {urls: {deny: [x]}}}", "validation.manifests is not offered"),
        ("http: {tls: {certificate: c, key: k, minimumtls: tls1.0}}", "Invalid enum value 'tls1.0'"),
        ('http: {headers: {X-A: ["a\\r\\nX-B: b"]}}', "no header"),
        ("http: {headers: {'X A': [a]}}", "no header"),
        ('lamina: {warnings: ["a\\nb"]}', "characters that cannot be printed"),
        (f"lamina: {{warnings: [{'x' * 4000}]}}", "the limit is 3072"),
    ],
)
def test_what_a_configuration_cannot_say(tmp_path: pathlib.Path, text: str, message: str) -> None:
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(InvalidArgument, match=message):
        configuration.read(str(path))


def test_the_largest_pages(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, config={"tags": {"maxtags": 2}, "catalog": {"maxentries": 3}}) as registry:
        client = Client(registry.address)
        for tag in ("1", "2", "3"):
            client.image("a", tag)
        reply = client("GET", "/v2/a/tags/list?n=100")
        assert (reply.json["tags"], "last=2" in reply.headers["Link"]) == (["1", "2"], True)
        assert client("GET", "/v2/a/tags/list").json["tags"] == ["1", "2", "3"]
        assert [client("GET", f"/v2/_catalog?n={n}").status for n in (3, 4)] == [200, 400]
        client.close()


def test_warnings(tmp_path: pathlib.Path) -> None:
    texts = ["read-only from Friday on", 'the new one is "images.example"']
    with serving(tmp_path, config={"lamina": {"warnings": texts}}) as registry:
        client = Client(registry.address)
        for path in ("/v2/", "/v2/a/tags/list"):
            found = HTTPHeaderDict(client("GET", path).headers).getlist("Warning")
            assert found == ['299 - "read-only from Friday on"', r'299 - "the new one is \"images.example\""']
        client.close()


@pytest.mark.parametrize("dry", [True, False])
def test_old_uploads(tmp_path: pathlib.Path, dry: bool) -> None:
    purging = {"age": "0s", "interval": "200ms", "dryrun": dry}
    config = {"storage": {"maintenance": {"uploadpurging": purging}}}
    with serving(tmp_path, "--workers", "1", config=config) as registry:
        client = Client(registry.address)
        at = client.upload("a")
        identity = at.partition("?")[0].rpartition("/")[2]
        while f"a: upload {identity}" not in registry.told():
            pass
        assert ("would be forgotten" if dry else "are forgotten") in registry.told()
        assert client("GET", at).status == (204 if dry else 404)
        client.close()


def test_what_is_not_said_at_a_level(tmp_path: pathlib.Path) -> None:
    purging = {"age": "0s", "interval": "1ms"}
    config = {"storage": {"maintenance": {"uploadpurging": purging}}, "log": {"level": "warn"}}
    with serving(tmp_path, "--workers", "1", config=config) as registry:
        client = Client(registry.address)
        at = client.upload("a")
        while client("GET", at).status != 404:
            pass
        client.close()
        with pytest.raises(TimeoutError):
            registry.told(0)


def test_tls_of_a_version(tmp_path: pathlib.Path) -> None:
    certificate, key = certificates.make(tmp_path / "tls")
    tls = {"certificate": certificate, "key": key, "minimumtls": "tls1.3"}
    with serving(tmp_path, config={"http": {"tls": tls}}) as registry:
        host, _, port = registry.address.partition(":")
        context = ssl.create_default_context(cafile=certificate)
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=host) as one,
        ):
            assert one.version() == "TLSv1.3"
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((host, int(port))) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=host)


def test_a_unix_socket(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, address=f"unix://{tmp_path}/s") as registry:
        assert registry.address == f"unix://{tmp_path}/s"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{tmp_path}/s")
            connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert registry.stop() == 0
    assert not (tmp_path / "s").exists()


def test_a_socket_that_was_left_behind(tmp_path: pathlib.Path) -> None:
    address = f"unix://{tmp_path}/s"
    for _ in range(2):
        with serving(tmp_path, address=address) as registry:
            with pytest.raises(RuntimeError, match="another process serves there"), serving(tmp_path, address=address):
                pass
            registry.stop(signal.SIGKILL)
        assert (tmp_path / "s").exists()


def workers(registry: Serving) -> set[int]:
    path = pathlib.Path(f"/proc/{registry.pid}/task/{registry.pid}/children")
    return set(map(int, path.read_text().split()))


def test_a_worker_that_dies_is_replaced(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, "--workers", "2") as registry:
        before = workers(registry)
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        end = time.monotonic() + 30
        while len(workers(registry) - before) < 1:
            assert time.monotonic() < end, "nobody takes its place"
        for _ in range(10):  # connections go to either
            client = Client(registry.address)
            assert client("GET", "/v2/").status == 200
            client.close()


def test_no_worker_outlives_the_registry(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, "--workers", "2") as registry, contextlib.ExitStack() as stack:
        fds = [os.pidfd_open(pid) for pid in workers(registry)]
        for fd in fds:
            stack.callback(os.close, fd)
        registry.stop(signal.SIGKILL)
        assert all(traces.readable(10, fd) for fd in fds)


def test_in_memory(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, storage=":memory:", delete=True) as registry:
        client = Client(registry.address)
        name = client.image("a", "1")
        assert client("GET", f"/v2/a/manifests/{name}").status == 200
        assert client("DELETE", f"/v2/a/manifests/{name}").status == 202
        assert client("GET", "/v2/a/tags/list").json["tags"] == []
        client.close()
