"""What a request may name (distribution-spec, Pulling manifests): repositories, tags, digests."""

from ..oci import digest, reference
from ..oci.digest import Digest
from .codes import DigestInvalid, NameInvalid, TagInvalid

MAX_NAME = 255
_ALGORITHMS = ("sha256", "sha512")


def repository(text: str) -> str:
    """Return the name of a repository.

    Raises:
        NameInvalid: it breaks the grammar, or is too long.
    """
    if len(text) > MAX_NAME:
        raise NameInvalid(f"a repository's name has at most {MAX_NAME} characters, this one {len(text)}")
    if not reference.is_path(text):
        raise NameInvalid(f"{text!r} names no repository: expected a-z and 0-9, parted by one of . _ __ - or /")
    return text


def tag(text: str) -> str:
    """Return a tag.

    Raises:
        TagInvalid: it breaks the grammar.
    """
    if not reference.is_tag(text):
        raise TagInvalid(f"{text[:200]!r} is no tag: expected up to 128 of the characters A-Z a-z 0-9 _ . -")
    return text


def content(text: str) -> Digest:
    """Return a digest of an algorithm that the registry keeps content by.

    Raises:
        DigestInvalid: it is none.
    """
    try:
        found = digest.parse(text)
    except digest.InvalidDigest as error:
        raise DigestInvalid(str(error), {"digest": text[:200]}) from error
    algorithm(digest.split(found)[0])
    return found


def algorithm(text: str) -> str:
    """Return the name of an algorithm that the registry keeps content by.

    Raises:
        DigestInvalid: it is none.
    """
    if text not in _ALGORITHMS:
        raise DigestInvalid(f"the digest algorithm {text[:50]!r} is not supported: use {' or '.join(_ALGORITHMS)}")
    return text
