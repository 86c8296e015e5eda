"""Images to move, always the same, and a registry of a few lines that has one."""

import gzip
import io
import json
import random
from typing import NamedTuple

from tests import tars
from tests.remote.servers import Library

from lamina.engine import Engine
from lamina.oci import codec, digest, mediatypes
from lamina.oci.digest import Digest
from lamina.oci.manifest import Descriptor, Manifest


def make(engine: Engine) -> None:
    """Make `site:1`, of two layers, and `site:2`, of one more."""
    with engine.edit(created=0) as edit:
        edit.append(io.BytesIO(tars.tar(tars.directory("www"), tars.file("www/index", noise(1, 50_000)))), "a site")
        edit.append(io.BytesIO(tars.tar(tars.file("www/more", noise(2, 300_000)), tars.hardlink("www/l", "www/more"))))
        edit.set(cmd=["/serve"], labels={"team": "web"})
        edit.commit("site:1")
    with engine.edit("site:1", created=1) as edit:
        edit.append(io.BytesIO(tars.tar(tars.whiteout("www/more"), tars.file("www/new", noise(3, 1000)))), "newer")
        edit.commit("site:2")


def noise(seed: int, size: int) -> bytes:
    """Return bytes that do not compress, the same for a seed."""
    return random.Random(seed).randbytes(size)


class Sample(NamedTuple):
    """An image in a library, under the tag `1`."""

    image_id: Digest
    manifest: Descriptor
    layers: list[Descriptor]


def fill(library: Library, *layers: bytes, tag: str = "1", kind: str = mediatypes.OCI_MANIFEST, **more: str) -> Sample:
    """Put an image of plain tars, which are compressed, into a library."""
    blobs = [gzip.compress(layer, 1, mtime=0) for layer in layers]
    found = [library.add(blob, mediatypes.OCI_LAYER_GZIP) for blob in blobs]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "history": [], **more}
    config["rootfs"] = {"type": "layers", "diff_ids": [digest.of(layer) for layer in layers]}
    described = library.add(json.dumps(config).encode(), mediatypes.OCI_CONFIG)
    value = Manifest(2, described, tuple(found), kind, annotations={"made.by": "hand"})
    return Sample(described.digest, library.add(codec.encode(value), kind, tag), found)


def layers(*sizes: int) -> list[bytes]:
    """Return plain tars with a file of noise each."""
    return [tars.tar(tars.file(f"file{seed}", noise(seed, size))) for seed, size in enumerate(sizes)]
