"""A damaged store made sound: what can be derived is written anew, what cannot is moved to a quarantine.

From the surest to the least: configs prove themselves by their ids, chain ids prove the layers' descriptions, diff
ids the trees. A layer that is lost is unpacked anew from a kept blob, if a kept manifest says which one it was. What
then still lacks something goes to the quarantine with all that stands on it, and at last what belongs to nothing.

A want of descriptors, memory or room is no damage: it ends the repair.

Each step is one rename or one replaced file, so that a repair that was killed is gone on with by the next one. The
store may be used meanwhile: what live leases name is left alone.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

from ..compression import decompressed
from ..errors import LaminaError, NotFound
from ..events import Report, Status
from ..files import is_want
from ..layers.layers import SNAPSHOT, WRITE_SET, Layer
from ..layers.mending import Mender
from ..lock import Lease, claims
from ..oci import config, digest, manifest, mediatypes
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Manifest
from ..streams import read_small
from . import usage
from .quarantine import Quarantine
from .store import TEMPORARY, Store

Top = Callable[[str], Digest | None]
"""Returns the image of a container by its id, None where that is not known."""


def repair(
    store: Store, lease: Lease, report: Report, aside: Quarantine, image_of: Top = lambda _: None
) -> Iterator[str]:
    """Make a store sound; yield what was done, a line each.

    Args:
        store: which; inside of `writing`.
        lease: of the caller.
        report: hears of every layer that is read.
        aside: takes what cannot be restored.
        image_of: tells a container's image.
    """
    yield from _Repair(store, lease, report, aside, image_of).run()


def mender(store: Store, aside: Quarantine) -> Mender:
    """Return what puts the layers of a store right."""
    return Mender(store.paths.layerdb(store.driver_name), store.driver, store.layers, store.mounts, aside)


class _Repair:
    """One repair of one store."""

    def __init__(self, store: Store, lease: Lease, report: Report, aside: Quarantine, image_of: Top) -> None:
        self._store = store
        self._lease = lease
        self._report = report
        self._image_of = image_of
        self._aside = aside
        self._mender = mender(store, aside)
        self._blobs: dict[Digest, list[Descriptor]] = {}
        self._origins: dict[Digest, tuple[Digest | None, Digest]] = {}
        self._sound: set[Digest] = set()

    def run(self) -> Iterator[str]:
        """Do all of it, in an order where each step can rely on those before."""
        self._read_manifests()
        yield from self._configs()
        for chain_id in self._by_depth():
            yield from self._layer(chain_id)
        yield from self._images()
        for container in self._store.mounts:
            yield from self._container(container)
        with self._store.lock():
            yield from map(self._words, self._store.references.mend(self._store.images.__contains__, self._aside))
            yield from map(self._words, self._facts())
            yield from self._content()
            yield from self._strays()
            self._store.steps.rebuild()

    def _words(self, text: str) -> str:
        return text.replace(f"{self._store.paths.root}/", "")

    def _quarantined(self, what: str, why: object) -> str:
        return self._words(f"quarantined {what}: {why}")

    def _read_manifests(self) -> None:
        """Find out which kept blob was which layer."""
        content = self._store.content
        for found in content:
            with _FailingWell():
                value = manifest.parse(self._blob(found))
                if isinstance(value, Manifest):
                    image = config.parse(self._config(value.config.digest), "config")
                    for diff_id, layer in zip(image.diff_ids, value.layers, strict=False):
                        self._blobs.setdefault(diff_id, []).append(layer)
        for found in content:
            self._blobs.setdefault(found, []).append(Descriptor(mediatypes.OCI_LAYER, found, 0))

    def _config(self, image_id: Digest) -> bytes:
        """Return a config from the imagedb, or from the kept content."""
        try:
            return self._store.images.raw(image_id)
        except LaminaError:
            return self._blob(image_id)

    def _blob(self, content: Digest) -> bytes:
        """Return a small kept blob, verified."""
        with self._store.content.open(Descriptor("", content, 0)) as file:
            raw = read_small(file, 4 << 20, f"content {content}")
        if digest.of(raw) != content:
            raise digest.InvalidDigest(content)
        return raw

    def _configs(self) -> Iterator[str]:
        """Restore or quarantine images whose configs are damaged; learn the layers of the others."""
        images = self._store.images
        for image_id in images:
            try:
                image = images.get(image_id)
                diff_ids, chain_ids = image.diff_ids, digest.chains(image.diff_ids)
            except LaminaError as error:
                with self._store.lock():
                    yield self._restore(image_id, error)
                if image_id not in images:
                    continue
                diff_ids = images.get(image_id).diff_ids
                chain_ids = digest.chains(diff_ids)
            self._origins.update(zip(chain_ids, zip([None, *chain_ids], diff_ids, strict=False), strict=True))

    def _restore(self, image_id: Digest, error: LaminaError) -> str:
        with _FailingWell():
            raw = self._blob(image_id)
            config.parse(raw, "config")
            for path in self._store.images.files(image_id)[:1]:
                self._aside(path)
            self._store.images.restore(image_id, raw)
            return f"restored image {image_id}: its config, from kept content"
        return self._drop_image(image_id, error)

    def _drop_image(self, image_id: Digest, why: object) -> str:
        for path in reversed(self._store.images.files(image_id)):  # the config last: until then it is an image
            self._aside(path)
        return self._quarantined(f"image {image_id}", why)

    def _by_depth(self) -> list[Digest]:
        """Return the layers that are there or should be, parents first; those of no image learn their parents."""
        for chain_id in self._store.layers:
            if chain_id not in self._origins and (found := self._mender.origin(chain_id, self._free())):
                self._origins[chain_id] = found
        ids = {*self._origins, *self._store.layers}
        return sorted(ids, key=lambda chain_id: (self._depth(chain_id), chain_id))

    def _depth(self, chain_id: Digest) -> int:
        depth = 0
        at: Digest | None = chain_id
        while at is not None:
            depth += 1
            at = self._origins.get(at, (None, None))[0]
        return depth

    def _free(self) -> set[str]:
        """Return the trees that nothing has, and nobody is making."""
        making = {name for kind, name in claims(self._store.paths.leases) if kind == SNAPSHOT}
        return {*self._store.driver} - usage.trees(self._store.layers, self._store.mounts) - making

    def _layer(self, chain_id: Digest) -> Iterator[str]:
        """Put a layer right, or unpack it anew, or move it away."""
        self._report(Status("repairing", digest.short(chain_id)))
        layers = self._store.layers
        parent, diff_id = self._origins.get(chain_id, (None, None))
        if diff_id is None:
            with self._store.lock():
                self._mender.remove(chain_id)
            yield self._quarantined(f"layer {chain_id}", "its diff id is lost, and its tar")
            return
        below = layers.get(parent) if parent in self._sound and parent else None
        if parent and below is None:
            return  # nothing can be done for what stands on nothing: it goes as a stray, or with its image
        layer = self._mender.layer(chain_id, parent, diff_id, self._free()) if chain_id in layers else None
        if layer is not None:
            with self._store.lock():
                yield from self._restored(self._mender.mend(layer.cache_id, below.cache_id if below else None))
                yield from self._restored(self._mender.describe(layer))
            yield from self._restored(self._mender.resize(self._lease, layer))
            self._sound.add(chain_id)
        elif self._unpack(chain_id, diff_id, below):
            self._sound.add(chain_id)
            yield f"restored layer {chain_id}: unpacked anew from kept content"
        elif chain_id in layers:
            with self._store.lock():
                self._mender.remove(chain_id)
            yield self._quarantined(f"layer {chain_id}", f"its files no longer make diff id {diff_id}")

    def _restored(self, paths: Iterator[str]) -> Iterator[str]:
        return (self._words(f"restored {path}") for path in paths)

    def _unpack(self, chain_id: Digest, diff_id: Digest, below: Layer | None) -> bool:
        """Put a layer from a kept blob in the place of the one that is lost."""
        layers = self._store.layers
        for descriptor in self._blobs.get(diff_id, ()):
            with _FailingWell():
                with self._store.content.open(descriptor) as stream:
                    pending = layers.prepare(self._lease, decompressed(stream), below)
                if pending.diff_id == diff_id:
                    layers.place(pending, below)
                    with self._store.lock():
                        if chain_id in layers:
                            self._mender.remove(chain_id)
                    layers.publish(self._lease, [pending], below)
                    return True
                layers.discard(self._lease, pending)
        return False

    def _images(self) -> Iterator[str]:
        """Quarantine images that lack a layer."""
        for image_id in self._store.images:
            with self._store.lock(), contextlib.suppress(LaminaError):
                for chain_id in digest.chains(self._store.images.summary(image_id).diff_ids):
                    if chain_id not in self._sound and not self._is_new(chain_id):
                        yield self._drop_image(image_id, f"its layer {chain_id} is lost")
                        break

    def _is_new(self, chain_id: Digest) -> bool:
        """Tell whether another process has brought a layer in since we looked."""
        return chain_id not in self._origins and chain_id in self._store.layers

    def _container(self, container: str) -> Iterator[str]:
        """Put a container's tree right, or move it away."""
        store = self._store
        with store.lock():
            if not store.mounts.exists(container):
                return
            yield from self._restored(self._mender.mount(container, self._top(container), self._free()))
            try:
                writable = store.mounts.get(container)
                below = store.layers.get(writable.parent).cache_id if writable.parent else None
                trees = [(writable.init_id, below)] if writable.init_id else []
                for tree, parent in [*trees, (writable.mount_id, writable.init_id or below)]:
                    if not store.driver.exists(tree):
                        raise NotFound(f"{store.driver_name}/{tree} is missing")
                    yield from self._restored(self._mender.mend(tree, parent))
                if problem := next(store.mounts.check(writable, store.layers.get), ""):
                    raise LaminaError(problem)
            except (LaminaError, OSError) as error:
                if is_want(error):
                    raise
                self._mender.remove_mount(container)
                yield self._quarantined(f"the files of container {container}", error)

    def _top(self, container: str) -> Digest | None:
        with contextlib.suppress(LaminaError):
            if image_id := self._image_of(container):
                return digest.chains(self._store.images.summary(image_id).diff_ids)[-1]
        return None

    def _facts(self) -> Iterator[str]:
        images = self._store.images
        for image_id in images.facts():
            if image_id in images:
                yield from images.mend(image_id, self._aside)
            else:
                yield self._drop_image(image_id, "there is no such image any more")

    def _content(self) -> Iterator[str]:
        return (self._quarantined("content", problem) for problem in self._store.content.mend(self._aside))

    def _strays(self) -> Iterator[str]:
        """Move away what belongs to nothing; the caller holds the lock."""
        store = self._store
        live = claims(store.paths.leases)
        making = {name for kind, name in live if kind in (SNAPSHOT, WRITE_SET)}
        needed, unknown = usage.layers(store.images, store.layers, store.mounts)
        if unknown is not None:
            raise unknown
        needed.update(*usage.claimed(store.layers, store.paths.leases, {self._lease.path}).values())
        for chain_id in store.layers:
            if chain_id not in needed:
                self._mender.remove(chain_id)
                yield self._quarantined(f"layer {chain_id}", "it belongs to no image")
        strays = [(os.path.basename(name), self._mender.path(name)) for name in store.layers.leftovers()]
        folders = {name for kind, name in live if kind == TEMPORARY}
        paths = [path for name, path in strays if name not in making]
        paths += [os.path.join(store.paths.tmp, name) for name in os.listdir(store.paths.tmp) if name not in folders]
        if not os.path.isdir(store.paths.buildkit):  # BuildKit keeps trees of its own
            used = usage.trees(store.layers, store.mounts) | making
            paths += [store.driver.folder(tree) for tree in store.driver if tree not in used]
        for path in paths:
            self._aside(path)
            yield self._quarantined(path, "it belongs to nothing")
        for path in [*store.driver.strays()]:
            self._aside(path)
            yield self._quarantined(path, "it belongs to nothing")


class _FailingWell:
    """Passes over what cannot be done, unless it can be another time: for want of descriptors, memory or room."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, LaminaError | OSError) and not is_want(error)
