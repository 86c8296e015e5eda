"""A store, open: the parts that share a root, and who may write.

Verbs that change anything do so inside `writing`: it refuses while a dockerd has the root, takes away what
crashed processes left, and gives a lease for what is about to be made or relied on. Readers take no lock: what
they see is whole, and may go while they look.
"""

import contextlib
import errno
import fcntl
import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from ..errors import Conflict, FailedPrecondition, LaminaError, NotSupported, PermissionDenied
from ..events import Problem
from ..files import remove_tree
from ..images.images import ImageDamaged, ImageNotFound, Images
from ..images.paths import Paths as ImagePaths
from ..images.references import References, ReferencesDamaged
from ..images.steps import Steps
from ..layers.layers import LAYER, Layer, Layers
from ..layers.mounts import Mounts
from ..lock import Lease, abandoned, exclusive, leave, lock_fd, note
from ..oci import digest
from ..oci.digest import Digest
from ..snapshot import probe
from ..streams import Reader, nameless, spool
from . import frame, usage
from .journal import Journal
from .paths import Paths

if TYPE_CHECKING:
    from ..content.local import Local
    from ..images.distribution import Distribution
    from ..layers.files import Indexes

TEMPORARY = "temporary"
"""The kind of claim of a temporary folder."""


IMAGE = "image"
"""The kind of claim of an image that goes if it has no name: one that came half, or went half."""

DRIVER = "driver"
"""The kind of claim of a storage driver's folder, which goes if `image/` does not name the driver."""

LEFT = "left"
"""The kind of entry in a lease that names a layer which another process would have deleted but for the lease."""


class UnknownDriver(NotSupported):
    """A root was made with a storage driver that lamina does not have."""


class OtherDriver(FailedPrecondition):
    """A root was made with another storage driver than the one that is asked for."""


class HeldByDocker(Conflict):
    """A dockerd runs on the root."""


