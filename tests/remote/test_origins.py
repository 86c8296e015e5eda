"""Where registries are: mirrors, plain HTTP, and certificates."""

import contextlib
import os
import pathlib
import random
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from tests import peers
from tests.peers import Tool
from tests.registry.distribution import PASSWORD, USER, Distribution
from tests.remote.conftest import repository
from tests.remote.servers import Answer, Asked, Library, Reply, Server

from lamina.content.contract import ContentNotFound
from lamina.content.copying import read
from lamina.errors import Cancelled, InvalidArgument, LaminaError
from lamina.oci import mediatypes, reference
from lamina.remote import origins, settings
from lamina.remote.answers import InvalidAnswer, MirrorLied, RegistryUnavailable
from lamina.remote.client import Client
from lamina.remote.credentials import Credential, One
from lamina.remote.origins import CertificateInvalid, Origin, Place
from lamina.remote.registry import Registry
from lamina.remote.settings import Settings
from lamina.streams import DigestMismatch, Verified


class Certificates:
    """An authority, and what it vouches for, as files in a folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.authority = self._make("ca", "-x509", "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE")
        self.server = self._signed("server")
        self.client = self._signed("client")

    def _make(self, name: str, *options: str) -> tuple[str, str]:
        key = str(self.folder / f"{name}.key")
        out = str(self.folder / f"{name}.pem")
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"/CN={name}", "-out", out, *options
        )
        return out, key

    def _signed(self, name: str) -> tuple[str, str]:
        request, key = self._make(name)
        extra = self.folder / "extra"
        extra.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        out = str(self.folder / f"{name}.crt")
        signer = ["-CA", self.authority[0], "-CAkey", self.authority[1], "-CAcreateserial"]
        self._openssl("x509", "-req", "-in", request, *signer, "-days", "2", "-extfile", str(extra), "-out", out)
        return out, key

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def context(self, *, mutual: bool = False) -> ssl.SSLContext:
        """Return what a server proves itself by; with `mutual`, its clients have to do so too."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(*self.server)
        if mutual:
            found.verify_mode = ssl.CERT_REQUIRED
            found.load_verify_locations(self.authority[0])
        return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    peers.need(Tool("openssl").missing())
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder of Docker's certs.d."""
    folder = tmp_path / "certs.d"
    folder.mkdir()
    return folder


def trust(folder: pathlib.Path, host: str, **files: str) -> None:
    """Put files into a host's folder: `ca_crt="/path"` is `ca.crt`."""
    place = folder / host
    place.mkdir(exist_ok=True)
    for name, path in files.items():
        (place / name.replace("_", ".")).write_bytes(pathlib.Path(path).read_bytes())


@pytest.mark.parametrize(
    ("domain", "given", "expected"),
    [
        ("docker.io", Settings(), [Place("registry-1.docker.io", ("https",))]),
        ("ghcr.io", Settings(), [Place("ghcr.io", ("https",))]),
        ("h:5000", Settings(), [Place("h:5000", ("https",))]),
        ("localhost:5000", Settings(), [Place("localhost:5000", ("http", "https"))]),
        ("127.3.4.5", Settings(), [Place("127.3.4.5", ("http", "https"))]),
        ("[::1]:5000", Settings(), [Place("[::1]:5000", ("http", "https"))]),
        ("h:5000", Settings(("h:5000",)), [Place("h:5000", ("https", "http"))]),
        ("h:5000", Settings(("h",)), [Place("h:5000", ("https", "http"))]),
        ("h", Settings(("h:5000",)), [Place("h", ("https",))]),
        ("10.1.2.3:5000", Settings(("10.0.0.0/8",)), [Place("10.1.2.3:5000", ("https", "http"))]),
        ("11.1.2.3:5000", Settings(("10.0.0.0/8",)), [Place("11.1.2.3:5000", ("https",))]),
        (
            "docker.io",
            Settings(mirrors=("https://m:1/", "http://127.0.0.1:5")),
            [
                Place("m:1", ("https",), mirror=True),
                Place("127.0.0.1:5", ("http",), mirror=True),
                Place("registry-1.docker.io", ("https",)),
            ],
        ),
        ("ghcr.io", Settings(mirrors=("https://m",)), [Place("ghcr.io", ("https",))]),
    ],
)
def test_places(domain: str, given: Settings, expected: list[Place]) -> None:
    assert origins.places(domain, given) == expected


