"""Images of the store into one file that Docker (of any age since 1.10), podman and skopeo read.

    blobs/sha256/<hex>    layers as plain tars, configs, manifests: each once, layers first
    index.json            the manifests, with their names (OCI)
    manifest.json         the images, with their names (Docker)
    oci-layout
    repositories          names for the tools of Docker's first years

The file is written front to back, so that it may be a pipe; layers are read from the store as they are written.
The same images give the same bytes.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ..content.contract import ContentNotFound, Source, Target
from ..content.copying import copy
from ..content.layout import INDEX, REF_NAME, VERSION, VERSION_FILE
from ..layers.layers import Layer
from ..oci import codec, digest, mediatypes, reference
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Index, Manifest
from ..oci.reference import Reference
from ..store.names import tell
from ..store.store import Store
from ..streams import CHUNK, DigestMismatch, Reader, Writer, chunks
from ..tar.header import BLOCK, DIRECTORY, Entry, blocks, padding
from .docker import MANIFEST, Item

_CONTAINERD_NAME = "io.containerd.image.name"
_REPOSITORIES = "repositories"


class Wanted(NamedTuple):
    """An image to save, and the names to save it under."""

    image_id: Digest
    names: list[Reference]


def save(store: Store, images: list[Wanted], target: Writer) -> None:
    """Write images with all their layers, which cannot be deleted meanwhile.

    Raises:
        ImageNotFound: an image is gone.
        LayerDamaged: a layer in the store is not what it was; what was written by then is no archive.
    """
    with store.keeping(wanted.image_id for wanted in images):
        source = StoreSource(store)
        archive = ArchiveTarget(target)
        manifests = [source.manifest(wanted.image_id) for wanted in images]
        ends = [
            (INDEX, codec.encode(_index(images, manifests))),
            (MANIFEST, codec.encode([_item(store, wanted, images) for wanted in images])),
            (VERSION_FILE, VERSION),
            (_REPOSITORIES, codec.encode(_repositories(store, images))),
        ]
        for descriptor in manifests:
            copy(source, archive, descriptor)
        for name, data in ends:
            archive.add(name, data)
        archive.end()
        for wanted in images:
            tell(store, "save", wanted.image_id)


def _index(images: list[Wanted], manifests: list[Descriptor]) -> Index:
    """Return OCI's list: an entry a name, and one for an image without."""
    entries: list[Descriptor] = []
    for wanted, descriptor in zip(images, manifests, strict=True):
        named = [{_CONTAINERD_NAME: str(name), REF_NAME: name.tag} for name in wanted.names]
        entries += [msgspec.structs.replace(descriptor, annotations=names) for names in named] or [descriptor]
    return Index(2, tuple(entries), mediatypes.OCI_INDEX)


def _item(store: Store, wanted: Wanted, images: list[Wanted]) -> Item:
    """Return Docker's description of one image; its parent is named if it is in the archive too."""
    parent = store.images.parent(wanted.image_id)
    return Item(
        blob(wanted.image_id),
        [name.familiar for name in wanted.names] or None,
        [blob(diff_id) for diff_id in store.images.summary(wanted.image_id).diff_ids],
        parent if parent is not None and any(other.image_id == parent for other in images) else "",
    )


def _repositories(store: Store, images: list[Wanted]) -> dict[str, dict[str, str]]:
    """Return the list of Docker's first years: the top layer of every name."""
    found: dict[str, dict[str, str]] = {}
    for wanted in images:
        diff_ids = store.images.summary(wanted.image_id).diff_ids
        for name in wanted.names if diff_ids else ():
            found.setdefault(name.familiar_name, {})[name.tag] = digest.encoded(diff_ids[-1])
    return found


class StoreSource(Source):
    """The images of a store as content: each with a manifest of plain layers, made when it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._documents: dict[Digest, bytes] = {}
        self._layers: dict[Digest, Layer] = {}
        self._sizes: dict[Digest, int] = {}
        self._manifests: dict[Digest, Descriptor] = {}

    def manifest(self, image_id: Digest) -> Descriptor:
        """Return the manifest of an image, and be ready to open what it names."""
        if image_id not in self._manifests:
            raw = self._store.images.raw(image_id)
            diff_ids = self._store.images.summary(image_id).diff_ids
            self._documents[image_id] = raw
            layers = tuple(map(self._layer, diff_ids, digest.chains(diff_ids)))
            config = Descriptor(mediatypes.OCI_CONFIG, image_id, len(raw))
            document = codec.encode(Manifest(2, config, layers, mediatypes.OCI_MANIFEST))
            self._documents[digest.of(document)] = document
            self._manifests[image_id] = Descriptor(mediatypes.OCI_MANIFEST, digest.of(document), len(document))
        return self._manifests[image_id]

    def _layer(self, diff_id: Digest, chain_id: Digest) -> Descriptor:
        if diff_id not in self._layers:
            self._layers[diff_id] = self._store.layers.get(chain_id)
            self._sizes[diff_id] = self._store.layers.tar_size(self._layers[diff_id])
        return Descriptor(mediatypes.OCI_LAYER, diff_id, self._sizes[diff_id])

    def resolve(self, name: str) -> Descriptor:
        image_id = self._store.references.get(reference.parse(name).tagged())
        if image_id is None:
            raise ContentNotFound(f"no image is named {name!r}")
        return self.manifest(image_id)

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        if descriptor.digest in self._documents:
            yield io.BytesIO(self._documents[descriptor.digest])
        elif descriptor.digest in self._layers:
            with self._store.layers.tar(self._layers[descriptor.digest]) as stream:
                yield stream
        else:
            raise ContentNotFound(f"no content has the digest {descriptor.digest}")


class ArchiveTarget(Target):
    """A tar with an OCI layout, written front to back; `close` adds what needs all images."""

    def __init__(self, target: Writer) -> None:
        self._target = target
        self._written: set[Digest] = set()
        self._directory("blobs/")
        self._directory("blobs/sha256/")

    def has(self, descriptor: Descriptor) -> bool:
        return descriptor.digest in self._written

    def push(self, descriptor: Descriptor, stream: Reader) -> None:
        if self.has(descriptor):
            return
        self._target.write(blocks(Entry(blob(descriptor.digest).encode(), size=descriptor.size)))
        count = 0
        for data in chunks(stream, CHUNK):
            self._target.write(data)
            count += len(data)
        if count != descriptor.size:
            raise DigestMismatch(f"layer {descriptor.digest}", f"{descriptor.size} bytes", f"{count} bytes")
        self._target.write(padding(count))
        self._written.add(descriptor.digest)

    def tag(self, descriptor: Descriptor, name: str) -> None:
        if not self.has(descriptor):
            raise ContentNotFound(f"no content has the digest {descriptor.digest}")

    def add(self, name: str, data: bytes) -> None:
        """Write a file."""
        self._target.write(blocks(Entry(name.encode(), size=len(data))) + data + padding(len(data)))

    def end(self) -> None:
        """Write the end of the archive."""
        self._target.write(bytes(2 * BLOCK))

    def _directory(self, name: str) -> None:
        self._target.write(blocks(Entry(name.encode(), DIRECTORY, 0o755)))


def blob(content: Digest) -> str:
    """Return the name of a blob in a layout."""
    return "blobs/" + content.replace(":", "/")
