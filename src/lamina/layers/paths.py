"""Where layers are described. Nobody else joins these paths; the files themselves are the driver's affair.

layerdb/                        Docker's layout, byte for byte (moby, daemon/internal/layer/filestore.go)
  tmp/write-set-<random>/       a layer on its way in
  sha256/<chain id>/            a layer
    diff                        its diff id
    parent                      the chain id below it; absent on a base
    size                        bytes of its files, decimal
    cache-id                    the driver's id of its tree
    tar-split.json.gz           its tar without the contents: see tar.split; absent where the driver keeps the tar
    crc64                       where it does, the tar's checksum: see checksums; not Docker's
  sha256/<chain id>-<random>-removing/   a layer on its way out
  mounts/<container id>/        a writable layer
    mount-id                    the driver's id of its tree
    init-id                     the same of the tree between it and the image, `<mount-id>-init`
    parent                      the chain id below them; absent on an empty image
"""

import os

from ..oci import digest
from ..oci.digest import Digest

SPLIT = "tar-split.json.gz"
CHECKSUM = "crc64"
_REMOVING = "-removing"


class Paths:
    """The paths of a layerdb."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.tmp = os.path.join(home, "tmp")
        self.layers = os.path.join(home, "sha256")
        self.mounts = os.path.join(home, "mounts")

    def layer(self, chain_id: Digest) -> str:
        """The folder of a layer."""
        return os.path.join(self.layers, digest.encoded(chain_id))

    def write_set(self, name: str) -> str:
        """A folder of files that will be published together."""
        return os.path.join(self.tmp, name)

    def removing(self, name: str) -> str:
        """The folder of a layer on its way out."""
        return os.path.join(self.layers, name)

    def mount(self, container: str) -> str:
        """The folder of a writable layer."""
        return os.path.join(self.mounts, container)


def new_write_set() -> str:
    """Return a name for a folder of files that will be published together."""
    return f"write-set-{os.urandom(8).hex()}"


def new_removing(chain_id: Digest) -> str:
    """Return a name for a layer on its way out."""
    return f"{digest.encoded(chain_id)}-{int.from_bytes(os.urandom(7), 'big')}{_REMOVING}"


def is_removing(name: str) -> bool:
    """Tell whether a name in `sha256/` is that of a layer on its way out."""
    return name.endswith(_REMOVING)


def is_layer(name: str) -> bool:
    """Tell whether a name in `sha256/` is that of a layer."""
    return len(name) == 64 and digest.is_hex(name)
