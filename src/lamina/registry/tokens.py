"""The state of an upload, as clients carry it from request to request: CNCF distribution's `_state`.

A token is base64url of an HMAC-SHA256 and a JSON text, the signed one: `{"Name","UUID","Offset","StartedAt"}`. Servers
that share a secret understand each other's.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

from .codes import UploadInvalid

_MAC = 32


class State(msgspec.Struct, frozen=True):
    """An upload's repository and id, how many bytes had arrived, and when it began (RFC 3339)."""

    name: str = msgspec.field(name="Name")
    identity: str = msgspec.field(name="UUID")
    offset: int = msgspec.field(name="Offset")
    started: str = msgspec.field(name="StartedAt")


def pack(state: State, secret: bytes) -> str:
    """Return the token of a state."""
    text = msgspec.json.encode(state)
    return base64.urlsafe_b64encode(_mac(text, secret) + text).decode()


def unpack(token: str, secret: bytes) -> State:
    """Return the state of a token.

    Raises:
        UploadInvalid: it was not signed with this secret, or is none.
    """
    try:
        data = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        if hmac.compare_digest(data[:_MAC], _mac(data[_MAC:], secret)):
            return msgspec.json.decode(data[_MAC:], type=State)
    except (binascii.Error, UnicodeError, msgspec.DecodeError) as error:
        raise UploadInvalid("the upload's _state is no token") from error
    raise UploadInvalid(
        "the upload's _state was not signed by this registry; servers that share uploads share a secret"
    )


def _mac(text: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, text, hashlib.sha256)