@pytest.mark.parametrize("mirror", ["m", "ftp://m", "https://m/path", "http://m", "https://", "https://a b"])
def test_what_is_no_mirror(mirror: str) -> None:
    with pytest.raises(InvalidArgument):
        origins.places("docker.io", Settings(mirrors=(mirror,)))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/x", Origin("https", "h", 443)),
        ("http://h:80/x", Origin("http", "h", 80)),
        ("HTTPS://H:5000", Origin("https", "h", 5000)),
        ("http://[::1]:5/", Origin("http", "::1", 5)),
    ],
)
def test_origins(url: str, expected: Origin) -> None:
    assert origins.of_url(url) == expected
    assert origins.of_url(str(expected)) == expected


def test_how_one_that_is_named_insecure_is_spoken_to(certificates: Certificates, client: Client) -> None:
    with Server(Library()) as plain, Server(Library(), certificates.context()) as proven:
        for server, scheme in ((plain, "http"), (proven, "https")):
            port = int(server.host.rpartition(":")[2])
            for order in (("https", "http"), ("http", "https")):
                with Client(Settings(certificates="", connect_timeout=2, read_timeout=2)) as asking:
                    assert asking.origin(Place(server.host, order)) == Origin(scheme, "127.0.0.1", port)
    with pytest.raises(RegistryUnavailable):
        repository(client, plain.host).resolve("1")


class TestDaemonJson:
    def test_it(self, tmp_path: pathlib.Path) -> None:
        path = tmp_path / "daemon.json"
        assert settings.read(str(path)) == Settings()
        path.write_text('{"registry-mirrors":["https://m"],"insecure-registries":["h"],"debug":true}')
        assert settings.read(str(path), "/certs") == Settings(("h",), ("https://m",), "/certs")

    @pytest.mark.parametrize("text", ["{", "[]", '{"registry-mirrors":"https://m"}', '{"insecure-registries":[3]}'])
    def test_a_malformed_one(self, tmp_path: pathlib.Path, text: str) -> None:
        path = tmp_path / "daemon.json"
        path.write_text(text)
        with pytest.raises(InvalidArgument, match=r"daemon\.json is invalid"):
            settings.read(str(path))


