"""What refers to a manifest: signatures, SBOMs, attestations (distribution-spec, Listing Referrers).

A registry without the list has an index under a tag that is named after the subject, `sha256-<hex>`; whoever pushes
something with a subject keeps that index there.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from ..content.contract import ContentNotFound
from ..errors import NotSupported
from ..oci import codec, digest, manifest, mediatypes
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Index

if TYPE_CHECKING:
    from .registry import Registry


def of(repository: "Registry", subject: Digest, artifact_type: str = "") -> Iterator[Descriptor]:
    """Yield what refers to a manifest, of one type if one is given. There is none of what does not exist.

    Raises:
        InvalidDocument: the registry's list is malformed.
    """
    what = f"referrers of {repository.reference.familiar_name}@{subject}"
    query = "?" + urlencode({"artifactType": artifact_type}) if artifact_type else ""
    try:
        for raw in repository.pages(f"referrers/{digest.parse(subject)}{query}", what):
            yield from _of_type(manifest.parse_index(raw, what), artifact_type)
    except (ContentNotFound, NotSupported):
        yield from _of_type(_tagged(repository, subject), artifact_type)


def note(repository: "Registry", descriptor: Descriptor, raw: bytes) -> None:
    """Put a manifest with a subject into the index under the subject's tag."""
    value = manifest.parse(raw, f"manifest {descriptor.digest}")
    if value.subject is None:
        return
    kind = value.artifact_type or ("" if isinstance(value, Index) else value.config.media_type)
    entry = Descriptor(
        descriptor.media_type, descriptor.digest, len(raw), annotations=value.annotations, artifact_type=kind
    )
    before = _tagged(repository, value.subject.digest)
    if any(found.digest == entry.digest for found in before.manifests):
        return
    after = codec.encode(msgspec.structs.replace(before, manifests=(*before.manifests, entry)))
    described = Descriptor(mediatypes.OCI_INDEX, digest.of(after), len(after))
    repository.publish(described, after, _tag(value.subject.digest))


def _tagged(repository: "Registry", subject: Digest) -> Index:
    try:
        _, raw = repository.fetch(_tag(subject))
    except ContentNotFound:
        return Index(2, (), mediatypes.OCI_INDEX)
    return manifest.parse_index(raw, f"referrers of {subject}")


def _tag(subject: Digest) -> str:
    algorithm, encoded = digest.split(subject)
    return f"{algorithm[:32]}-{encoded[:64]}"


def _of_type(index: Index, artifact_type: str) -> Iterator[Descriptor]:
    return (found for found in index.manifests if artifact_type in ("", found.artifact_type))
