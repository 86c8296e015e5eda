"""Descriptors, manifests and indexes (image-spec: descriptor.md, manifest.md, image-index.md; Docker schema 2)."""

from typing import Annotated

import msgspec

from . import codec, digest, mediatypes
from .digest import Digest
from .platform import Platform


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A typed, sized, hashed pointer to content."""

    media_type: str
    digest: Digest
    size: Annotated[int, msgspec.Meta(le=(1 << 63) - 1)]
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str = ""


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image: its config and its layers, base first."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = ""
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Several manifests under one name, one a platform (Docker's manifest list too)."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str = ""
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


_ABSENT = msgspec.Raw(b"null")


class _Shape(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    manifests: msgspec.Raw = _ABSENT
    layers: msgspec.Raw = _ABSENT


def parse(raw: bytes, what: str = "manifest") -> Manifest | Index:
    """Return the manifest or the index that some bytes are, by content and not by what they are said to be.

    Raises:
        InvalidDocument: neither, or both at once (CVE-2021-41190), or a digest in it is none.
        TooLarge: longer than 4 MiB.
    """
    shape = codec.decode(raw, _Shape, what)
    if shape.schema_version != 2:
        raise codec.InvalidDocument(f"{what} has schemaVersion {shape.schema_version}; only 2 is supported")
    is_index = bytes(shape.manifests) != b"null"
    if is_index and bytes(shape.layers) != b"null":
        raise codec.InvalidDocument(f"{what} is ambiguous: it has both manifests and layers")
    if shape.media_type in (mediatypes.MANIFESTS if is_index else mediatypes.INDEXES):
        raise codec.InvalidDocument(f"{what} is ambiguous: its media type is not that of its content")
    value = codec.decode(raw, Index, what) if is_index else codec.decode(raw, Manifest, what)
    for descriptor in children(value):
        _check(descriptor, what)
    return value


def parse_index(raw: bytes, what: str) -> Index:
    """Return the index of a layout, `index.json`, which may have been written by hand.

    Raises:
        InvalidDocument: it is none, or a digest in it is none.
        TooLarge: longer than 4 MiB.
    """
    index = codec.decode(raw, Index, what)
    for descriptor in index.manifests:
        _check(descriptor, what)
    return index


def children(value: Manifest | Index) -> tuple[Descriptor, ...]:
    """Return the descriptors that a manifest or an index points to, the config first."""
    if isinstance(value, Index):
        return value.manifests
    return (value.config, *value.layers)


def _check(descriptor: Descriptor, what: str) -> None:
    try:
        digest.parse(descriptor.digest)
    except digest.InvalidDigest as error:
        raise codec.InvalidDocument(f"{what}: {error}") from error
    if descriptor.size < 0:
        raise codec.InvalidDocument(f"{what}: descriptor of {descriptor.digest} has a negative size")
