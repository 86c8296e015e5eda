"""Descriptions of layers and of containers' trees, written anew from what proves them.

A chain id is the proof: it is the digest of the parent's and of the diff id, and the diff id that of the tar. What
only says where a tree is (`cache-id`, `mount-id`) is proved by the tree.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from ..errors import LaminaError
from ..files import is_want, replace
from ..lock import Lease
from ..oci import digest
from ..oci.digest import Digest
from ..snapshot.driver import Driver
from ..streams import CRC64, Hashed, Pieces, chunks
from . import checksums
from .layers import Layer, Layers
from .mounts import Mounts
from .paths import CHECKSUM, Paths

Aside = Callable[[str], None]
"""Moves a file or folder out of the store's sight."""

_SUFFIX = "-init"


class Mender:
    """Puts layers right in a layerdb; `aside` takes what is in the way. Nothing here is final for a failing call."""

    def __init__(self, home: str, driver: Driver, layers: Layers, mounts: Mounts, aside: Aside) -> None:
        self._paths = Paths(home)
        self._driver = driver
        self._layers = layers
        self._mounts = mounts
        self._aside = aside

    def origin(self, chain_id: Digest, free: Iterable[str]) -> tuple[Digest | None, Digest] | None:
        """Return a layer's parent and diff id where no image tells: from its files if they prove it, or its tar."""
        folder = self._paths.layer(chain_id)
        written = _digest(folder, "parent")
        diff_id = _digest(folder, "diff")
        tars = [diff_id] if diff_id else []
        for tree in self._trees(chain_id, free):
            tars += self._hash(chain_id, tree)
        parents = [written, None, *self._layers]
        found = ((parent, tar) for tar in tars for parent in parents if digest.chain(parent, tar) == chain_id)
        return next(found, None)

    def layer(self, chain_id: Digest, parent: Digest | None, diff_id: Digest, free: Iterable[str]) -> Layer | None:
        """Return a layer with the tree whose tar is the right one, its size 0; None where there is no such tree.

        Args:
            chain_id: of the layer.
            parent: its parent.
            diff_id: what its tar has to be.
            free: trees that nothing has, which may be its own.
        """
        for tree in self._trees(chain_id, free):
            if diff_id in self._hash(chain_id, tree):
                return Layer(chain_id, diff_id, parent, 0, tree)
        return None

    def describe(self, layer: Layer) -> Iterator[str]:
        """Write what a layer's files should say but do not, its size aside; yield their paths."""
        folder = self._paths.layer(layer.chain_id)
        texts = {"diff": layer.diff_id, "cache-id": layer.cache_id, "parent": layer.parent}
        for name, text in texts.items():
            path = os.path.join(folder, name)
            if text is None and os.path.lexists(path):
                self._aside(path)
                yield path
            elif text is not None and _text(path) != text:
                yield self._write(path, text)
        path = os.path.join(folder, CHECKSUM)
        if os.path.lexists(path):
            known = checksums.known(folder, layer.diff_id)
            if known not in self._hash(layer.chain_id, layer.cache_id, CRC64):
                self._aside(path)
                yield path

    def resize(self, lease: Lease, layer: Layer) -> Iterator[str]:
        """Write a layer's size where it cannot be read, or is another one; yield its path."""
        path = os.path.join(self._paths.layer(layer.chain_id), "size")
        written = _text(path)
        if not (written.isdecimal() and self._layers.is_size(layer, int(written))):
            parent = self._layers.get(layer.parent) if layer.parent else None
            with self._layers.tar(layer) as stream:
                pending = self._layers.prepare(lease, stream, parent)
            try:
                self._layers.place(pending, parent)
                yield self._write(path, str(pending.size))
            finally:
                self._layers.discard(lease, pending)

    def remove(self, chain_id: Digest) -> None:
        """Move a layer away, its description first, then its tree if it is no other's."""
        tree = _text(os.path.join(self._paths.layer(chain_id), "cache-id"))
        self._aside(self._paths.layer(chain_id))
        if tree.isalnum() and tree not in self._used() and self._driver.exists(tree):
            self._remove_tree(tree)

    def mount(self, container: str, top: Digest | None, free: Iterable[str]) -> Iterator[str]:
        """Write what the description of a container's tree should say but does not; yield the paths.

        Args:
            container: its id.
            top: the top layer of its image, where that is known.
            free: trees that nothing has, which may be its own.
        """
        folder = self._paths.mount(container)
        mount_id, init_id = (_text(os.path.join(folder, name)) for name in ("mount-id", "init-id"))
        known = {mount_id, init_id.removesuffix(_SUFFIX)}
        fitting = [tree for tree in {*known, *free} if tree in known and tree.isalnum() and self._driver.exists(tree)]
        if len(fitting) == 1:
            mount_id = fitting[0]
            if _text(os.path.join(folder, "mount-id")) != mount_id:
                yield self._write(os.path.join(folder, "mount-id"), mount_id)
        elif not fitting:
            return
        wanted = mount_id + _SUFFIX if self._driver.exists(mount_id + _SUFFIX) else ""
        if wanted and init_id != wanted:
            yield self._write(os.path.join(folder, "init-id"), wanted)
        top = top or self._below(wanted or mount_id)
        if top and _text(os.path.join(folder, "parent")) != top:
            yield self._write(os.path.join(folder, "parent"), top)

    def remove_mount(self, container: str) -> None:
        """Move a container's tree away, its description first."""
        path = self._paths.mount(container)
        ids = {_text(os.path.join(path, name)) for name in ("mount-id", "init-id")}
        self._aside(path)
        for tree in ids - self._used():
            if tree.removesuffix(_SUFFIX).isalnum() and self._driver.exists(tree):
                self._remove_tree(tree)

    def _remove_tree(self, tree: str) -> None:
        """Move a tree away, and what leads to it."""
        self._aside(self._driver.folder(tree))
        for path in [*self._driver.strays()]:
            self._aside(path)

    def mend(self, tree: str, parent: str | None) -> Iterator[str]:
        """Write the driver's marks of a tree anew; yield their paths."""
        return self._driver.mend(tree, parent, self._aside)

    def path(self, leftover: str) -> str:
        """Return the absolute path of what `Layers.leftovers` yields."""
        return os.path.join(self._paths.home, leftover)

    def _below(self, tree: str) -> Digest | None:
        """Return the layer whose tree the driver says that another one stands on."""
        with contextlib.suppress(LaminaError):
            parent = self._driver.parent(tree)
            for chain_id in self._layers if parent else ():
                if _text(os.path.join(self._paths.layer(chain_id), "cache-id")) == parent:
                    return chain_id
        return None

    def _used(self) -> set[str]:
        layers = {_text(os.path.join(self._paths.layer(chain_id), "cache-id")) for chain_id in self._layers}
        return layers | self._mounts.used()

    def _trees(self, chain_id: Digest, free: Iterable[str]) -> list[str]:
        own = _text(os.path.join(self._paths.layer(chain_id), "cache-id"))
        return [own] if own.isalnum() and self._driver.exists(own) else [*free]

    def _hash(self, chain_id: Digest, tree: str, algorithm: str = "sha256") -> list[Digest]:
        """Return the digest of the tar that a layer's record and a tree make, if they make one."""
        try:
            hashed = Hashed(Pieces(self._layers.assemble(Layer(chain_id, Digest(""), None, 0, tree))), algorithm)
            for _ in chunks(hashed):
                pass
        except (LaminaError, OSError) as error:
            if is_want(error):
                raise
            return []
        return [Digest(hashed.digest)]

    def _write(self, path: str, text: str) -> str:
        if os.path.isdir(path):
            self._aside(path)
        replace(path, text.encode())
        return path


def _text(path: str) -> str:
    """Return the text of a small file, nothing where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            return file.read(200).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        if is_want(error):
            raise
        return ""


def _digest(folder: str, name: str) -> Digest | None:
    with contextlib.suppress(digest.InvalidDigest):
        return digest.parse(_text(os.path.join(folder, name)))
    return None
