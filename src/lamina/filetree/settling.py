"""What of a layer had to wait for its parent, done to its tree.

Hard links whose targets lie below get a copy of what they lead to, as overlayfs copies up: the target's own name too,
unless the layer has something else of that name; all names of one target stay one file. Directories that the tar only
implies get the metadata of those below. An opaque root hides each name below it, and marks that hide nothing go: where
no directories merge they would be listed.
"""

from ..erofs import layout
from ..erofs.directory import Meta, Node
from ..erofs.reader import Image
from ..tar.contract import Applied, no_target
from .layertree import Directory, LayerTree
from .spare import Spare
from .union import File, Union, is_opaque


def has_to_settle(applied: Applied, *, is_base: bool) -> bool:
    """Tell whether something of a layer had to wait for its parent."""
    if applied.links or applied.hidden:
        return True
    return not is_base and bool(applied.implied or applied.opaque_root)


def settle(tree: LayerTree, below: Union, devices: list[list[str]], spare: Spare) -> None:
    """Finish a layer's tree on top of its parent.

    Args:
        tree: which has read all of its tar.
        below: the layers that it stands on.
        devices: for each of them the files that contents lie in; only for a spare that is written.
        spare: takes contents.

    Raises:
        InvalidTar: a hard link has no target.
    """
    _Settling(tree, below, devices, spare).run()


def is_settled(image: Image, below: Union, applied: Applied) -> bool:
    """Tell whether there is nothing to do after all: only marks waited for the parent, and each hides something."""
    if applied.links or applied.implied or applied.opaque_root:
        return False
    return all(_hides(image, below, path) for path in applied.hidden)


def _hides(image: Image, below: Union, path: bytes) -> bool:
    folder = image.root
    for part in path.split(b"/")[:-1]:
        inner = image.find(folder, part)
        if inner is None or not inner.is_directory or is_opaque(image, inner):
            return False
        folder = inner
    return below.get(path) is not None


class _Settling:
    def __init__(self, tree: LayerTree, below: Union, devices: list[list[str]], spare: Spare) -> None:
        self._tree = tree
        self._below = below
        self._devices = devices
        self._spare = spare

    def run(self) -> None:
        tree = self._tree
        self._link_up()
        for path, folder in tree.made.items():
            if not folder.described:
                self._inherit(path, folder)
        if tree.applied.opaque_root:
            for file in self._below.names(self._below.root):
                tree.hide(tree.folder(b""), file.path)
        for path in tree.applied.hidden:
            if self._visible(path) is None:
                tree.unmark(path)

    def _link_up(self) -> None:
        nodes: dict[bytes, Node] = {}
        shows: dict[bytes, bool] = {}  # of the last folder
        for path, target, stays in self._tree.applied.waiting():
            node = nodes.get(target)
            if node is None:
                node = nodes[target] = self._copy_up(target, path)
                folder = target.rpartition(b"/")[0]
                if folder not in shows:
                    shows = {folder: self._shows(folder)}
                if stays and shows[folder] and self._tree.find(target) is None:
                    self._name(target, node)
            self._name(path, node)
            nodes[path] = node
        for node in {*nodes.values()}:
            self._tree.image.unlink(node)  # what it was made with

    def _name(self, path: bytes, node: Node) -> None:
        folder = self._tree.folder(path.rpartition(b"/")[0], make=True)
        self._tree.image.link(node)
        self._tree.put(path, folder, path.rpartition(b"/")[2], node)

    def _shows(self, path: bytes) -> bool:
        """Tell whether what lies below in a directory shows through the layer's own files on the way there."""
        folder = self._tree.folder(b"")
        for part in path.split(b"/") if path else ():
            inner = folder.names.get(part)
            if not isinstance(inner, Directory) or inner.opaque:
                return inner is None
            folder = inner
        return True

    def _copy_up(self, target: bytes, wanted: bytes) -> Node:
        """Return a new inode that is what the layers below show at a path."""
        found = self._below.get(target)
        if found is None or found.inode.is_directory:
            raise no_target(wanted, target)
        inode, image = found.inode, self._tree.image
        if inode.is_symlink:
            return image.symlink(_meta(found), found.target)
        if inode.is_regular:
            devices = self._devices[found.layer] if self._devices else []
            bits, blocks, checksum = self._spare.copy(self._below.images[found.layer], inode, devices)
            return image.chunks(_meta(found), inode.size, bits, blocks, layout.DATA, checksum)
        return image.special(_meta(found), layout.KINDS[inode.kind], *inode.device)

    def _inherit(self, path: bytes, folder: Directory) -> None:
        found = self._visible(path)
        if found is not None and found.inode.is_directory:
            folder.meta = _meta(found)

    def _visible(self, path: bytes) -> File | None:
        """Return what shows from below at a clean path where the layer itself has nothing."""
        folder = self._tree.folder(b"")
        for part in path.split(b"/")[:-1]:
            inner = folder.names.get(part)
            if not isinstance(inner, Directory) or inner.opaque:
                return None
            folder = inner
        return self._below.get(path)


def _meta(file: File) -> Meta:
    inode = file.inode
    return Meta(inode.mode & 0o7777, inode.uid, inode.gid, inode.mtime, file.xattrs)
