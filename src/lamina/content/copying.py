"""Moving a graph of content: an index or a manifest with all that it points to, children before parents."""

import io

from ..oci import codec, manifest, mediatypes
from ..oci.manifest import Descriptor
from ..streams import Verified, read_small
from .contract import Source, Target

MAX_NESTING = 8
"""How deep indexes may lie in indexes."""

_PARENTS = mediatypes.INDEXES | mediatypes.MANIFESTS


def copy(source: Source, target: Target, root: Descriptor) -> None:
    """Move content with all that it points to; what the target has is neither read nor sent.

    The target sees a manifest only after everything that the manifest names.

    Raises:
        ContentNotFound: the source lacks something.
        DigestMismatch: something is not what its descriptor says.
        InvalidDocument: a manifest is malformed, or indexes lie too deep.
    """
    _copy(source, target, root, 0)


def _copy(source: Source, target: Target, descriptor: Descriptor, depth: int) -> None:
    if target.has(descriptor):
        return
    if descriptor.media_type not in _PARENTS:
        with source.open(descriptor) as stream:
            target.push(descriptor, stream)
        return
    if depth > MAX_NESTING:
        raise codec.InvalidDocument(f"indexes lie more than {MAX_NESTING} deep in each other")
    raw = read(source, descriptor)
    for child in manifest.children(manifest.parse(raw, descriptor.digest)):
        _copy(source, target, child, depth + 1)
    target.push(descriptor, io.BytesIO(raw))


def read(source: Source, descriptor: Descriptor) -> bytes:
    """Return a small document, verified.

    Raises:
        TooLarge: it is longer than documents may be.
        DigestMismatch: it is not what the descriptor says.
    """
    with source.open(descriptor) as stream:
        verified = Verified(stream, descriptor.digest, descriptor.size, f"content {descriptor.digest}")
        return read_small(verified, codec.LIMIT, f"content {descriptor.digest}")