class TestMirrors:
    def pull(self, *mirrors: str) -> bytes:
        """Read an image of the hub's."""
        urls = tuple(f"http://{mirror}" for mirror in mirrors)
        with Client(Settings(mirrors=urls, certificates="", attempts=1, connect_timeout=1)) as client:
            return Registry(reference.parse("busybox"), client).fetch("1")[1]

    def test_in_their_order(self) -> None:
        library = Library()
        root = library.image(b"x")
        with contextlib.ExitStack() as stack:
            answers: tuple[Answer, ...] = (Library(), lambda _: Reply(500), lambda _: Reply(403), library)
            servers = [stack.enter_context(Server(answer)) for answer in answers]
            assert self.pull(*(server.host for server in servers)) == library.blobs[root.digest]
            for server in servers:
                assert server.lines() == ["GET /v2/library/busybox/manifests/1"]

    def test_one_that_lies(self) -> None:
        library, liar = Library(), Library()
        root = library.image(b"x")
        liar.image(b"y")
        liar.names["1"] = root.digest
        liar.blobs[root.digest], liar.kinds[root.digest] = b"{}", "x/y"
        with Server(liar) as first, Server(library) as second:
            urls = (f"http://{first.host}", f"http://{second.host}")
            with Client(Settings(mirrors=urls, certificates="")) as client:
                assert Registry(reference.parse("busybox"), client).fetch(root.digest)[0] == root
            assert len(first.lines()) == 1

    def test_one_that_is_down_is_asked_once(self) -> None:
        library = Library()
        root = library.image(b"x")
        with Server(lambda _: Reply(503)) as ill, Server(library) as good:
            urls = (f"http://{ill.host}", f"http://{good.host}")
            with Client(Settings(mirrors=urls, certificates="")) as client:
                place = Registry(reference.parse("busybox"), client)
                assert place.resolve("1") == root
                assert place.fetch("1")[0] == root
            assert len(ill.lines()) == 1
            assert len(good.lines()) == 2

    def test_one_with_other_bytes_under_a_digest(self) -> None:
        """The reader finds it out at the end, and gets the right ones when it begins again."""
        library, liar = Library(), Library()
        data = random.Random(1).randbytes(200_000)
        layer, config = library.add(data), library.add(b'{"a":1}', mediatypes.OCI_CONFIG)
        liar.blobs = {layer.digest: bytes(len(data)), config.digest: b'{"a":2}'}
        liar.kinds = library.kinds
        with Server(liar) as first, Server(library) as second, self.hub(first, second) as place:
            assert read(place, config) == b'{"a":1}'
            with pytest.raises(DigestMismatch), place.open(layer, 5) as stream:  # the fault may be in what is before
                Verified(stream, layer.digest).read()
            with pytest.raises(MirrorLied, match=rf"^mirror {first.host} is not asked again: .*{layer.digest}"):
                read(place, layer)
            assert read(place, layer) == data
            assert [len(server.lines()) for server in (first, second)] == [3, 2]

    @pytest.mark.parametrize("length", [None, 100_000])
    def test_one_that_has_less(self, length: int | None) -> None:
        """One that says so is passed over for that; one that breaks off, again and again, is not asked any more."""
        library = Library()
        data = random.Random(1).randbytes(100_000)
        layer = library.add(data)

        def short(asked: Asked) -> Reply:
            begin = int(asked.headers.get("Range", "bytes=0-")[6:-1])
            span = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
            return Reply(206 if begin else 200, span, data[begin:70_000], length and length - begin)

        with Server(short) as first, Server(library) as second, self.hub(first, second) as place:
            assert read(place, layer) == data
            assert len(first.lines()) == (1 if length is None else 3)
            assert [one.headers.get("Range") for one in second.asked] == [length and "bytes=70000-"]

    def test_all_lie(self) -> None:
        liar = Library()
        layer = liar.add(b"right")
        liar.blobs[layer.digest] = b"wrong"
        with Server(liar) as first, Server(liar) as second, self.hub(first, second) as place:
            for _ in range(2):
                with pytest.raises(MirrorLied):
                    read(place, layer)
            with pytest.raises(RegistryUnavailable, match=r"registry-1\.docker\.io"):
                read(place, layer)

    @contextlib.contextmanager
    def hub(self, *mirrors: Server) -> Iterator[Registry]:
        urls = tuple(f"http://{mirror.host}" for mirror in mirrors)
        how = Settings(mirrors=urls, certificates="", attempts=3, patience=0.01, connect_timeout=1)
        with Client(how) as client:
            yield Registry(reference.parse("busybox"), client)

    def test_credentials_of_the_hub_are_not_for_them(self) -> None:
        guard = Reply(401, {"WWW-Authenticate": "Basic realm=x"})
        with Server(lambda _: guard) as mirror, Server(Library()) as last:
            urls = (f"http://{mirror.host}", f"http://{last.host}")
            known = One("docker.io", Credential("me", "secret"))
            settings = Settings(mirrors=urls, certificates="", attempts=1, connect_timeout=1)
            with Client(settings, known) as client, pytest.raises(LaminaError):
                Registry(reference.parse("busybox"), client).resolve("1")
            assert not [one for one in mirror.asked if "Authorization" in one.headers]


