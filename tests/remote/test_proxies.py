"""By which proxy a host is reached."""

import pytest
from tests.remote.servers import Asked, Library, Reply, Server

from lamina.errors import InvalidArgument
from lamina.oci import reference
from lamina.remote import proxies
from lamina.remote.answers import RegistryUnavailable
from lamina.remote.client import Client
from lamina.remote.origins import Origin
from lamina.remote.registry import Registry
from lamina.remote.settings import Proxies, Settings

HOST = Origin("https", "a.example.com", 443)


@pytest.mark.parametrize(
    "rule", ["example.com", ".example.com", "*.example.com", "a.example.com:443", "*", "A.EXAMPLE.COM"]
)
def test_without(rule: str) -> None:
    assert proxies.choose(Proxies(https="http://p:1", without=("x", f" {rule} ")), HOST) == ""


@pytest.mark.parametrize(
    "rule", ["", "xample.com", ".a.example.com", "a.example.com:5000", "10.0.0.0/8", "example", ":443x"]
)
def test_with(rule: str) -> None:
    assert proxies.choose(Proxies(https="http://p:1", without=(rule,)), HOST) == "http://p:1"


@pytest.mark.parametrize(
    ("rule", "host", "covered"),
    [("10.0.0.0/8", "10.1.2.3", True), ("10.1.2.3", "10.1.2.3", True), ("10.1.2.4", "10.1.2.3", False),
     ("fd00::/8", "fd00::1", True), ("[fd00::1]", "fd00::1", True), ("10.1.2.3:5", "10.1.2.3", False)],
)  # fmt: skip
def test_addresses(rule: str, host: str, covered: bool) -> None:
    given = Proxies("http://p:1", without=(rule,))
    assert (proxies.choose(given, Origin("http", host, 80)) == "") == covered


def test_each_scheme_has_its_own() -> None:
    given = Proxies("http://plain:1", "tls:2")
    assert proxies.choose(given, Origin("http", "h", 80)) == "http://plain:1"
    assert proxies.choose(given, HOST) == "http://tls:2"
    for host in ("localhost", "127.0.0.1", "::1"):
        assert proxies.choose(given, Origin("http", host, 80)) == ""


def test_what_is_no_proxy() -> None:
    with pytest.raises(InvalidArgument, match="the proxy for https is no URL") as caught:
        proxies.choose(Proxies(https="socks5://me:secret@p"), HOST)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Settings(proxies=Proxies(https="http://me:secret@p")))


def test_by_plain_http() -> None:
    library = Library()
    root = library.image(b"x")

    def proxy(asked: Asked) -> Reply:
        return library(asked._replace(path=asked.path.removeprefix("http://registry.invalid")))

    with Server(proxy) as server:
        settings = Settings(
            ("registry.invalid",),
            certificates="",
            patience=0.01,
            attempts=1,
            proxies=Proxies(f"http://me:pass%20word@{server.host}", f"http://{server.host}"),
        )
        with Client(settings) as client:
            assert Registry(reference.parse("registry.invalid/a"), client).resolve("1") == root
        asked = server.asked[-1]
        assert asked.path == "http://registry.invalid/v2/a/manifests/1"
        assert asked.headers["Proxy-Authorization"] == "Basic bWU6cGFzcyB3b3Jk"
        assert server.asked[0].method == "CONNECT"  # HTTPS was tried first


def test_a_tunnel() -> None:
    with Server(lambda _: Reply(502)) as server:
        settings = Settings(certificates="", patience=0.01, attempts=1, proxies=Proxies(https=f"http://{server.host}"))
        with (
            Client(settings) as client,
            pytest.raises(RegistryUnavailable, match=r"registry\.invalid cannot be reached"),
        ):
            Registry(reference.parse("registry.invalid/a"), client).resolve("1")
        assert [(one.method, one.path) for one in server.asked] == [("CONNECT", "registry.invalid:443")]
