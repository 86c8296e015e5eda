"""Where a store keeps what. Each part below has an owner with a `paths` of its own.

<root>/                       /var/lib/lamina, or a dockerd's root
  image/<driver>/             Docker's: imagedb, repositories.json (images), layerdb (layers), distribution
  <driver>/                   the driver's trees (snapshot)
  containers/                 dockerd's own, if one uses the root by turns
  volumes/                    volumes (containers)
    metadata.db               dockerd's; it locks it as long as it runs
  lamina/                     what only lamina has
    lock                      held for moments, while names change hands
    leases/                   what live processes rely on (lock.Lease)
    content/                  manifests and blobs as they came (content.local)
    index/                    of build steps and blobs (images); can be removed at any time
    contexts/                 digests of what builds copy (build.contents); can be removed at any time
    filetree/                 indexes of layers' files (layers.files); can be removed at any time
    partial/                  blobs of layers on their way in (transfer.partial); can be removed at any time
    policy.json               what is kept of them (transfer.policy)
    containers/               records of containers (containers)
    volumes/                  what dockerd would keep of volumes in its metadata.db (containers)
    events/                   what has happened (journal); can be removed at any time
    tmp/                      files without a name
    quarantine/<time>/<path>  what a repair could not restore, by its path in the root; can be removed at any time
"""

import os

DRIVER_FOLDERS = "image"
_INNER = {"vfs": ("dir",), "overlay2": ("l",), "erofs": ("holders",)}


class Paths:
    """The paths of a root."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.images = os.path.join(root, DRIVER_FOLDERS)
        self.own = os.path.join(root, "lamina")
        self.lock = os.path.join(self.own, "lock")
        self.leases = os.path.join(self.own, "leases")
        self.content = os.path.join(self.own, "content")
        self.index = os.path.join(self.own, "index")
        self.contexts = os.path.join(self.own, "contexts")
        self.filetree = os.path.join(self.own, "filetree")
        self.partial = os.path.join(self.own, "partial")
        self.policy = os.path.join(self.own, "policy.json")
        self.containers = os.path.join(self.own, "containers")
        self.events = os.path.join(self.own, "events")
        self.quarantine = os.path.join(self.own, "quarantine")
        self.tmp = os.path.join(self.own, "tmp")
        self.volumes = os.path.join(root, "volumes")
        self.volume_facts = os.path.join(self.own, "volumes")
        self.docker_lock = os.path.join(self.volumes, "metadata.db")
        self.docker_containers = os.path.join(root, "containers")
        self.buildkit = os.path.join(root, "buildkit")

    def image(self, driver: str) -> str:
        """Docker's folder of images of one driver."""
        return os.path.join(self.images, driver)

    def layerdb(self, driver: str) -> str:
        """Docker's folder of layers of one driver."""
        return os.path.join(self.images, driver, "layerdb")

    def driver(self, driver: str) -> str:
        """The driver's own folder."""
        return os.path.join(self.root, driver)

    def own_folders(self) -> list[tuple[str, int]]:
        """The folders that a store has whatever its driver, and their modes, parents first."""
        return [(self.root, 0o710), *((path, 0o700) for path in (self.own, self.containers, self.tmp, self.leases))]

    def optional_folders(self, driver: str) -> list[str]:
        """The folders that are made when something comes into them."""
        names = os.path.join(self.containers, "names")
        monitored = os.path.join(self.containers, "monitored")
        inner = [os.path.join(self.driver(driver), name) for name in _INNER.get(driver, ())]
        caches = [self.index, self.filetree, self.contexts, self.partial, self.events]
        mine = [self.volume_facts, self.content, *caches]
        return [self.volumes, *mine, names, monitored, *inner]

    def folders(self, driver: str) -> list[tuple[str, int]]:
        """The folders of a new store and their modes, parents first; the last one is there when all are."""
        image, layerdb = self.image(driver), self.layerdb(driver)
        imagedb = os.path.join(image, "imagedb")
        private = [
            self.images,
            image,
            imagedb,
            os.path.join(imagedb, "content"),
            os.path.join(imagedb, "content", "sha256"),
            os.path.join(imagedb, "metadata"),
            os.path.join(imagedb, "metadata", "sha256"),
            layerdb,
            os.path.join(image, "distribution"),
        ]
        shared = [
            (os.path.join(layerdb, "tmp"), 0o755),
            (os.path.join(layerdb, "sha256"), 0o755),
            (os.path.join(layerdb, "mounts"), 0o700),
            (self.driver(driver), 0o710),
        ]
        return [*self.own_folders(), *((path, 0o700) for path in private), *shared]
