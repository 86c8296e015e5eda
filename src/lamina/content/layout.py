"""An OCI image layout (image-spec, image-layout.md).

oci-layout               {"imageLayoutVersion":"1.0.0"}
index.json               an index of what has a name: its annotation org.opencontainers.image.ref.name
blobs/<algorithm>/<hex>  content
"""

import contextlib
import os
from collections.abc import Iterator

import msgspec

from ..files import replace
from ..oci import codec, mediatypes
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Index, parse_index
from ..streams import Reader
from .blobs import Blobs
from .contract import ContentNotFound, Store

VERSION_FILE = "oci-layout"
VERSION = b'{"imageLayoutVersion":"1.0.0"}'
INDEX = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"


class Layout(Store):
    """A layout in a folder, which is made when content comes. One writer at a time."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._blobs = Blobs(os.path.join(folder, "blobs"))

    def resolve(self, name: str) -> Descriptor:
        for descriptor in self.index().manifests:
            if name in (name_of(descriptor), descriptor.digest):
                return descriptor
        raise ContentNotFound(f"{self._folder} has nothing named {name!r}")

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        with self._blobs.open(descriptor.digest) as file:
            yield file

    def has(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self._blobs

    def push(self, descriptor: Descriptor, stream: Reader) -> None:
        self._blobs.put(descriptor, stream)

    def tag(self, descriptor: Descriptor, name: str) -> None:
        if not self.has(descriptor):
            raise ContentNotFound(f"{self._folder} has no content with the digest {descriptor.digest}")
        others = [found for found in self.index().manifests if name_of(found) != name]
        annotations = {**(descriptor.annotations or {}), REF_NAME: name}
        self._write([*others, msgspec.structs.replace(descriptor, annotations=annotations)])

    def delete(self, digest: Digest) -> None:
        kept = [found for found in self.index().manifests if found.digest != digest]
        if len(kept) != len(self.index().manifests):
            self._write(kept)
        self._blobs.delete(digest)

    def __iter__(self) -> Iterator[Digest]:
        return iter(self._blobs)

    def index(self) -> Index:
        """Return what has a name.

        Raises:
            InvalidDocument: index.json is malformed.
        """
        path = os.path.join(self._folder, INDEX)
        try:
            with open(path, "rb") as file:
                return parse_index(file.read(codec.LIMIT + 1), path)
        except FileNotFoundError:
            return Index(2, (), mediatypes.OCI_INDEX)

    def _write(self, manifests: list[Descriptor]) -> None:
        replace(os.path.join(self._folder, VERSION_FILE), VERSION)
        index = Index(2, tuple(manifests), mediatypes.OCI_INDEX)
        replace(os.path.join(self._folder, INDEX), codec.encode(index))


def name_of(descriptor: Descriptor) -> str:
    """Return the name that an index gives to content."""
    return (descriptor.annotations or {}).get(REF_NAME, "")
