"""Images in a few words: their configs and layers as bytes, as content, in archives, and in a store.

one = Sample([tar(file("a"))], ["one:1"])
image_id = put(store, one)
load(store, io.BytesIO(docker_archive(one)), ...)
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tests import tars

from lamina.content.contract import Store as ContentStore
from lamina.content.memory import Memory
from lamina.events import ignore
from lamina.oci import codec, digest, mediatypes, reference
from lamina.oci.digest import Digest
from lamina.oci.manifest import Descriptor, Index, Manifest
from lamina.store.install import install
from lamina.store.names import name_image
from lamina.store.store import Store

Compress = Callable[[bytes], bytes]


def plain(data: bytes) -> bytes:
    return data


class Sample(NamedTuple):
    """An image: its layers as plain tars, its names, and what its config has besides."""

    layers: list[bytes]
    names: Sequence[str] = ()
    extra: Mapping[str, Any] = MappingProxyType({})

    @property
    def config(self) -> bytes:
        diff_ids = [digest.of(layer) for layer in self.layers]
        rootfs = {"type": "layers", "diff_ids": diff_ids}
        return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **self.extra}).encode()

    @property
    def id(self) -> Digest:
        return digest.of(self.config)

    @property
    def chain_ids(self) -> list[Digest]:
        return digest.chains([digest.of(layer) for layer in self.layers])


def add(target: ContentStore, data: bytes, kind: str) -> Descriptor:
    """Put bytes into a place of content."""
    descriptor = Descriptor(kind, digest.of(data), len(data))
    target.push(descriptor, io.BytesIO(data))
    return descriptor


def content(sample: Sample, target: ContentStore, compress: Compress = plain) -> tuple[Manifest, Descriptor]:
    """Put an image into a place of content; return its manifest, and what that is called there."""
    config = add(target, sample.config, mediatypes.OCI_CONFIG)
    layers = tuple(add(target, compress(layer), mediatypes.OCI_LAYER) for layer in sample.layers)
    manifest = Manifest(2, config, layers, mediatypes.OCI_MANIFEST)
    return manifest, add(target, codec.encode(manifest), mediatypes.OCI_MANIFEST)


def put(store: Store, sample: Sample) -> Digest:
    """Put an image into a store, with its names."""
    source = Memory()
    manifest, _ = content(sample, source)
    with store.writing() as lease:
        image_id = install(store, lease, source, manifest, ignore).image_id
        for name in sample.names:
            name_image(store, reference.parse(name).tagged(), image_id)
    return image_id


def docker_members(*samples: Sample, compress: Compress = plain) -> dict[str, bytes]:
    """Return the files of an archive as `docker save` made it up to version 24, by name."""
    members: dict[str, bytes] = {}
    items = []
    for sample in samples:
        names = [f"{digest.encoded(chain_id)}/layer.tar" for chain_id in sample.chain_ids]
        members.update(zip(names, map(compress, sample.layers), strict=True))
        members[f"{digest.encoded(sample.id)}.json"] = sample.config
        items.append({"Config": f"{digest.encoded(sample.id)}.json", "RepoTags": [*sample.names], "Layers": names})
    return {**members, "manifest.json": json.dumps(items).encode()}


def oci_members(*samples: Sample, compress: Compress = plain) -> dict[str, bytes]:
    """Return the files of an OCI layout, by name."""
    place = Memory()
    entries: list[Descriptor] = []
    for sample in samples:
        _, descriptor = content(sample, place, compress)
        for name in sample.names or [""]:
            annotations = {"io.containerd.image.name": str(reference.parse(name).tagged())} if name else None
            entries.append(Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, (), annotations))
    members = {f"blobs/{found.replace(':', '/')}": place._blobs[found] for found in place}
    index = codec.encode(Index(2, tuple(entries), mediatypes.OCI_INDEX))
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', **members, "index.json": index}


def archive(members: Mapping[str, bytes]) -> bytes:
    """Return a tar of some files."""
    return tars.tar(*(tars.file(name, data) for name, data in members.items()))


def docker_archive(*samples: Sample, compress: Compress = plain) -> bytes:
    return archive(docker_members(*samples, compress=compress))


def oci_archive(*samples: Sample, compress: Compress = plain) -> bytes:
    return archive(oci_members(*samples, compress=compress))
