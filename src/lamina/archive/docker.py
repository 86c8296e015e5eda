"""An archive of `docker save`, of any age since Docker 1.10, as a source of content.

    manifest.json            [{"Config":"<file>","RepoTags":["a:1"],"Layers":["<file>",...],"Parent":"<id>"}]
    <id>.json, blobs/...     configs
    <id>/layer.tar, blobs/.. layers, plain or compressed

There are no digests of layers as they lie there, so a layer's descriptor has the diff id that the config gives
for its place, and its size is not known.
"""

import contextlib
import io
from collections.abc import Iterator

import msgspec

from ..content.contract import ContentNotFound, Source
from ..decoding import NOT_JSON
from ..errors import InvalidArgument
from ..oci import codec, config, digest, mediatypes
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Manifest
from ..streams import Reader
from .members import Members, read, shown

MANIFEST = "manifest.json"
_LIMIT = 64 << 20


class InvalidArchive(InvalidArgument):
    """A file is not an archive of images."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """One image of an archive."""

    config: str
    repo_tags: list[str] | None = None
    layers: list[str] | None = None
    parent: str = ""


class DockerArchive(Source):
    """The content of an archive; images are asked for one by one."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._layers: dict[Digest, str] = {}
        self._configs: dict[Digest, bytes] = {}

    def items(self) -> list[Item]:
        """Return the images in the archive.

        Raises:
            InvalidArchive: it has no list of them, or a malformed one.
        """
        where = f"{MANIFEST} of {self._members.where}"
        try:
            return msgspec.json.decode(read(self._members, MANIFEST, _LIMIT), type=list[Item])
        except NOT_JSON as error:
            raise InvalidArchive(f"invalid archive: {where}: {error}") from error

    def manifest(self, item: Item) -> Manifest:
        """Return one image's manifest, and be ready to open what it names.

        Raises:
            MemberNotFound: the archive lacks its config or a layer.
            InvalidDocument: its config is malformed.
        """
        raw = read(self._members, item.config, codec.LIMIT)
        image = config.parse(raw, f"{shown(item.config)} of {self._members.where}")
        image_id = digest.of(raw)
        self._configs[image_id] = raw
        names = item.layers or []
        if len(names) != len(image.diff_ids):
            raise InvalidArchive(
                f"invalid manifest, layers length mismatch: {shown(item.config)} names {len(image.diff_ids)} layers, "
                f"{MANIFEST} {len(names)}"
            )
        layers = [self._layer(diff_id, name) for diff_id, name in zip(image.diff_ids, names, strict=True)]
        return Manifest(2, Descriptor(mediatypes.OCI_CONFIG, image_id, len(raw)), tuple(layers))

    def _layer(self, diff_id: Digest, name: str) -> Descriptor:
        size = self._members.size(name)
        self._layers.setdefault(diff_id, name)
        return Descriptor(mediatypes.OCI_LAYER, diff_id, size)

    def resolve(self, name: str) -> Descriptor:
        for item in self.items():
            if name in (item.repo_tags or []):
                return self.manifest(item).config
        raise ContentNotFound(f"{self._members.where} has no image named {name!r}")

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        if descriptor.digest in self._configs:
            yield io.BytesIO(self._configs[descriptor.digest])
        elif descriptor.digest in self._layers:
            yield self._members.open(self._layers[descriptor.digest])
        else:
            raise ContentNotFound(f"{self._members.where} has no content {descriptor.digest}")
