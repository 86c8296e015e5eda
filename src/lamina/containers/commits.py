"""A container's changes as an image: one layer, if there are any."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from ..layers.layers import Layer
from ..layers.mounts import WritableLayer
from ..lock import Lease
from ..oci import codec, config, platform
from ..oci.digest import Digest
from ..oci.reference import Reference
from ..store.lifecycle import create_built
from ..store.store import Store
from ..streams import Pieces
from ..tar.changes import Change
from ..tar.pack import Fixed, pack


class Base(NamedTuple):
    """What an image is made on top of; both are None for nothing."""

    image_id: Digest | None
    image: config.Image | None


class Statement(msgspec.Struct, frozen=True):
    """What a commit says of itself.

    Attributes:
        run: what containers of the new image run.
        step: the config of the step that made it; the build cache compares it.
        created_by: the step in words.
        comment: for the history.
        author: for the history and the image.
        created: RFC 3339.
        latest: times of files after it, in seconds since the epoch, become it.
    """

    run: config.RunConfig
    step: config.RunConfig
    created_by: str
    comment: str = ""
    author: str = ""
    created: str = ""
    latest: int | None = None


class Committed(NamedTuple):
    """A new image, and its top layer."""

    image_id: Digest
    image: config.Image
    layer: Layer | None


def commit(
    store: Store, lease: Lease, container: str, base: Base, statement: Statement, names: Sequence[Reference] = ()
) -> Committed:
    """Make an image of what a container changed, on top of its image.

    Args:
        store: of both.
        lease: of the caller.
        container: the id of a writable layer.
        base: the image under it.
        statement: what the new image says of itself.
        names: for the new image.

    Raises:
        Changed: a file got shorter while it was read; the container should rest meanwhile.
    """
    writable = store.mounts.get(container)
    parent = store.layers.get(writable.parent) if writable.parent else None
    layer = _layer(store, lease, writable, parent, statement.latest)
    return add(
        store, lease, base, layer or parent, child(base.image, layer.diff_id if layer else None, statement), names
    )


def add(
    store: Store, lease: Lease, base: Base, top: Layer | None, image: config.Image, names: Sequence[Reference] = ()
) -> Committed:
    """Make an image of its config, on top of another one."""
    return Committed(create_built(store, lease, codec.encode(image), base.image_id, names), image, top)


def _layer(
    store: Store, lease: Lease, writable: WritableLayer, parent: Layer | None, latest: int | None
) -> Layer | None:
    """Make a layer of what changed; None if nothing did."""
    changes: Iterator[Change] = store.mounts.changes(writable, parent)
    first = next(changes, None)
    if first is None:
        return None
    fixed = Fixed(latest, None if store.privileged else (0, 0))  # without privilege all files are of one user
    with store.mounts.open(writable) as root:
        stream = Pieces(pack(itertools.chain([first], changes), root, fixed))
        return store.layers.register(lease, stream, parent)


def child(base: config.Image | None, diff_id: Digest | None, statement: Statement) -> config.Image:
    """Return the config of an image on top of another one, with one more step, and a layer if that made one."""
    host = platform.host()
    parent = base or config.Image(architecture=host.architecture, os=host.os, rootfs=config.RootFS())
    step = config.History(
        statement.created, statement.created_by, statement.author, statement.comment, empty_layer=diff_id is None
    )
    diff_ids = [*parent.diff_ids, *([diff_id] if diff_id is not None else [])]
    return config.Image(
        architecture=parent.architecture,
        author=statement.author or parent.author,
        comment=statement.comment or msgspec.UNSET,
        config=statement.run,
        container_config=statement.step,
        created=statement.created,
        history=[*parent.steps, step],
        os=parent.os,
        os_features=parent.os_features,
        os_version=parent.os_version,
        rootfs=config.RootFS(diff_ids=diff_ids),
        variant=parent.variant,
    )
