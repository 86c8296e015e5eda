"""Digests: `algorithm:hex` of some bytes (image-spec, descriptor.md, section Digests)."""

import hashlib
from typing import NewType

from ..errors import InvalidArgument

Digest = NewType("Digest", str)

_HEX = frozenset("0123456789abcdef")
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}

EMPTY_LAYER = Digest("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
"""The digest of a tar without entries (1024 zero bytes): Docker's mark of a step that wrote no file."""


class InvalidDigest(InvalidArgument):
    """A text is not a digest."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid digest {text[:100]!r}: expected an algorithm, a colon and lower-case hex")


def parse(text: str) -> Digest:
    """Return `text` as a digest.

    Raises:
        InvalidDigest: it is not one of a registered algorithm.
    """
    algorithm, colon, encoded = text.partition(":")
    if not colon or len(encoded) != _LENGTHS.get(algorithm) or not _HEX.issuperset(encoded):
        raise InvalidDigest(text)
    return Digest(text)


def is_hex(text: str) -> bool:
    """Tell whether `text` could be the beginning of a digest's hex part."""
    return bool(text) and _HEX.issuperset(text)


def of(data: bytes) -> Digest:
    """Return the sha256 digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def split(digest: Digest) -> tuple[str, str]:
    """Return the algorithm and the hex part."""
    algorithm, _, encoded = digest.partition(":")
    return algorithm, encoded


def encoded(digest: Digest) -> str:
    """Return the hex part."""
    return digest.partition(":")[2]


def short(digest: str) -> str:
    """Return the first twelve hex digits, as people read ids."""
    return digest.rpartition(":")[2][:12]


def chain(parent: Digest | None, diff_id: Digest) -> Digest:
    """Return the chain id of a layer on top of the chain `parent` (image-spec, config.md, Layer ChainID)."""
    return diff_id if parent is None else of(f"{parent} {diff_id}".encode())


def chains(diff_ids: list[Digest]) -> list[Digest]:
    """Return the chain id of each layer of a stack, base first."""
    result: list[Digest] = []
    for diff_id in diff_ids:
        result.append(chain(result[-1] if result else None, diff_id))
    return result
