"""Where images are. Nobody else joins these paths.

image/<driver>/                 Docker's layout, byte for byte (moby, daemon/internal/image/fs.go)
  imagedb/content/sha256/<id>   a config, as it came; its digest is the id
  imagedb/metadata/sha256/<id>/
    parent                      the id of the image that it was built or committed on
    lastUpdated                 when a name was last given to it (RFC 3339)
    builtLocally                the byte 1: a build here made it, so the cache may use it
  repositories.json             {"Repositories":{"<name>":{"<name>:<tag>":"<id>","<name>@<digest>":"<id>"}}}
  distribution/
    diffid-by-digest/sha256/<blob>        the diff id of the layer that a blob unpacks to
    v2metadata-by-diffid/sha256/<diff id> [{"Digest":"<blob>","SourceRepository":"<repository>","HMAC":"<seal>"}]
lamina/index/
  steps/<key>                   ids of the images that a build step made, the newest last
  forms/sha256/<diff id>        [{"descriptor":{...},"maker":"..."}]: what manifests say of a layer's blobs
  stamp                         the state of imagedb/metadata that the index knows
"""

import os

from ..oci import digest
from ..oci.digest import Digest


class Paths:
    """The paths of an image store in `home`, and of its index."""

    def __init__(self, home: str, index: str) -> None:
        self.content = os.path.join(home, "imagedb", "content", "sha256")
        self.metadata = os.path.join(home, "imagedb", "metadata", "sha256")
        self.repositories = os.path.join(home, "repositories.json")
        self.distribution = os.path.join(home, "distribution")
        self.index = index
        self.steps = os.path.join(index, "steps")
        self.stamp = os.path.join(index, "stamp")

    def config(self, image_id: Digest) -> str:
        """The file of a config."""
        return os.path.join(self.content, digest.encoded(image_id))

    def facts(self, image_id: Digest) -> str:
        """The folder of what is known of an image."""
        return os.path.join(self.metadata, digest.encoded(image_id))

    def fact(self, image_id: Digest, name: str) -> str:
        """The file of one thing known of an image."""
        return os.path.join(self.facts(image_id), name)

    def step(self, key: str) -> str:
        """The file of a build step."""
        return os.path.join(self.steps, key)

    def diff_id(self, blob: Digest) -> str:
        """The file of the layer that a blob unpacks to."""
        return os.path.join(self.distribution, "diffid-by-digest", *digest.split(blob))

    def origins(self, diff_id: Digest) -> str:
        """The file of where a layer's blobs were seen."""
        return os.path.join(self.distribution, "v2metadata-by-diffid", *digest.split(diff_id))

    def forms(self, diff_id: Digest) -> str:
        """The file of what is known of a layer's blobs."""
        return os.path.join(self.index, "forms", *digest.split(diff_id))
