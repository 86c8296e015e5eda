"""The writable layers of containers, by container id.

Between a container's tree and its image lies one more, the init tree: it has the places that a container needs
to be there (`/dev/console`, `/etc/hosts`, ...), so that they are no change of the container's.

    the container's tree     <mount-id>         what `diff` and `commit` show
    its init tree            <mount-id>-init    never part of an image
    the image's top layer    <cache-id>
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from ..errors import AlreadyExists, DataLoss, NotFound
from ..files import fsync, is_unread, is_want, remove_tree
from ..lock import Lease
from ..mount import Mount, detached
from ..oci import digest
from ..oci.digest import Digest
from ..snapshot.driver import Driver
from ..tar.root import Root
from .layers import SNAPSHOT, WRITE_SET, Layer, LayerDamaged, write_new
from .paths import Paths, new_write_set

if TYPE_CHECKING:
    from ..tar.changes import Change

Init = Callable[[Root], None]
"""Fills the init tree, whose root it gets, with what a container needs."""


class MountNotFound(NotFound):
    """A container has no writable layer."""


class WritableLayer(msgspec.Struct, frozen=True):
    """A container's tree; `parent` is its image's top layer, None where the image has no layers."""

    container: str
    mount_id: str
    init_id: str
    parent: Digest | None


class Mounts:
    """The writable layers of a store; see `layers.Layers` for the arguments."""

    def __init__(self, home: str, driver: Driver, lock: Callable[[], AbstractContextManager[object]]) -> None:
        self._paths = Paths(home)
        self._driver = driver
        self._lock = lock

    def create(
        self, lease: Lease, container: str, parent: Layer | None, init: Init | None, *, durable: bool = True
    ) -> WritableLayer:
        """Make a container's tree on top of a layer.

        Args:
            lease: names what is half made.
            container: its id.
            parent: the top layer of its image.
            init: fills the init tree; without one there is none.
            durable: whether it must outlive a loss of power. One that need not stays claimed until it is removed: its
                description may be lost, and then nothing else says which trees it had.

        Raises:
            AlreadyExists: the container has one.
        """
        mount_id, name = os.urandom(32).hex(), new_write_set()
        init_id = f"{mount_id}-init" if init else ""
        writable = WritableLayer(container, mount_id, init_id, parent.chain_id if parent else None)
        for snapshot in _trees(writable):
            lease.add(SNAPSHOT, snapshot)
        lease.add(WRITE_SET, name)
        try:
            below = parent.cache_id if parent else None
            if init:
                self._make_init(init_id, below, init)
            self._driver.prepare(mount_id, init_id or below)
            self._publish(name, writable, durable)
        except BaseException:
            self._remove_trees(_trees(writable))
            remove_tree(self._paths.write_set(name))
            raise
        finally:
            lease.drop(WRITE_SET, name)
        for snapshot in _trees(writable) if durable else ():
            lease.drop(SNAPSHOT, snapshot)
        return writable

    def _make_init(self, init_id: str, below: str | None, init: Init) -> None:
        self._driver.prepare(init_id, below)
        fd = detached(self._driver.mount(init_id))
        try:
            with Root(fd) as root:
                init(root)
        finally:
            os.close(fd)

    def _publish(self, name: str, writable: WritableLayer, durable: bool) -> None:
        folder = self._paths.write_set(name)
        os.mkdir(folder, 0o755)
        write_new(folder, "mount-id", writable.mount_id)
        if writable.init_id:
            write_new(folder, "init-id", writable.init_id)
        if writable.parent:
            write_new(folder, "parent", writable.parent)
        if durable:
            self._driver.sync()
        with self._lock():
            try:
                os.rename(folder, self._paths.mount(writable.container))
            except OSError as error:
                raise AlreadyExists(f"container {writable.container} has a writable layer already") from error
        if durable:
            fsync(self._paths.mounts)

    def get(self, container: str) -> WritableLayer:
        """Return a container's tree.

        Raises:
            MountNotFound: it has none.
            LayerDamaged: its description cannot be read.
        """
        folder = self._paths.mount(container)
        if not os.path.isdir(folder):
            raise MountNotFound(f"container {container} has no writable layer")
        try:
            parent = _read(folder, "parent")
            return WritableLayer(
                container,
                _id(_read(folder, "mount-id")),
                _id(_read(folder, "init-id"), empty=True),
                digest.parse(parent) if parent else None,
            )
        except (OSError, ValueError, digest.InvalidDigest) as error:
            if is_want(error):
                raise
            raise LayerDamaged(f"the writable layer of container {container} is damaged: {error}") from error

    def exists(self, container: str) -> bool:
        """Tell whether a container has a tree."""
        return os.path.isdir(self._paths.mount(container))

    def __iter__(self) -> Iterator[str]:
        yield from sorted(os.listdir(self._paths.mounts))

    def mount(self, writable: WritableLayer) -> Mount:
        """Return the mount that shows a container's files."""
        return self._driver.mount(writable.mount_id)

    def changes(self, writable: WritableLayer, parent: Layer | None) -> Iterator["Change"]:
        """Yield what a container changed of its image; the init tree counts as the image's."""
        below = writable.init_id or (parent.cache_id if parent else None)
        return self._driver.changes(writable.mount_id, below)

    def open(self, writable: WritableLayer) -> Root:
        """Open the directory with the files that `changes` names."""
        return self._driver.open(writable.mount_id)

    def remove(self, lease: Lease, container: str, *, damaged: bool = False) -> None:
        """Remove a container's tree; what is gone already is no error.

        It is out of sight at once; the lease names what is left of it until that is gone too.

        Args:
            lease: of the caller.
            container: its id.
            damaged: also if nothing says which trees it had; those are left to whoever has claimed them. A disk that
                cannot be read now may be another time: that is no such damage.
        """
        trees: list[str] = []
        try:
            trees = _trees(self.get(container))
        except MountNotFound:
            return
        except LayerDamaged as error:
            if not damaged or is_unread(error.__cause__):
                raise
        name = new_write_set()
        claims = [(WRITE_SET, name), *((SNAPSHOT, tree) for tree in trees)]
        for kind, what in claims:
            lease.add(kind, what)
        os.rename(self._paths.mount(container), self._paths.write_set(name))
        self._remove_trees(trees)
        remove_tree(self._paths.write_set(name))
        for kind, what in claims:
            lease.drop(kind, what)

    def _remove_trees(self, trees: Iterable[str]) -> None:
        for tree in trees:
            self._driver.remove(tree)

    def used(self) -> set[str]:
        """Return the ids of all trees that containers have."""
        found: set[str] = set()
        for container in self:
            with contextlib.suppress(DataLoss, NotFound):
                found.update(_trees(self.get(container)))
        return found

    def check(self, writable: WritableLayer, parents: Callable[[Digest], Layer]) -> Iterator[str]:
        """Yield what is wrong with a container's tree, a line each."""
        where = f"container {writable.container[:12]}"
        try:
            below = parents(writable.parent).cache_id if writable.parent else None
        except (NotFound, DataLoss) as error:
            yield f"{where}: {error}"
            return
        trees: Iterable[tuple[str, str | None]] = [(writable.mount_id, writable.init_id or below)]
        if writable.init_id:
            trees = [*trees, (writable.init_id, below)]
        for snapshot, parent in trees:
            yield from (f"{where}: {problem}" for problem in self._driver.check(snapshot, parent))


def _trees(writable: WritableLayer) -> list[str]:
    return [writable.mount_id, *([writable.init_id] if writable.init_id else [])]


def _read(folder: str, name: str) -> str:
    """Return what a file says, nothing where there is no file; one that says nothing is damaged."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            text = file.read(200).decode("ascii").strip()
    except FileNotFoundError:
        return ""
    if not text:
        raise ValueError(f"{name} is empty")
    return text


def _id(text: str, *, empty: bool = False) -> str:
    if (empty and not text) or _pattern().fullmatch(text):
        return text
    raise ValueError(f"{text[:80]!r} is no id of a tree")


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(r"[a-f0-9]{64}(-init)?")
