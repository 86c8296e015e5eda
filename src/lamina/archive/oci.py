"""An OCI image layout, in an archive or a folder, as a source of content; see `content.layout` for its form."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from ..content.choosing import choose
from ..content.contract import ContentNotFound, Source
from ..content.copying import read
from ..content.layout import INDEX, name_of
from ..oci import codec, digest, manifest, mediatypes, platform, reference
from ..oci.manifest import Descriptor, Manifest
from ..streams import Reader
from .members import Members
from .members import read as read_member

_CONTAINERD_NAME = "io.containerd.image.name"


class Found(NamedTuple):
    """One image of a layout: its manifest, the documents that lead to it, and its name, if it has a full one."""

    manifest: Manifest
    documents: list[Descriptor]
    name: str


class OciArchive(Source):
    """The content of a layout."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def images(self, wanted: platform.Platform) -> Iterator[Found]:
        """Yield the images that the layout's index names; of an index among them the one for a platform.

        Raises:
            InvalidDocument: a document is malformed.
            NoPlatform: an index has none for it.
        """
        raw = read_member(self._members, INDEX, codec.LIMIT)
        index = manifest.parse_index(raw, f"{INDEX} of {self._members.where}")
        for descriptor in index.manifests:
            if descriptor.media_type in mediatypes.MANIFESTS | mediatypes.INDEXES:
                way = choose(self, descriptor, wanted)
                value = manifest.parse(read(self, way[-1]), f"manifest {way[-1].digest}")
                assert isinstance(value, Manifest)
                yield Found(value, way, _name(descriptor))

    def resolve(self, name: str) -> Descriptor:
        raw = read_member(self._members, INDEX, codec.LIMIT)
        for descriptor in manifest.parse_index(raw, f"{INDEX} of {self._members.where}").manifests:
            if name in (name_of(descriptor), _name(descriptor), descriptor.digest):
                return descriptor
        raise ContentNotFound(f"{self._members.where} has nothing named {name!r}")

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        name = os.path.join("blobs", *digest.split(descriptor.digest))
        if name not in self._members:
            raise ContentNotFound(f"{self._members.where} has no content {descriptor.digest}")
        yield self._members.open(name)


def _name(descriptor: Descriptor) -> str:
    """Return the full reference that a descriptor is annotated with; a bare tag names no image."""
    for name in ((descriptor.annotations or {}).get(_CONTAINERD_NAME, ""), name_of(descriptor)):
        if ":" in name or "/" in name:
            with contextlib.suppress(reference.InvalidReference):
                return reference.parse(name).tagged().familiar
    return ""
