"""Everything in a store recomputed: digests, chains, links, references; and what belongs to nothing.

What live processes are making, as their leases say, is passed over: a store may be checked while it is used.
"""

import os
from collections.abc import Iterator

from ..errors import LaminaError, NotFound
from ..events import Report, Status
from ..layers.layers import SNAPSHOT, WRITE_SET
from ..lock import claims
from ..oci import digest
from . import usage
from .store import TEMPORARY, Store


def check(store: Store, report: Report, *, content: bool = True) -> Iterator[str]:
    """Yield what is wrong with a store, a line each.

    Args:
        store: which.
        report: hears of every layer that is read.
        content: read and hash every layer and blob; without it only descriptions and links are looked at.
    """
    yield from _names(store)
    yield from _images(store)
    yield from _layers(store, report, content)
    yield from _containers(store)
    if content:
        yield from store.content.check()
    yield from _strays(store)


def _names(store: Store) -> Iterator[str]:
    try:
        names = store.references.all()
    except LaminaError as error:
        yield str(error)
        return
    yield from store.references.check()
    for text, image_id in names.items():
        if image_id not in store.images:
            yield f"{text} names image {image_id}, which does not exist"


def _images(store: Store) -> Iterator[str]:
    for image_id in store.images:
        try:
            image = store.images.get(image_id)
        except NotFound:
            continue
        except LaminaError as error:
            yield str(error)
            continue
        for diff_id, chain_id in zip(image.diff_ids, digest.chains(image.diff_ids), strict=True):
            if chain_id not in store.layers and image_id in store.images:
                yield f"image {image_id}: its layer {chain_id} (diff id {diff_id}) is missing"
        yield from store.images.check(image_id)
    for image_id in store.images.facts():
        if image_id not in store.images:
            yield f"imagedb/metadata knows image {image_id}, which does not exist"


def _layers(store: Store, report: Report, content: bool) -> Iterator[str]:
    for chain_id in store.layers:
        report(Status("checking", digest.short(chain_id)))
        try:
            layer = store.layers.get(chain_id)
            yield from store.layers.check(layer, content=content)
        except LaminaError as error:
            if chain_id in store.layers:
                yield str(error)


def _containers(store: Store) -> Iterator[str]:
    for container in store.mounts:
        try:
            yield from store.mounts.check(store.mounts.get(container), store.layers.get)
        except NotFound:
            continue
        except LaminaError as error:
            yield str(error)


def _strays(store: Store) -> Iterator[str]:
    """Yield what nothing refers to, and no live process is making."""
    live = claims(store.paths.leases)
    making = {name for kind, name in live if kind in (SNAPSHOT, WRITE_SET)}
    needed = usage.layers(store.images, store.layers, store.mounts).layers
    needed.update(*usage.claimed(store.layers, store.paths.leases).values())
    yield from (f"layer {chain_id} belongs to no image" for chain_id in store.layers if chain_id not in needed)
    for leftover in store.layers.leftovers():
        if os.path.basename(leftover) not in making:
            yield f"layerdb/{leftover} was left behind"
    folders = {name for kind, name in live if kind == TEMPORARY}
    yield from (f"lamina/tmp/{name} was left behind" for name in os.listdir(store.paths.tmp) if name not in folders)
    if os.path.isdir(store.paths.buildkit):
        return  # BuildKit keeps trees of its own there
    used = usage.trees(store.layers, store.mounts) | making
    yield from (f"{store.driver_name}/{tree} belongs to nothing" for tree in store.driver if tree not in used)
    for path in store.driver.strays():
        yield f"{os.path.relpath(path, store.paths.root)} belongs to nothing"
