"""Bearer tokens: JWTs whose `access` says what their bearer may do (distribution, Token Authentication)."""

import json
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from ..errors import InvalidArgument
from ..oci.reference import is_path
from .calls import Call
from .codes import Unauthorized
from .settings import TokenAccess

ALGORITHMS = ["EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"]
_LEEWAY = 60
_KNOWN = 1024

Grants = Mapping[tuple[str, str], frozenset[str]]


class Bearer:
    """Access by the tokens of an issuer.

    Args:
        settings: what clients are told, and what tokens must say.
        keys: the keys that tokens may be signed with, by their ids; without an id all are tried.

    Raises:
        InvalidArgument: an algorithm is not offered.
    """

    def __init__(self, settings: TokenAccess, keys: Mapping[str, Any]) -> None:
        self._settings = settings
        self._algorithms = _algorithms(settings)
        self._keys = keys
        self._known: OrderedDict[str, tuple[float, str, Grants]] = OrderedDict()

    async def check(self, call: Call, kind: str, name: str, actions: list[str]) -> str:
        scheme, _, token = call.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise self._unauthorized(call, kind, name, actions, "")
        try:
            user, grants = self._verified(token.strip())
        except (jwt.InvalidTokenError, OverflowError) as error:
            raise self._unauthorized(call, kind, name, actions, "invalid_token") from error
        granted = grants.get((kind, name), frozenset())
        if actions and not granted.issuperset(actions) and "*" not in granted:
            raise self._unauthorized(call, kind, name, actions, "insufficient_scope")
        return user

    def _verified(self, token: str) -> tuple[str, Grants]:
        known = self._known.get(token)
        if known is not None and known[0] > time.time():
            return known[1], known[2]
        claims = self._decode(token)
        user, grants = str(claims.get("sub", "")), _grants(claims.get("access"))
        self._known[token] = (float(claims["exp"]), user, grants)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return user, grants

    def _decode(self, token: str) -> dict[str, Any]:
        identity = jwt.get_unverified_header(token).get("kid")
        keys = [self._keys[identity]] if identity and identity in self._keys else list(self._keys.values())
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=self._algorithms,
                    audience=self._settings.service,
                    issuer=self._settings.issuer,
                    leeway=_LEEWAY,
                    options={"require": ["exp", "iss", "aud"]},
                )
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError, TypeError):
                continue
        raise jwt.InvalidSignatureError("none of the keys has signed it")

    def _unauthorized(self, call: Call, kind: str, name: str, actions: Sequence[str], error: str) -> Unauthorized:
        realm = self._settings.realm
        if realm.startswith("/"):
            realm = origin(call) + realm
        parts = [f'realm="{realm}"', f'service="{self._settings.service}"']
        if actions:
            parts.append(f'scope="{kind}:{name}:{",".join(actions)}{_source(call)}"')
        if error:
            parts.append(f'error="{error}"')
        detail = [{"Type": kind, "Name": name, "Action": action} for action in actions]
        return Unauthorized(
            "authentication is required" if error != "insufficient_scope" else "the token does not allow this",
            detail or None,
            {"WWW-Authenticate": "Bearer " + ",".join(parts)},
        )


def _source(call: Call) -> str:
    """Return the scope that a mount asks for besides that of its own repository."""
    source = call.query("from") if call.query("mount") else ""
    return f" repository:{source}:pull" if is_path(source) else ""


def origin(call: Call) -> str:
    """Return the scheme and the host that a client has called."""
    headers = call.request.headers
    scheme = headers.get("X-Forwarded-Proto", "") or call.request.scheme
    host = headers.get("X-Forwarded-Host", "") or call.request.host
    return call.service.settings.host or f"{'https' if scheme == 'https' else 'http'}://{host}"


def _algorithms(settings: TokenAccess) -> list[str]:
    for name in settings.algorithms:
        if name not in ALGORITHMS:
            raise InvalidArgument(f"tokens cannot be signed with {name!r}: expected {', '.join(ALGORITHMS)}")
    return list(settings.algorithms) or ALGORITHMS


def _grants(access: object) -> Grants:
    found: dict[tuple[str, str], frozenset[str]] = {}
    for row in access if isinstance(access, list) else []:
        if isinstance(row, dict) and isinstance(row.get("actions"), list):
            key = (str(row.get("type", "")), str(row.get("name", "")))
            found[key] = found.get(key, frozenset()) | frozenset(map(str, row["actions"]))
    return found


def keys(settings: TokenAccess) -> dict[str, Any]:
    """Return the public keys of an issuer's JWK set and certificates.

    Raises:
        InvalidArgument: there are none, or they cannot be read.
    """
    found: dict[str, Any] = {}
    try:
        if settings.jwks:
            with open(settings.jwks, encoding="utf-8") as file:
                for at, key in enumerate(jwt.PyJWKSet.from_dict(json.load(file)).keys):
                    found[key.key_id or f"jwk {at}"] = key.key
        if settings.certificates:
            with open(settings.certificates, "rb") as certificates:
                for at, certificate in enumerate(x509.load_pem_x509_certificates(certificates.read())):
                    found[f"certificate {at}"] = certificate.public_key()
    except (OSError, ValueError, jwt.PyJWTError) as error:
        raise InvalidArgument(f"cannot read the keys of {settings.issuer}: {error}") from error
    if not found:
        raise InvalidArgument(f"no key of {settings.issuer} is given: name jwks or rootcertbundle")
    return found


def own_key(path: str) -> ed25519.Ed25519PrivateKey:
    """Return the key that this registry signs tokens with; the first one that asks makes it.

    Raises:
        InvalidArgument: the file has another thing.
    """
    if not os.path.exists(path):
        pem = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        temporary = f"{path}.{os.urandom(8).hex()}.tmp"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
    with open(path, "rb") as file:
        key = load_pem_private_key(file.read(), None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InvalidArgument(f"{path} is no Ed25519 key")
    return key
