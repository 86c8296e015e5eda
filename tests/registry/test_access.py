"""Who may do what: passwords, the registry's own tokens, those of another issuer, and the read-only switch."""

import base64
import json
import pathlib
import subprocess
import time
from collections.abc import Iterator

import bcrypt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.registry.client import Client, Reply
from tests.registry.serving import Serving, serving

from lamina.oci import digest

USERS = {"ann": "secret", "bob": "b:b"}
RIGHTS = {
    "ann": {"team/*": ["pull", "push", "delete"], "catalog": ["*"]},
    "bob": {"team/*": ["pull"]},
    "": {"open/*": ["pull"]},
    "*": {"open/*": ["pull", "push"]},
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TestPasswords:
    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
        with serving(tmp_path_factory.mktemp("passwords"), htpasswd=USERS) as found:
            yield found

    @pytest.mark.parametrize("path", ["/v2/", "/v2/_catalog", "/v2/a/tags/list", "/v2/a/manifests/t"])
    def test_everybody_is_asked(self, client: Client, path: str) -> None:
        reply = client("GET", path)
        assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="Registry"'

    @pytest.mark.parametrize(
        "header",
        [
            basic("ann", "wrong"),
            basic("eve", "secret"),
            basic("", ""),
            "Basic",
            "Basic !",
            "Basic YQ==",
            "Bearer x",
            "x" * 5000,
        ],
    )
    def test_who_is_wrong_is_refused(self, client: Client, header: str) -> None:
        assert client("GET", "/v2/", Authorization=header).status == 401

    def test_who_is_right_may_do_all(self, client: Client) -> None:
        for _ in range(3):
            for user, password in USERS.items():
                assert client("GET", "/v2/", Authorization=basic(user, password)).status == 200

    def test_the_file_is_read_again(self, tmp_path: pathlib.Path) -> None:
        with serving(tmp_path, htpasswd=USERS) as registry:
            client = Client(registry.address)
            assert client("GET", "/v2/", Authorization=basic("ann", "secret")).status == 200
            new = bcrypt.hashpw(b"changed", bcrypt.gensalt(4)).decode()
            (tmp_path / "htpasswd").write_text(f"ann:{new}\n")
            assert client("GET", "/v2/", Authorization=basic("ann", "secret")).status == 401
            assert client("GET", "/v2/", Authorization=basic("ann", "changed")).status == 200
            client.close()


class TestOwnTokens:
    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
        with serving(tmp_path_factory.mktemp("tokens"), htpasswd=USERS, rights=RIGHTS, delete=True) as found:
            yield found

    def token(self, client: Client, scope: str, user: str = "") -> str:
        headers = {"Authorization": basic(user, USERS[user])} if user else {}
        reply = client("GET", f"/auth/token?service=lamina&scope={scope}", None, **headers)
        assert reply.status == 200, reply
        return f"Bearer {reply.json['token']}"

    def test_the_challenge_says_where_to_go(self, registry: Serving, client: Client) -> None:
        reply = client("GET", "/v2/team/a/manifests/t")
        where = f'realm="http://{registry.address}/auth/token",service="lamina"'
        assert reply.headers["WWW-Authenticate"] == f'Bearer {where},scope="repository:team/a:pull"'

    @pytest.mark.parametrize(
        ("source", "more"), [("other/b", " repository:other/b:pull"), ("%22evil", ""), ("a%0d%0aX: y", "")]
    )
    def test_the_challenge_to_a_mount_names_both_repositories(self, client: Client, source: str, more: str) -> None:
        reply = client("POST", f"/v2/team/a/blobs/uploads/?mount={digest.of(b'x')}&from={source}")
        assert reply.headers["WWW-Authenticate"].endswith(f',scope="repository:team/a:pull,push{more}"')

    def test_rights(self, client: Client) -> None:
        push, pull = "repository:team/a:pull,push", "repository:team/a:pull"
        name = digest.of(b"x")

        def post(token: str) -> Reply:
            return client("POST", f"/v2/team/a/blobs/uploads/?digest={name}", b"x", Authorization=token)

        assert post(self.token(client, push, "bob")).status == 401
        assert post(self.token(client, pull, "ann")).status == 401
        assert post(self.token(client, push, "ann")).status == 201
        for user in ("ann", "bob"):
            token = self.token(client, pull, user)
            assert client("GET", f"/v2/team/a/blobs/{name}", Authorization=token).body == b"x"
            assert client("GET", f"/v2/team/b/blobs/{name}", Authorization=token).status == 401
            assert client("DELETE", f"/v2/team/a/blobs/{name}", Authorization=token).status == 401
        assert client("GET", f"/v2/team/a/blobs/{name}", Authorization=self.token(client, pull)).status == 401

    def test_nobody_in_particular_may_do_little(self, client: Client) -> None:
        token = self.token(client, "repository:open/a:pull,push")
        assert client("GET", "/v2/", Authorization=token).status == 200
        assert client("GET", "/v2/open/a/tags/list", Authorization=token).status == 404
        assert client("POST", "/v2/open/a/blobs/uploads/", Authorization=token).status == 401

    def test_a_mount_needs_the_right_to_pull(self, client: Client) -> None:
        name = digest.of(b"x")
        push = self.token(client, "repository:team/a:pull,push", "ann")
        client("POST", f"/v2/team/a/blobs/uploads/?digest={name}", b"x", Authorization=push)
        one = self.token(client, "repository:open/a:pull,push", "ann")
        both = self.token(client, "repository:open/a:pull,push&scope=repository:team/a:pull", "ann")
        for query in (f"mount={name}&from=team/a", f"mount={name}"):
            assert client("POST", f"/v2/open/a/blobs/uploads/?{query}", Authorization=one).status == 202
        path = f"/v2/open/a/blobs/uploads/?mount={name}&from=team/a"
        assert client("POST", path, Authorization=both).status == 201

    def test_the_catalog(self, client: Client) -> None:
        for user, status in (("ann", 200), ("bob", 401)):
            token = self.token(client, "registry:catalog:*", user)
            assert client("GET", "/v2/_catalog", Authorization=token).status == status

    def test_a_wrong_password_gets_none(self, client: Client) -> None:
        assert client("GET", "/auth/token", Authorization=basic("ann", "wrong")).status == 401


class TestAnotherIssuer:
    @pytest.fixture(scope="class")
    @classmethod
    def key(cls) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls, key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
        folder = tmp_path_factory.mktemp("issuer")
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        (folder / "keys.json").write_text(json.dumps({"keys": [{**public, "kid": "one", "alg": "ES256"}]}))
        told = {
            "realm": "https://issuer/token",
            "service": "images",
            "issuer": "them",
            "jwks": str(folder / "keys.json"),
        }
        with serving(folder, config={"auth": {"token": told}}) as found:
            yield found

    def sign(self, key: ec.EllipticCurvePrivateKey, **claims: object) -> str:
        access = [{"type": "repository", "name": "a", "actions": ["pull"]}]
        every = {"iss": "them", "aud": "images", "sub": "ann", "exp": time.time() + 60, "access": access, **claims}
        every = {name: value for name, value in every.items() if value is not None}
        return "Bearer " + jwt.encode(every, key, "ES256", headers={"kid": "one"})

    def test_a_good_token(self, client: Client, key: ec.EllipticCurvePrivateKey) -> None:
        assert client("GET", "/v2/a/tags/list", Authorization=self.sign(key)).code == "NAME_UNKNOWN"
        assert client("GET", "/v2/b/tags/list", Authorization=self.sign(key)).status == 401

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": 1},
            {"exp": None},
            {"exp": "soon"},
            {"aud": "other"},
            {"aud": None},
            {"iss": "other"},
            {"nbf": 1e11},
            {"exp": 10**400},
            {"access": []},
            {"access": "pull"},
            {"access": [1]},
            {"access": None},
        ],
    )
    def test_bad_tokens(self, client: Client, key: ec.EllipticCurvePrivateKey, claims: dict[str, object]) -> None:
        reply = client("GET", "/v2/a/tags/list", Authorization=self.sign(key, **claims))
        assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
        assert 'realm="https://issuer/token",service="images"' in reply.headers["WWW-Authenticate"]

    def test_algorithms(self, key: ec.EllipticCurvePrivateKey, tmp_path: pathlib.Path) -> None:
        """Only those that are named will do; a realm that is a path is on the host that was called."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        (tmp_path / "keys.json").write_text(json.dumps({"keys": [{**public, "kid": "one", "alg": "ES256"}]}))
        where = {"realm": "", "autoredirect": True, "jwks": str(tmp_path / "keys.json")}
        told = {**where, "service": "images", "issuer": "them"}
        for names, status in ((["EdDSA", "ES256"], 404), (["EdDSA"], 401)):
            with serving(tmp_path, config={"auth": {"token": {**told, "signingalgorithms": names}}}) as registry:
                client = Client(registry.address)
                assert client("GET", "/v2/a/tags/list", Authorization=self.sign(key)).status == status
                asked = client("GET", "/v2/").headers["WWW-Authenticate"]
                assert asked.startswith(f'Bearer realm="http://{registry.address}/auth/token"')
                client.close()
        config = {"auth": {"token": {**told, "signingalgorithms": ["HS256"]}}}
        with pytest.raises(RuntimeError, match="cannot be signed with 'HS256'"), serving(tmp_path, config=config):
            pass

    def test_tokens_of_others(self, client: Client) -> None:
        other = ec.generate_private_key(ec.SECP256R1())
        unsigned = "Bearer " + jwt.encode({"iss": "them", "aud": "images", "exp": 1e11}, None, "none")  # type: ignore[arg-type]
        for token in (self.sign(other), unsigned, "Bearer x.y.z", "Bearer " + "A" * 5000):
            assert client("GET", "/v2/a/tags/list", Authorization=token).status == 401


def test_read_only(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path) as registry:
        client = Client(registry.address)
        client.image("a", "1")
        assert client("DELETE", "/v2/a/manifests/1").code == "UNSUPPORTED"
        client.close()
    with serving(tmp_path, "--read-only", delete=True) as registry:
        client = Client(registry.address)
        assert client("GET", "/v2/a/manifests/1").status == 200
        for method, path in (("POST", "blobs/uploads/"), ("PUT", "manifests/1"), ("DELETE", "manifests/1")):
            reply = client(method, f"/v2/a/{path}", b"")
            assert (reply.status, reply.code) == (405, "UNSUPPORTED")
        client.close()


@pytest.mark.root
def test_a_storage_that_cannot_be_written(tmp_path: pathlib.Path) -> None:
    with serving(tmp_path) as registry:
        client = Client(registry.address)
        subject = client.image("a", "1")
        target = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1}
        referrer = client.image("a", "2", subject=target)
        layer = client("GET", "/v2/a/manifests/1").json["layers"][0]["digest"]
        client.close()
    place = str(registry.storage)
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        with serving(tmp_path, "--read-only") as registry:
            client = Client(registry.address)
            for path in (f"manifests/{subject}", f"blobs/{layer}"):
                assert [client(method, f"/v2/a/{path}").status for method in ("HEAD", "GET")] == [200, 200]
            rows = client("GET", f"/v2/a/referrers/{subject}").json["manifests"]
            assert [row["digest"] for row in rows] == [referrer]
            client.close()
    finally:
        subprocess.run(["umount", place], check=True)
