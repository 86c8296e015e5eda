"""What the store keeps beside its images: documents and layers as they came, and layers that came in part.

A document is kept as long as an image of it is here. Layers are kept within a bound; the oldest go first.
"""

import contextlib
import os
from collections.abc import Iterator

import msgspec

from ..content.contract import ContentNotFound
from ..content.local import Local
from ..errors import LaminaError
from ..lock import live_claims
from ..oci import codec, digest, manifest, mediatypes
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Index, Manifest
from ..store.store import Store
from . import policy
from .partial import Partials

CONTENT = "content"
"""The kind of claim on a document that has come before its image has."""

DOCUMENT, LAYER, PARTIAL = "document", "layer", "partial"
"""The kinds of what is kept."""


class Kept(msgspec.Struct, frozen=True):
    """Something that is kept.

    Attributes:
        digest: of all of it.
        kind: one of the above.
        media_type: of a document; empty for the others.
        size: bytes on disk.
        in_use: whether an image is here that it belongs to.
        changed: when it came, in seconds since 1970.
    """

    digest: Digest
    kind: str
    media_type: str
    size: int
    in_use: bool
    changed: float


def manifest_name(image_id: Digest) -> str:
    """Return the name in the store's content of the manifest that an image came, or went, with."""
    return f"manifest of {image_id}"


def document(content: Local, found: Digest) -> Descriptor:
    """Return the descriptor of a document that is kept.

    Raises:
        ContentNotFound: it is not.
        InvalidDocument: it is no manifest and no index.
    """
    path = content.path(found)
    try:
        with open(path, "rb") as file:
            raw = file.read(codec.LIMIT + 1)
    except FileNotFoundError as error:
        raise ContentNotFound(f"no content has the digest {found}") from error
    return Descriptor(media_type(manifest.parse(raw, f"content {found}")), found, len(raw))


def media_type(value: Manifest | Index) -> str:
    """Return the media type of a document that may leave it out."""
    return value.media_type or (mediatypes.OCI_INDEX if isinstance(value, Index) else mediatypes.OCI_MANIFEST)


def listing(store: Store) -> list[Kept]:
    """Return all that is kept, the latest first."""
    documents = dict(_documents(store))
    used = _used(store, documents)
    here = {store.layers.get(chain_id).diff_id for chain_id in store.layers}
    found: list[Kept] = []
    for blob in store.content:
        with contextlib.suppress(FileNotFoundError):
            about = os.stat(store.content.path(blob))
            value = documents.get(blob)
            kind, is_used = (DOCUMENT, blob in used) if value else (LAYER, store.distribution.diff_id(blob) in here)
            found.append(Kept(blob, kind, media_type(value) if value else "", about.st_size, is_used, about.st_mtime))
    for blob, size, changed in Partials(store.paths.partial).list():
        found.append(Kept(blob, PARTIAL, "", size, in_use=False, changed=changed))
    return sorted(found, key=lambda kept: -kept.changed)


def prune(store: Store, *, every: bool = False) -> list[Kept]:
    """Remove documents without an image, and layers and parts beyond their bounds; with `every` all of those.

    Returns:
        What was removed.
    """
    rules = policy.read(store.paths.policy)
    known = {kept.digest: kept for kept in listing(store) if kept.kind == PARTIAL}
    gone = [known[blob] for blob, _ in Partials(store.paths.partial).prune(rules, every=every) if blob in known]
    with store.lock():
        claimed = {name for kind, name in live_claims(store.paths.leases) if kind == CONTENT}
        for kept in listing(store):
            if kept.kind == DOCUMENT and not kept.in_use and digest.encoded(kept.digest) not in claimed:
                store.content.delete(kept.digest)
                gone.append(kept)
    return gone + shrink(store, 0 if every else rules.layers)


def shrink(store: Store, bound: int) -> list[Kept]:
    """Remove layers that are kept, the oldest first, until they take no more than so many bytes; return them."""
    gone: list[Kept] = []
    left = bound
    for kept in listing(store):
        if kept.kind == LAYER:
            left -= kept.size
            if left < 0:
                store.content.delete(kept.digest)
                gone.append(kept)
    return gone


def shrink_partials(store: Store) -> None:
    """Remove what came in part too long ago, or is too much."""
    Partials(store.paths.partial).prune(policy.read(store.paths.policy))


def _documents(store: Store) -> Iterator[tuple[Digest, Manifest | Index]]:
    for blob in store.content:
        with contextlib.suppress(LaminaError, FileNotFoundError):
            if os.path.getsize(store.content.path(blob)) <= codec.LIMIT:
                with open(store.content.path(blob), "rb") as file:
                    yield blob, manifest.parse(file.read(codec.LIMIT + 1), f"content {blob}")


def _used(store: Store, documents: dict[Digest, Manifest | Index]) -> set[Digest]:
    """Return the documents that lead to an image that is here."""
    used = {blob for blob, value in documents.items() if _leads(store, value, set())}
    while more := {blob for blob, value in documents.items() if blob not in used and _leads(store, value, used)}:
        used |= more
    return used


def _leads(store: Store, value: Manifest | Index, used: set[Digest]) -> bool:
    if isinstance(value, Manifest):
        return value.config.digest in store.images
    return any(child.digest in used for child in value.manifests)
