"""Who we are to registries: what is said, when, and to whom; and that nobody else hears it."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.remote.conftest import repository
from tests.remote.servers import Asked, Library, Reply, Server

from lamina.errors import InvalidArgument, LaminaError
from lamina.oci import digest
from lamina.oci.manifest import Descriptor
from lamina.remote.answers import AccessDenied, InvalidAnswer, RegistryUnavailable, Unauthorized
from lamina.remote.client import Client
from lamina.remote.credentials import Credential, One
from lamina.remote.login import login
from lamina.remote.settings import Settings

ME = Credential("me", "secret word")
BASIC = "Basic " + base64.b64encode(b"me:secret word").decode()
SETTINGS = Settings(certificates="", patience=0.01, piece=1000)


class Realm:
    """Gives tokens, `t1`, `t2` and so on, to those that `knows` says; a guard of a library that wants the last ones."""

    def __init__(self, answer: dict[str, object] | None = None, knows: str = BASIC) -> None:
        self.extra = answer or {}
        self.knows = knows
        self.given: list[str] = []
        self.refused: set[str] = set()

    def __call__(self, asked: Asked) -> Reply:
        said = asked.headers.get("Authorization")
        if self.knows and said != self.knows and b"refresh_token=lasting" not in asked.body:
            return Reply(401, body=b'{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}')
        self.given.append(f"t{len(self.given) + 1}")
        return Reply(200, body=json.dumps({"token": self.given[-1], **self.extra}).encode())

    def guard(self, host: str) -> Callable[[Asked], Reply | None]:
        challenge = f'Bearer realm="http://{host}/token",service="here",scope="repository:a/b:pull"'

        def before(asked: Asked) -> Reply | None:
            kind, _, token = asked.headers.get("Authorization", "").partition(" ")
            good = kind == "Bearer" and token in self.given and token not in self.refused
            return None if good else Reply(401, {"WWW-Authenticate": challenge})

        return before


def asked_of(server: Server) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(one.path).query) for one in server.asked]


class TestBearer:
    def test_a_token_for_what_is_asked(self) -> None:
        realm, library = Realm(), Library()
        root = library.image(b"x")
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            library.before = realm.guard(giver.host)
            place = repository(client, server.host)
            assert place.resolve("1") == root
            assert place.fetch("1")[0] == root
            assert asked_of(giver) == [{"service": ["here"], "scope": ["repository:a/b:pull"], "account": ["me"]}]
            with pytest.raises(LaminaError):
                place.tag(root, "2")
            assert asked_of(giver)[1]["scope"] == ["repository:a/b:pull,push"]
        assert {one.headers.get("Authorization") for one in server.asked} == {None, "Bearer t1", "Bearer t2"}

    def test_nobody_gets_one_too_where_all_do(self) -> None:
        realm, library = Realm(knows=""), Library()
        root = library.image(b"x")
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS) as client:
            library.before = realm.guard(giver.host)
            assert repository(client, server.host).resolve("1") == root
            assert giver.asked[0].headers.get("Authorization") is None

    def test_a_wrong_password(self) -> None:
        realm, library = Realm(), Library()
        wrong = Credential("me", "wrong word")
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS, One(server.host, wrong)) as client:
            library.before = realm.guard(giver.host)
            with pytest.raises(Unauthorized, match="incorrect username or password") as caught:
                repository(client, server.host).resolve("1")
            assert "wrong word" not in str(caught.value)
            assert len(giver.asked) == 1

    @pytest.mark.parametrize("lasts", [{}, {"expires_in": 1}, {"expires_in": 0}, {"expires_in": -5}])
    def test_one_without_an_end_lasts_a_minute(self, lasts: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
        realm, library = Realm(lasts), Library()
        library.image(b"x")
        now = time.monotonic()
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            library.before = realm.guard(giver.host)
            place = repository(client, server.host)
            for later, given in ((0, 1), (50, 1), (61, 2)):
                monkeypatch.setattr("lamina.remote.tokens.time.monotonic", lambda later=later: now + later)
                place.resolve("1")
                assert len(realm.given) == given
        assert not [one for one in server.asked[4:] if one.headers.get("Authorization") is None]

    def test_one_that_is_given_up_early(self) -> None:
        realm, library = Realm({"expires_in": 3600}), Library()
        library.image(b"x")
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            library.before = realm.guard(giver.host)
            place = repository(client, server.host)
            place.resolve("1")
            realm.refused.add("t1")
            place.resolve("1")
            assert realm.given == ["t1", "t2"]

    def test_one_that_is_never_good(self) -> None:
        realm, library = Realm(), Library()
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            guard = realm.guard(giver.host)
            realm.refused.update({"t1", "t2", "t3"})
            library.before = guard
            with pytest.raises(Unauthorized, match="lamina login"):
                repository(client, server.host).resolve("1")
            assert len(giver.asked) <= 2

    def test_many_threads_get_one(self) -> None:
        realm, library = Realm(), Library()
        root = library.image(b"x")
        found = []
        with Server(realm) as giver, Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            library.before = realm.guard(giver.host)
            place = repository(client, server.host)
            threads = [threading.Thread(target=lambda: found.append(place.resolve("1"))) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert found == [root] * 8
            assert len(realm.given) == 1

    def test_an_identity_token_is_changed_for_one(self) -> None:
        realm, library = Realm(), Library()
        library.image(b"x")
        known = One("", Credential())
        with Server(realm) as giver, Server(library) as server:
            library.before = realm.guard(giver.host)
            known = One(server.host, Credential("me", identity_token="lasting"))
            with Client(SETTINGS, known) as client:
                repository(client, server.host).resolve("1")
            asked = giver.asked[0]
            assert asked.method == "POST"
            assert parse_qs(asked.body.decode()) == {
                "grant_type": ["refresh_token"],
                "service": ["here"],
                "client_id": ["lamina"],
                "scope": ["repository:a/b:pull"],
                "refresh_token": ["lasting"],
            }

    def test_a_token_of_the_registry_is_used_as_it_is(self) -> None:
        realm, library = Realm(), Library()
        library.image(b"x")
        realm.given.append("mine")
        with Server(realm) as giver, Server(library) as server:
            library.before = realm.guard(giver.host)
            with Client(SETTINGS, One(server.host, Credential(registry_token="mine"))) as client:
                repository(client, server.host).resolve("1")
            assert giver.asked == []

    @pytest.mark.parametrize(
        "raw",
        [b"", b"{", b"[]", b"{}", b'{"token":""}', b'{"token":3}', b'{"token":"a\\r\\nX: y"}', b'{"token":"a b"}',
         '{"token":"é"}'.encode(), b'{"token":"x","expires_in":"soon"}', b" " * (2 << 20)],
    )  # fmt: skip
    def test_what_is_no_token(self, raw: bytes) -> None:
        realm, library = Realm(), Library()
        answer = Reply(200, body=raw)
        with Server(lambda _: answer) as giver, Server(library) as server, Client(SETTINGS) as client:
            library.before = realm.guard(giver.host)
            with pytest.raises((InvalidAnswer, Unauthorized), match="token"):
                repository(client, server.host).resolve("1")

    def test_a_realm_that_is_busy(self) -> None:
        realm, library = Realm(knows=""), Library()
        root = library.image(b"x")
        bad = iter([503, 429])
        busy: Callable[[Asked], Reply] = lambda asked: Reply(s) if (s := next(bad, 0)) else realm(asked)  # noqa: E731
        with Server(busy) as giver, Server(library) as server, Client(SETTINGS) as client:
            library.before = realm.guard(giver.host)
            assert repository(client, server.host).resolve("1") == root

    def test_a_realm_that_is_not_there(self) -> None:
        realm, library = Realm(), Library()
        with Server(realm) as giver:
            library.before = realm.guard(giver.host)
        with (
            Server(library) as server,
            Client(SETTINGS) as client,
            pytest.raises(RegistryUnavailable, match=f"{giver.host} cannot be reached"),
        ):
            repository(client, server.host).resolve("1")

    @pytest.mark.parametrize("realm", ["", "token", "file:///etc/passwd", "http://", "http://a b/"])
    def test_a_realm_that_is_no_url(self, realm: str) -> None:
        library = Library(lambda _: Reply(401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}))
        with (
            Server(library) as server,
            Client(SETTINGS, One(server.host, ME)) as client,
            pytest.raises(InvalidAnswer, match="realm that is no URL"),
        ):
            repository(client, server.host).resolve("1")

    @pytest.mark.parametrize("challenge", ["", "Digest realm=x", ",,,", "Negotiate", '="'])
    def test_a_challenge_of_another_kind(self, challenge: str) -> None:
        library = Library(lambda _: Reply(401, {"WWW-Authenticate": challenge}))
        with Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            with pytest.raises((InvalidAnswer, Unauthorized)):
                repository(client, server.host).resolve("1")
            assert not [one for one in server.asked if "Authorization" in one.headers]

    def test_no_right(self) -> None:
        said = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
        with (
            Server(Library(lambda _: Reply(403, body=said))) as server,
            Client(SETTINGS) as client,
            pytest.raises(AccessDenied, match="does not exist or may require 'lamina login': denied: requested"),
        ):
            repository(client, server.host).fetch("1")


class TestBasic:
    def guard(self, asked: Asked) -> Reply | None:
        if asked.headers.get("Authorization") == BASIC:
            return None
        return Reply(401, {"WWW-Authenticate": 'Basic realm="here"'})

    def test_it_is_said_when_asked_for_and_then_always(self) -> None:
        library = Library(self.guard)
        root = library.image(b"x")
        with Server(library) as server, Client(SETTINGS, One(server.host, ME)) as client:
            place = repository(client, server.host)
            assert place.resolve("1") == root
            assert place.fetch("1")[0] == root
            assert [one.headers.get("Authorization") for one in server.asked] == [None, None, BASIC, BASIC]

    def test_a_wrong_one(self) -> None:
        library = Library(self.guard)
        refused = pytest.raises(Unauthorized, match=r"access to manifest for .* needs 'lamina login'")
        with Server(library) as server, Client(SETTINGS, One("another", ME)) as client, refused:
            repository(client, server.host).fetch("1")
        with Server(library) as server, Client(SETTINGS, One(server.host, Credential("me", "no"))) as client:
            with pytest.raises(Unauthorized):
                repository(client, server.host).fetch("1")
            assert len(server.asked) == 3


class TestSecrets:
    def test_they_are_in_no_text(self) -> None:
        one = Credential("me", "secret word", "lasting", "registry's")
        for text in (repr(one), str(one), f"{one}", f"{[one]}"):
            assert "secret" not in text
            assert "lasting" not in text
            assert "registry's" not in text

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("is_basic", [True, False])
    def test_a_redirect_tells_nobody_else(self, status: int, is_basic: bool) -> None:
        realm, library, there = Realm(), Library(), Library()
        layer = library.add(b"layer")
        there.add(b"layer")
        with Server(realm) as giver, Server(there) as other, Server(library) as server:
            guard = TestBasic().guard if is_basic else realm.guard(giver.host)

            def before(asked: Asked) -> Reply | None:
                if (refusal := guard(asked)) is not None or "/blobs/" not in asked.path:
                    return refusal
                return Reply(status, {"Location": f"http://{other.host}{asked.path}?signature=abc"})

            library.before = before
            with (
                Client(SETTINGS, One(server.host, ME)) as client,
                repository(client, server.host).open(layer) as stream,
            ):
                assert stream.read() == b"layer"
            assert len(other.asked) == 1
            assert "Authorization" not in other.asked[0].headers

    def test_another_host_that_asks_gets_nothing(self) -> None:
        """A redirect leads to a host that answers 401: who we are is the registry's to know."""
        library = Library()
        layer = library.add(b"layer")
        with Server(lambda _: Reply(401, {"WWW-Authenticate": "Basic realm=x"})) as other, Server(library) as server:
            away = Reply(307, {"Location": f"http://{other.host}/"})
            library.before = lambda asked: away if "/blobs/" in asked.path else None
            with Client(SETTINGS, One(server.host, ME)) as client, pytest.raises(LaminaError):
                repository(client, server.host).open(layer).__enter__()
            assert "Authorization" not in other.asked[0].headers
            assert len(other.asked) == 1

    def test_an_upload_elsewhere_is_told_nothing(self) -> None:
        """The place for an upload is on another host: its data goes there, who we are does not."""
        library = Library()
        with Server(lambda _: Reply(201)) as other, Server(library) as server:
            library.before = lambda asked: (
                TestBasic().guard(asked)
                or (Reply(202, {"Location": f"http://{other.host}/u"}) if asked.method == "POST" else None)
            )
            with Client(SETTINGS, One(server.host, ME)) as client:
                repository(client, server.host).push(Descriptor("t", digest.of(b"x"), 1), io.BytesIO(b"x"))
            assert [one.headers.get("Authorization") for one in other.asked] == [None]
            assert other.asked[0].body == b"x"


