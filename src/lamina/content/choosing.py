"""From an index to the image for one platform."""

from ..errors import InvalidArgument
from ..oci import codec, manifest
from ..oci.manifest import Descriptor, Manifest
from ..oci.platform import Platform
from .contract import Source
from .copying import MAX_NESTING, read


class NoPlatform(InvalidArgument):
    """An index has no image for the platform wanted."""


def choose(source: Source, root: Descriptor, wanted: Platform) -> list[Descriptor]:
    """Return the way from a manifest or an index to the manifest for a platform: the root first, the manifest last.

    Raises:
        NoPlatform: there is none; the message lists those that there are.
        InvalidDocument: a document is malformed, or indexes lie too deep in each other.
    """
    way = [root]
    while len(way) <= MAX_NESTING + 1:
        value = manifest.parse(read(source, way[-1]), f"manifest {way[-1].digest}")
        if isinstance(value, Manifest):
            return way
        way.append(_matching(value.manifests, way[-1], wanted))
    raise codec.InvalidDocument(f"indexes lie more than {MAX_NESTING} deep in each other")


def _matching(found: tuple[Descriptor, ...], index: Descriptor, wanted: Platform) -> Descriptor:
    for child in found:
        if child.platform is None or wanted.runs(child.platform):
            return child
    offered = ", ".join(sorted({str(child.platform) for child in found})) or "none"
    raise NoPlatform(f"no matching manifest for {wanted} in index {index.digest}; it has {offered}")
