"""Where the drivers keep their trees. Nobody else joins these paths.

overlay2/                       Docker's layout, byte for byte (moby, daemon/graphdriver/overlay2)
  l/<26 letters>                a short name: a link to ../<id>/diff, so that many fit one mount's options
  <id>/                         a layer (its cache id), or a container's tree (its mount id)
    diff/                       the files that it brings
    link                        its short name
    lower                       short names of all below it, the topmost first: l/AAA:l/BBB; absent on a base
    work/                       for overlayfs; absent on a base
    committed                   empty; there once something stands on top of it
    merged/                     where dockerd mounts it; not used here
erofs/<id>/                     a layer, or a container's tree
    parent                      the id of the tree that it stands on; absent on a base
    layer.tar                   of a layer: its tar, as it came
    layer.erofs                 of a layer: its inodes, an EROFS image whose contents lie in the other files
    layer.data                  of a layer, where it needs it: contents that the tar does not hold as they are seen
    diff/                       of a container: the files that it wrote
    work/                       of a container: for overlayfs
erofs/holders/                  which processes have layers mounted for others to share (sharing)
vfs/dir/<id>/                   a whole tree
"""

import os

TAR, IMAGE, DATA, PARENT, DIFF, WORK = "layer.tar", "layer.erofs", "layer.data", "parent", "diff", "work"
"""The names in a tree of the driver erofs."""

HOLDERS = "holders"
"""The name beside its trees."""


class Overlay2Paths:
    """The paths of an overlay2 folder; all are relative to `home` but those that say absolute."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.links = os.path.join(home, "l")

    def folder(self, snapshot: str) -> str:
        """The absolute folder of a tree."""
        return os.path.join(self.home, snapshot)

    def diff(self, snapshot: str) -> str:
        """The absolute folder of a tree's files."""
        return os.path.join(self.home, snapshot, "diff")

    def file(self, snapshot: str, name: str) -> str:
        """The absolute path of `link`, `lower`, `work`, `committed` or `merged` of a tree."""
        return os.path.join(self.home, snapshot, name)

    def link(self, short: str) -> str:
        """The absolute path of a short name."""
        return os.path.join(self.links, short)

    @staticmethod
    def link_target(snapshot: str) -> str:
        """What the link of a tree says."""
        return f"../{snapshot}/diff"


class VfsPaths:
    """The paths of a vfs folder."""

    def __init__(self, home: str) -> None:
        self.folder = os.path.join(home, "dir")

    def tree(self, snapshot: str) -> str:
        """The folder of a tree."""
        return os.path.join(self.folder, snapshot)


class ErofsPaths:
    """The paths of an erofs folder."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.holders = os.path.join(home, HOLDERS)

    def folder(self, snapshot: str) -> str:
        """The absolute folder of a tree."""
        return os.path.join(self.home, snapshot)

    def file(self, snapshot: str, name: str) -> str:
        """The absolute path of a file or folder of a tree."""
        return os.path.join(self.home, snapshot, name)

    def devices(self, snapshot: str) -> list[str]:
        """The absolute paths of the files that a layer's contents lie in, in the order of its image's devices."""
        tar, data = self.file(snapshot, TAR), self.file(snapshot, DATA)
        return [tar, data] if os.path.exists(data) else [tar]