class Store:
    """The store in a root folder, which is made if it is not there.

    Args:
        root: the folder; absolute.
        driver: a storage driver's name; empty for the one the root has, or the best that works there.

    Raises:
        UnknownDriver: there is no such driver, or the root has several and none was named.
        OtherDriver: the root has another driver.
        PermissionDenied: the folder is not ours to use.
        FailedPrecondition: a file is in the folder's place.
    """

    def __init__(self, root: str, driver: str = "") -> None:
        self.paths = Paths(root)
        self.privileged = os.geteuid() == 0
        self.journal = Journal(self.paths.events)
        self.recoverers: list[Callable[[Lease, set[tuple[str, str]]], None]] = []
        """Called with the claims of dead owners, before the trees that those name are removed."""
        self.suspects: list[Callable[[], bool]] = []
        """Each tells whether its owner's recoverer has something to do though no lease says so."""
        self.driver_name, self.driver_reason = driver, "it was asked for"
        try:
            if driver:
                self._check_asked(driver)
            else:
                self.driver_name, self.driver_reason = self._own_driver(), "the store was made with it"
            if not self.driver_name:
                self.driver_name, self.driver_reason = self._probe()
            self._open()
        except PermissionError as error:
            raise PermissionDenied(f"the store {root} is not yours: {error.strerror} ({error.filename})") from error
        except (NotADirectoryError, FileExistsError) as error:
            place = frame.blocked(self.paths, self.driver_name) or error.filename
            what = f"{place} is no folder: move it away, and run `lamina system check --repair` if it was one"
            raise FailedPrecondition(what) from error

    def _open(self) -> None:
        name = self.driver_name
        if not os.path.isdir(self.paths.leases) or not os.path.isdir(self.paths.driver(name)):
            self._make()
        self.driver = probe.make(name, self.paths.driver(name), privileged=self.privileged)
        self._image_paths = images = ImagePaths(self.paths.image(name), self.paths.index)
        self.images = Images(images)
        self.references = References(images.repositories)
        self.steps = Steps(images, self.images)
        self.layers = Layers(self.paths.layerdb(name), self.driver, self.lock)
        self.mounts = Mounts(self.paths.layerdb(name), self.driver, self.lock)

    @functools.cached_property
    def distribution(self) -> "Distribution":
        """What is known of the compressed forms of layers."""
        from ..images.distribution import Distribution  # noqa: PLC0415 - for what talks to registries

        return Distribution(self._image_paths)

    @functools.cached_property
    def content(self) -> "Local":
        """Manifests and blobs as registries have them."""
        from ..content.local import Local  # noqa: PLC0415 - likewise

        return Local(self.paths.content)

    @functools.cached_property
    def indexes(self) -> "Indexes":
        """What is known of the files of layers."""
        from ..layers.files import Indexes  # noqa: PLC0415 - few commands look into layers

        return Indexes(self.paths.filetree, self.layers)

    def _check_asked(self, driver: str) -> None:
        """Refuse a driver that would make a second, empty store in the root."""
        if driver not in probe.DRIVERS:
            raise UnknownDriver(f"storage driver {driver!r} is not known; there are {', '.join(probe.DRIVERS)}")
        found = self._own_drivers()
        if found and driver not in found:
            raise OtherDriver(
                f"{self.paths.root} was made with the storage driver {' and '.join(found)}, not {driver}: "
                f"name no other, or convert it by `lamina system migrate --to {driver}`"
            )

    def _own_driver(self) -> str:
        """Return the driver that the root was made with, or nothing for a new root."""
        found = self._own_drivers()
        if len(found) > 1:
            raise UnknownDriver(f"{self.paths.root} has the drivers {', '.join(found)}: choose one by --storage-driver")
        if found and found[0] not in probe.DRIVERS:
            drivers = ", ".join(probe.DRIVERS)
            raise UnknownDriver(
                f"{self.paths.root} was made with the storage driver {found[0]!r}; lamina has {drivers}: "
                "choose another root"
            )
        return found[0] if found else ""

    def _own_drivers(self) -> list[str]:
        try:
            return sorted(os.listdir(self.paths.images))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError:
            raise
        except OSError as error:
            raise PermissionDenied(f"the store {self.paths.root} cannot be read: {error.strerror}") from error

    def _probe(self) -> tuple[str, str]:
        """Return the best driver that works in a new root, and why it is that."""
        os.makedirs(os.path.dirname(self.paths.root), exist_ok=True)
        _make_folders(self.paths.own_folders())
        with Lease(self.paths.leases) as lease, self.temporary_folder(lease) as folder:
            return probe.choose(folder, privileged=self.privileged)

    def _make(self) -> None:
        os.makedirs(self.paths.root, 0o710, exist_ok=True)
        _make_folders(self.paths.folders(self.driver_name))
        with self.lock():
            References(ImagePaths(self.paths.image(self.driver_name), self.paths.index).repositories).create()

    def lock(self) -> contextlib.AbstractContextManager[object]:
        """Exclude all other publishers and deleters, for moments only."""
        return exclusive(self.paths.lock)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Lease]:
        """Change the store: yield a lease, of which a failing block leaves nothing behind.

        Raises:
            HeldByDocker: a dockerd has the root.
        """
        with self._without_docker():
            self.recover()
            with Lease(self.paths.leases) as lease:
                try:
                    yield lease
                except BaseException:
                    with contextlib.suppress(LaminaError, OSError):
                        self._clean_up(lease, lease.claims())
                        self._settle(lease)
                    raise
                self._settle(lease)

    def _settle(self, lease: Lease) -> None:
        """Give a lease up, and delete the layers that others would have deleted but for it."""
        while True:
            with self.lock():
                left = [name for kind, name in lease.claims() if kind == LEFT]
                if not left:
                    lease.release()
                    return
            for name in left:
                lease.drop(LEFT, name)
            self.release(lease, [Digest(f"sha256:{name}") for name in left])

    @contextlib.contextmanager
    def _without_docker(self) -> Iterator[None]:
        """Make sure that no dockerd has the root, and that none starts meanwhile."""
        try:
            fd = os.open(self.paths.docker_lock, os.O_RDONLY)
        except FileNotFoundError:
            yield
            return
        try:
            if not lock_fd(fd, fcntl.LOCK_SH, wait=False):
                what = f"a dockerd is running on {self.paths.root}: stop it first, or use another --root"
                raise HeldByDocker(f"{what} (it would not see the change)")
            yield
        finally:
            os.close(fd)

    def recover(self) -> None:
        """Take away what processes left that were killed; those that live are left alone."""
        with abandoned(self.paths.leases) as dead:
            if dead or any(is_suspect() for is_suspect in self.suspects):
                with Lease(self.paths.leases) as lease:
                    self._clean_up(lease, set().union(*dead.values()), dead)

    def _clean_up(self, lease: Lease, claims: set[tuple[str, str]], dead: Collection[str] = ()) -> None:
        """Remove what some claims name, unless something has come to rely on it."""
        for recover in self.recoverers:
            recover(lease, claims)
        for kind, name in claims:
            if kind == TEMPORARY:
                remove_tree(os.path.join(self.paths.tmp, name))
        self.remove_unnamed_drivers(name for kind, name in claims if kind == DRIVER)
        self._delete_nameless([Digest(f"sha256:{name}") for kind, name in claims if kind == IMAGE])
        trees = usage.trees(self.layers, self.mounts)
        self.layers.recover(lease, claims, trees.__contains__)
        self.release(lease, [Digest(f"sha256:{name}") for kind, name in claims if kind in (LAYER, LEFT)], dead)

    def remove_unnamed_drivers(self, names: Iterable[str]) -> None:
        """Remove the folders of drivers that a change of the driver has left, or has not come to use."""
        for name in names:
            if name in probe.DRIVERS and not os.path.lexists(self.paths.image(name)):
                remove_tree(self.paths.driver(name))

    def _delete_nameless(self, image_ids: list[Digest]) -> None:
        """Delete images that have neither a name nor a child, children before parents."""
        if not image_ids:
            return
        with self.lock(), contextlib.suppress(ReferencesDamaged, ImageDamaged):  # what cannot be read may need all
            named = set(self.references.all().values())
            parents = {image_id: self.images.parent(image_id, sure=True) for image_id in self.images}
            was_current = self.steps.is_current()
            left = [image_id for image_id in image_ids if image_id not in named]
            while found := next((image_id for image_id in left if image_id not in parents.values()), None):
                left.remove(found)
                parents.pop(found, None)
                self.images.delete(found)
            self.steps.note(was_current=was_current)

    def rely_on(self, lease: Lease, chain_ids: list[Digest]) -> list[Layer]:
        """Keep layers from being deleted as long as the lease lives; return those that are there.

        Args:
            lease: of the caller.
            chain_ids: of one image, base first. The result is its layers up to the first that is missing.
        """
        for chain_id in chain_ids:
            lease.add(LAYER, digest.encoded(chain_id))
        present: list[Layer] = []
        with self.lock():  # one who deletes looks at the leases and acts under the same lock
            for chain_id in chain_ids:
                if chain_id not in self.layers:
                    break
                present.append(self.layers.get(chain_id))
        return present

    @contextlib.contextmanager
    def keeping(self, image_ids: Iterable[Digest]) -> Iterator[None]:
        """Keep the layers of images from being deleted while a block reads them.

        Raises:
            ImageNotFound: an image is gone.
        """
        with Lease(self.paths.leases) as lease:
            try:
                for image_id in image_ids:
                    chain_ids = digest.chains(self.images.summary(image_id).diff_ids)
                    if len(self.rely_on(lease, chain_ids)) < len(chain_ids) and image_id not in self.images:
                        raise ImageNotFound(image_id)
                yield
            finally:
                self._settle(lease)

    def release(self, lease: Lease, chain_ids: Iterable[Digest], dead: Collection[str] = ()) -> list[Digest]:
        """Delete layers, and those below them, that nothing relies on any more.

        What only another process's lease relies on is left to that process. Where something cannot be read, nothing is
        deleted: what may be in use stays, and a note for a later command to look again.

        Args:
            lease: of the caller; what it relies on itself does not count.
            chain_ids: top layers that have lost a user.
            dead: other leases that do not count.

        Returns:
            The layers deleted, the topmost first.
        """
        tops = list(chain_ids)
        if not tops:
            return []
        for top in tops:
            lease.add(LAYER, digest.encoded(top))  # a crash from here on leaves a note
        retired: list[tuple[Digest, str]] = []
        with self.lock():
            needed, unknown = usage.layers(self.images, self.layers, self.mounts)
            if unknown is not None:
                note(self.paths.leases, [(LAYER, digest.encoded(top)) for top in tops])
                if not dead:
                    self.journal.report(Problem(f"{unknown}; layers that it may need are kept: repair the store"))
                return []
            claimed = usage.claimed(self.layers, self.paths.leases, {lease.path, *dead})
            for top in tops:
                chain_id: Digest | None = top
                while chain_id is not None and chain_id not in needed and chain_id in self.layers:
                    if _is_left(chain_id, claimed):
                        break
                    below = self._below(chain_id)
                    retired.append((chain_id, self.layers.retire(lease, chain_id)))
                    chain_id = below
        for chain_id, name in retired:
            self.indexes.drop(chain_id)
            self.layers.finish(lease, name)
        return [chain_id for chain_id, _ in retired]

    def _below(self, chain_id: Digest) -> Digest | None:
        """Return the layer below one; None also where damage hides it: `check` finds what that leaves."""
        try:
            return self.layers.parent(chain_id)
        except LaminaError:
            return None

    @contextlib.contextmanager
    def temporary_folder(self, lease: Lease) -> Iterator[str]:
        """Make a folder for the length of a block; yield its path."""
        name = os.urandom(8).hex()
        path = os.path.join(self.paths.tmp, name)
        lease.add(TEMPORARY, name)
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            remove_tree(path)
            lease.drop(TEMPORARY, name)

    def temporary(self) -> BinaryIO:
        """Open a new file without a name."""
        return nameless(self.paths.tmp)

    def spool(self, source: Reader) -> BinaryIO:
        """Copy a stream that cannot be sought to a file without a name.

        Raises:
            FailedPrecondition: there is no room.
        """
        try:
            return spool(source, self.paths.tmp)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise FailedPrecondition(f"no space left in {self.paths.tmp}") from error
            raise


def _make_folders(folders: Iterable[tuple[str, int]]) -> None:
    for path, mode in folders:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)


def _is_left(chain_id: Digest, claimed: dict[str, set[Digest]]) -> bool:
    """Leave a layer to those whose leases rely on it; return whether there are any."""
    holders = [path for path, chain_ids in claimed.items() if chain_id in chain_ids]
    heard = [leave(path, LEFT, digest.encoded(chain_id)) for path in holders]  # all of them, not the first alone
    return any(heard)
