"""JSON of the outside world: decoded into typed values, within bounds, with errors that say what and where.

Bytes that have a digest are never re-encoded: a typed view is parsed from them, and thrown away.
"""

from typing import TypeVar

import msgspec

from ..errors import InvalidArgument
from ..streams import TooLarge

LIMIT = 4 << 20
"""The largest manifest, index or config that is read, in bytes: what registries must accept (distribution-spec)."""

T = TypeVar("T")


class InvalidDocument(InvalidArgument):
    """A JSON document is not what its place asks for."""


def decode(raw: bytes, kind: type[T], what: str) -> T:
    """Parse a document that came from outside.

    Raises:
        InvalidDocument: it is not JSON, not of this kind, or nested too deep; `what` begins the message.
        TooLarge: it is longer than `LIMIT`.
    """
    if len(raw) > LIMIT:
        raise TooLarge(f"{what} is larger than {LIMIT} bytes")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidDocument(f"{what} is invalid: {error}") from error
    except RecursionError as error:
        raise InvalidDocument(f"{what} is nested too deep") from error


def encode(value: object) -> bytes:
    """Write a value compactly, its fields in their order."""
    return msgspec.json.encode(value)


def as_go(text: str) -> str:
    """Return JSON with the letters escaped that Go's encoder never writes as they are."""
    return text.translate({ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"})