class TestCertificates:
    def test_an_authority_of_ours(self, certificates: Certificates, trusted: pathlib.Path) -> None:
        library = Library()
        root = library.image(b"x")
        with Server(library, certificates.context()) as server:
            trust(trusted, server.host, ca_crt=certificates.authority[0])
            with Client(Settings(certificates=str(trusted))) as client:
                assert repository(client, server.host).resolve("1") == root
                assert str(client.origin(origins.places(server.host, client.settings)[-1])).startswith("https://")

    def test_nobody_vouches(self, certificates: Certificates, trusted: pathlib.Path, tmp_path: pathlib.Path) -> None:
        other = tmp_path / "other"
        other.mkdir()
        with Server(Library(), certificates.context()) as server:
            trust(trusted, server.host, ca_crt=Certificates(other).authority[0])
            settings = Settings(certificates=str(trusted), attempts=1)
            with Client(settings) as client, pytest.raises(RegistryUnavailable, match="certificate verify failed"):
                repository(client, server.host).resolve("1")

    def test_this_machine_needs_nobody(self, certificates: Certificates, client: Client) -> None:
        library = Library()
        root = library.image(b"x")
        with Server(library, certificates.context()) as server:
            assert repository(client, server.host).resolve("1") == root

    def test_ours_to_show(self, certificates: Certificates, trusted: pathlib.Path) -> None:
        library = Library()
        root = library.image(b"x")
        with Server(library, certificates.context(mutual=True)) as server:
            trust(trusted, server.host, ca_crt=certificates.authority[0])
            with Client(Settings(certificates=str(trusted), attempts=1)) as client, pytest.raises(RegistryUnavailable):
                repository(client, server.host).resolve("1")
            files = {"me_cert": certificates.client[0], "me_key": certificates.client[1]}
            trust(trusted, server.host, **files)
            with Client(Settings(certificates=str(trusted))) as client:
                assert repository(client, server.host).resolve("1") == root

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [("ca.crt", "x", "ca.crt cannot be used"), ("a.cert", "x", "needs a key"), ("a.cert", "", "needs a key")],
    )
    def test_files_that_are_none(self, trusted: pathlib.Path, name: str, text: str, said: str) -> None:
        (trusted / "h").mkdir()
        (trusted / "h" / name).write_text(text)
        with pytest.raises(CertificateInvalid, match=said):
            origins.context("h", Settings(certificates=str(trusted)))

    def test_cancelled_before_the_answer(self, certificates: Certificates, client: Client) -> None:
        silence, asked, begun = threading.Event(), threading.Event(), time.monotonic()

        def silent(request: Asked) -> Reply | None:
            if "/a/b/" in request.path:
                asked.set()
                silence.wait(30)
            return None

        def cancel() -> None:
            asked.wait(30)
            client.cancel()

        with Server(Library(silent), certificates.context()) as server:
            thread = threading.Thread(target=cancel)
            thread.start()
            with pytest.raises(Cancelled):
                repository(client, server.host).resolve("1")
            assert time.monotonic() - begun < 20
            thread.join()
            silence.set()

    def test_from_https_to_http(self, certificates: Certificates, client: Client) -> None:
        with Server(Library()) as plain:
            away = Reply(307, {"Location": f"http://{plain.host}/x"})
            library = Library(lambda asked: away if "/a/b/" in asked.path else None)
            with Server(library, certificates.context()) as server, pytest.raises(InvalidAnswer, match="plain HTTP"):
                list(repository(client, server.host).tags())
            assert plain.asked == []

    def test_credentials_are_not_sent_to_a_plain_realm(self, certificates: Certificates) -> None:
        with Server(Library()) as plain:
            challenge = {"WWW-Authenticate": f'Bearer realm="http://{plain.host}/token"'}
            with Server(lambda _: Reply(401, challenge), certificates.context()) as server:
                known = One(server.host, Credential("me", "secret"))
                with (
                    Client(Settings(certificates=""), known) as client,
                    pytest.raises(InvalidAnswer, match="in the clear"),
                ):
                    repository(client, server.host).resolve("1")
            assert plain.asked == []


def test_docker_registry_with_tls_and_a_password(
    certificates: Certificates, trusted: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    peers.need(Distribution.missing())
    with Distribution(str(tmp_path / "registry"), locked=True, tls=certificates.server) as registry:
        trust(trusted, registry.host, ca_crt=certificates.authority[0])
        known = One(registry.host, Credential(USER, PASSWORD))
        refused = pytest.raises(ContentNotFound, match="manifest unknown")
        with Client(Settings(certificates=str(trusted)), known) as client, refused:
            repository(client, registry.host).fetch("1")
        assert PASSWORD not in registry.log()
        assert os.path.isdir(registry.folder)
