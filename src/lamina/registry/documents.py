"""Manifests and indexes as a registry looks at them: what they are, what they name, and whose referrers they are."""

import hashlib

import msgspec

from ..oci import mediatypes
from ..oci.digest import Digest, split
from ..oci.manifest import Descriptor
from . import names
from .codes import DigestInvalid, ManifestInvalid

_KNOWN = mediatypes.MANIFESTS | mediatypes.INDEXES
_ELSEWHERE = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")


class Document(msgspec.Struct, frozen=True, rename="camel"):
    """A manifest or an index; what else its text has is kept, and not looked at."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[Descriptor, ...] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None

    @property
    def is_index(self) -> bool:
        """Whether it names manifests."""
        return self.manifests is not None

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What its repository must have, config first; layers that are fetched from elsewhere are left out."""
        if self.config is None:
            return ()
        return (self.config, *(layer for layer in self.layers or () if not _is_elsewhere(layer)))

    @property
    def has_foreign(self) -> bool:
        """Whether it has layers that are fetched from elsewhere (image-spec, Non-Distributable Layers: deprecated)."""
        return any(map(_is_elsewhere, self.layers or ()))

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests that it names."""
        return self.manifests or ()

    @property
    def type_as_referrer(self) -> str:
        """The artifact type that it is listed with among referrers (distribution-spec, Listing Referrers)."""
        return self.artifact_type or (self.config.media_type if self.config is not None else "")


def _is_elsewhere(layer: Descriptor) -> bool:
    return layer.media_type.startswith(_ELSEWHERE)


def parse(data: bytes) -> Document:
    """Return a manifest or an index.

    Raises:
        ManifestInvalid: it is none, or both at once (CVE-2021-41190), or names what no digest names.
    """
    try:
        found = msgspec.json.decode(data, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"the manifest is invalid: {error}") from error
    except RecursionError as error:
        raise ManifestInvalid("the manifest is nested too deep") from error
    if found.schema_version != 2:
        raise ManifestInvalid(f"the manifest has schemaVersion {found.schema_version}; only 2 is supported")
    _require_one_kind(found)
    try:
        for descriptor in (*found.blobs, *found.children, *([found.subject] if found.subject else [])):
            names.content(descriptor.digest)
            if descriptor.size < 0:
                raise ManifestInvalid(f"the manifest's descriptor of {descriptor.digest} has a negative size")
    except DigestInvalid as error:
        raise ManifestInvalid(f"the manifest is invalid: {error}", error.detail) from error
    return found


def _require_one_kind(found: Document) -> None:
    if found.is_index == (found.config is not None or found.layers is not None):
        raise ManifestInvalid("the manifest must have either config and layers, or manifests")
    if not found.is_index and (found.config is None or found.layers is None):
        raise ManifestInvalid("the manifest must have both config and layers")
    if found.media_type in (mediatypes.MANIFESTS if found.is_index else mediatypes.INDEXES):
        raise ManifestInvalid("the manifest's mediaType is not that of its content")


def media_type(document: Document) -> str:
    """Return what a manifest is served as where nobody has noted what it came as: distribution's guess."""
    return document.media_type or (mediatypes.OCI_INDEX if document.is_index else mediatypes.OCI_MANIFEST)


def require_type(declared: str, document: Document) -> str:
    """Return the media type that a manifest is pushed as; without a declared one, what its text says.

    Raises:
        ManifestInvalid: it is none of a manifest, or not what the text says.
    """
    kind = declared or media_type(document)
    if kind not in _KNOWN:
        raise ManifestInvalid(f"{kind[:200]!r} is no media type of a manifest", {"mediaType": kind[:200]})
    if document.media_type and document.media_type != kind:
        raise ManifestInvalid(f"the manifest was sent as {kind}, and its mediaType is {document.media_type[:200]!r}")
    if document.is_index != (kind in mediatypes.INDEXES):
        raise ManifestInvalid(f"the manifest was sent as {kind}, which its content is not")
    return kind


def digest(data: bytes, like: Digest | None) -> Digest:
    """Return the digest of a manifest, by the algorithm of another digest or by sha256."""
    algorithm = split(like)[0] if like else "sha256"
    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")


def descriptor(data: bytes, document: Document, digest: Digest, kind: str) -> Descriptor:
    """Return the descriptor by which a manifest is listed among the referrers of its subject."""
    return Descriptor(
        media_type=kind,
        digest=digest,
        size=len(data),
        annotations=document.annotations,
        artifact_type=document.type_as_referrer,
    )
