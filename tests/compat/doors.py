"""Four ways into a registry, ours and Debian's docker-registry: plain, by TLS, and by TLS with a password or a token.

A registry that has TLS is called 0.0.0.0: its clients come to this machine by that, but do not know it for this
machine, and so they do look at its certificate.
"""

import base64
import contextlib
import pathlib
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from tests.registry.distribution import PASSWORD, USER, Distribution
from tests.registry.serving import serving
from tests.remote.servers import Asked, Reply, Server

WAYS = ("plain", "tls", "passwords", "tokens")
SERVICE = "tests"

Pair = tuple[str, str]
"""A certificate and its key, as files."""


class Door(NamedTuple):
    """Where clients go: `HOST:PORT`, whether that is TLS, whether USER must prove who it is, and what is behind."""

    host: str
    secure: bool
    locked: bool
    storage: pathlib.Path


def _door(address: str, storage: pathlib.Path, way: str) -> Door:
    secure = way != "plain"
    return Door(address.replace("127.0.0.1", "0.0.0.0") if secure else address, secure, way in WAYS[2:], storage)


@contextlib.contextmanager
def ours(folder: pathlib.Path, way: str, pair: Pair) -> Iterator[Door]:
    """Run our registry; it gives its tokens itself."""
    with serving(
        folder,
        delete=True,
        htpasswd={USER: PASSWORD} if way in ("passwords", "tokens") else None,
        rights={USER: {"*": ["pull", "push", "delete"]}} if way == "tokens" else None,
        tls=None if way == "plain" else pair,
    ) as registry:
        yield _door(registry.address, registry.storage, way)


@contextlib.contextmanager
def theirs(folder: pathlib.Path, way: str, pair: Pair) -> Iterator[Door]:
    """Run docker-registry; its tokens are an `Issuer`'s."""
    with contextlib.ExitStack() as stack:
        tokens = None
        if way == "tokens":
            proof = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            proof.load_cert_chain(*pair)
            server = stack.enter_context(Server(issuer(pair), proof))
            realm = f"https://{server.host.replace('127.0.0.1', '0.0.0.0')}/token"
            tokens = {"realm": realm, "service": SERVICE, "issuer": SERVICE, "rootcertbundle": pair[0]}
        tls = None if way == "plain" else pair
        place = stack.enter_context(Distribution(str(folder), locked=way == "passwords", tls=tls, tokens=tokens))
        yield _door(place.host, pathlib.Path(place.storage), way)


REGISTRIES: dict[str, Callable[[pathlib.Path, str, Pair], AbstractContextManager[Door]]] = {
    "lamina": ours,
    "docker-registry": theirs,
}


def issuer(pair: Pair) -> Callable[[Asked], Reply]:
    """Return what answers as an issuer of tokens: USER gets what it asks for, nobody in particular gets nothing.

    docker-registry 2.8 knows no EdDSA, which signs our own tokens: these are ES256 and have their certificate.
    """
    certificate = x509.load_pem_x509_certificate(pathlib.Path(pair[0]).read_bytes())
    key = load_pem_private_key(pathlib.Path(pair[1]).read_bytes(), None)
    chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def answer(asked: Asked) -> Reply:
        given = asked.headers.get("Authorization")
        if given not in (None, right):
            return Reply(401, body=b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong user or password"}]}')
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(asked.path).query)
        scopes = [scope.split(":") for scope in query.get("scope", [])] if given else []
        access = [{"type": kind, "name": name, "actions": actions.split(",")} for kind, name, actions in scopes]
        now = int(time.time())
        claims = {"iss": SERVICE, "aud": SERVICE, "sub": USER, "nbf": now - 10, "exp": now + 300, "access": access}
        token = jwt.encode(claims, key, "ES256", headers={"x5c": chain})  # type: ignore[arg-type]
        return Reply(body=b'{"token":"%s"}' % token.encode())

    return answer
