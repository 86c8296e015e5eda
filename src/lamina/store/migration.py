"""A store given another storage driver.

All of `image/` and of the driver's folder is made anew in a temporary folder, each layer from its tar and with its diff
id verified. Then the new driver's folder gets its place, and the two folders `image` change theirs, in one step: before
it the store is what it was, after it the new one. What is left of either, also after a crash, belongs to a driver that
`image/` does not name: a claim in the lease says that it goes.
"""

import ctypes
import os
import shutil

from ..errors import Conflict, FailedPrecondition, InvalidArgument
from ..events import Report, Status
from ..files import fsync, libc, remove_tree, syncfs
from ..layers.layers import Layer
from ..lock import Lease, by_lease
from ..oci import digest
from ..oci.digest import Digest
from ..snapshot import probe
from .paths import DRIVER_FOLDERS
from .store import DRIVER, Store

_AT_FDCWD, _EXCHANGE = -100, 2


def migrate(store: Store, lease: Lease, name: str, report: Report) -> int:
    """Give a store another storage driver; return the number of its layers. The store has to be opened anew then.

    Args:
        store: which; nobody else may use it meanwhile.
        lease: of the caller.
        name: of the new driver.
        report: hears of every layer.

    Raises:
        InvalidArgument: there is no such driver.
        FailedPrecondition: the driver does not work there, or the store is not lamina's alone.
        Conflict: containers have trees of the old driver, or somebody uses the store.
        DigestMismatch: a layer's files no longer make its tar; the store stays as it was.
    """
    if name not in probe.DRIVERS:
        raise InvalidArgument(f"storage driver {name!r} is not known; there are {', '.join(probe.DRIVERS)}")
    if name == store.driver_name:
        return sum(1 for _ in store.layers)
    with store.lock(), store.temporary_folder(lease) as folder:
        _check(store, lease, name, folder)
        for driver in (store.driver_name, name):
            lease.add(DRIVER, driver)
        new = Store(os.path.join(folder, "root"), name)
        _copy_images(store, new)
        layers = _convert(store, new, report)
        _switch(store, new)
        store.remove_unnamed_drivers([store.driver_name, name])
    for driver in (store.driver_name, name):
        lease.drop(DRIVER, driver)
    return layers


def _check(store: Store, lease: Lease, name: str, folder: str) -> None:
    """Refuse what would lose something, or cannot work."""
    if os.listdir(store.paths.images) != [store.driver_name] or os.path.isdir(store.paths.buildkit):
        raise FailedPrecondition(f"{store.paths.root} has more than what lamina keeps there with {store.driver_name}")
    if containers := sum(1 for _ in store.mounts):
        what = f"{containers} container{'s' * (containers != 1)}"
        raise Conflict(f"{what} of {store.paths.root} would lose their files: commit and remove them first")
    if by_lease(store.paths.leases, {lease.path}):
        raise Conflict(f"{store.paths.root} is in use by another command: try again when that has ended")
    if refusal := probe.refusal(name, folder, privileged=store.privileged):
        raise FailedPrecondition(f"{name} does not work here: {refusal}")


def _copy_images(store: Store, new: Store) -> None:
    """Copy all that is the same whatever the driver."""
    source, target = store.paths.image(store.driver_name), new.paths.image(new.driver_name)
    for name in os.listdir(source):
        path, place = os.path.join(source, name), os.path.join(target, name)
        if name == os.path.basename(store.paths.layerdb(store.driver_name)):
            continue
        if os.path.isdir(path):
            shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(path, place)


def _convert(store: Store, new: Store, report: Report) -> int:
    """Take all layers in anew, base first; return their number."""
    chains = [store.layers.chain(chain_id) for chain_id in store.layers]
    made: dict[Digest, Layer] = {}
    with new.writing() as lease:
        for layer, *below in sorted(chains, key=len):
            report(Status("converting", digest.short(layer.chain_id)))
            with store.layers.tar(layer) as stream:
                parent = made[below[0].chain_id] if below else None
                made[layer.chain_id] = new.layers.register(lease, stream, parent, layer.diff_id)
    return len(made)


def _switch(store: Store, new: Store) -> None:
    """Put the new driver's folder and `image` in their places."""
    root, name = store.paths.root, new.driver_name
    remove_tree(store.paths.driver(name))
    os.rename(new.paths.driver(name), store.paths.driver(name))
    syncfs(root)
    _exchange(os.path.join(root, DRIVER_FOLDERS), os.path.join(new.paths.root, DRIVER_FOLDERS))
    fsync(root)


def _exchange(one: str, other: str) -> None:
    """Let two names change places in one step (renameat2(2))."""
    if libc().renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        code = ctypes.get_errno()
        raise FailedPrecondition(f"cannot put {other} in the place of {one}: {os.strerror(code)}")