class TestLogin:
    def test_basic(self) -> None:
        with Server(Library(TestBasic().guard)) as server:
            assert login(SETTINGS, server.host, ME) == ME
            with pytest.raises(Unauthorized, match=f"login to {server.host} failed") as caught:
                login(SETTINGS, server.host, Credential("me", "wrong word"))
            assert "wrong word" not in str(caught.value)

    def test_bearer(self) -> None:
        realm, library = Realm(), Library()
        with Server(realm) as giver, Server(library) as server:
            library.before = realm.guard(giver.host)
            assert login(SETTINGS, server.host, ME) == ME
            with pytest.raises(Unauthorized, match="does not accept"):
                login(SETTINGS, server.host, Credential("me", "wrong word"))

    def test_a_token_in_place_of_the_password(self) -> None:
        realm, library = Realm({"refresh_token": "lasting"}), Library()
        with Server(realm) as giver, Server(library) as server:
            library.before = realm.guard(giver.host)
            assert login(SETTINGS, server.host, ME) == Credential("me", identity_token="lasting")
            assert asked_of(giver)[0]["offline_token"] == ["true"]

    def test_open_to_all(self) -> None:
        with Server(Library()) as server:
            assert login(SETTINGS, server.host, ME) == ME

    def test_what_is_no_registry(self) -> None:
        with Server(lambda _: Reply(404)) as server, pytest.raises(LaminaError, match=f"{server.host} not found"):
            login(SETTINGS, server.host, ME)

    @pytest.mark.parametrize("who", [Credential("a:b", "x"), Credential("a", "x\ny"), Credential("a\0", "x")])
    def test_what_cannot_be_sent(self, who: Credential) -> None:
        with pytest.raises(InvalidArgument):
            login(SETTINGS, "127.0.0.1:1", who)
