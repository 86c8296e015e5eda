"""Images from a registry into the store: `docker pull`.

    tag -> manifest, by its digest -> for an index, the platform's -> config: is the image here already?
        -> the layers that are missing -> the image, its tag and its digest, under one lock

Every document is verified and kept as it came, so that a push gives the very same back.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import NamedTuple

from ..content.choosing import choose
from ..content.contract import ContentNotFound, Source
from ..content.copying import read
from ..errors import DataLoss, InvalidArgument, LaminaError, NotSupported
from ..events import Problem, Report, Status, once
from ..images.distribution import Form, Origin
from ..lock import Lease
from ..oci import config, digest, manifest, mediatypes, platform
from ..oci.config import Image
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Manifest
from ..oci.platform import Platform
from ..oci.reference import InvalidReference, Reference, parse
from ..remote.registry import Registry
from ..store.journal import IMAGE
from ..store.lifecycle import create
from ..store.names import labels
from ..store.store import Store
from ..streams import Reader
from . import kept
from .incoming import Wanted, brought
from .partial import Partials
from .places import Connect, Places


class Pulled(NamedTuple):
    """An image that is here now.

    Attributes:
        reference: what was asked for, with its tag or digest.
        image_id: of the image.
        digest: of the manifest, or the index, that the registry has under that name.
        is_new: whether the name meant another image before, or none.
    """

    reference: Reference
    image_id: Digest
    digest: Digest
    is_new: bool


def verb(
    store: Store, connect: Connect, name: str, report: Report, wanted: str = "", *, every: bool = False, into: str = ""
) -> list[Pulled]:
    """Bring in the image of a name, or with `every` all tags of a repository; see `pull`.

    With `into` the image gets that name here, in place of its own.

    Raises:
        InvalidReference: the name is malformed; with `every`, it has a tag or a digest.
        InvalidArgument: there is one name for all tags.
    """
    if every and into:
        raise InvalidArgument(f"all tags of {name} cannot have the name {into}")
    parsed = parse(name)
    if every and (parsed.tag or parsed.digest):
        raise InvalidReference(name, "tag can't be used with --all-tags/-a")
    report = once(report)  # several processes may have heard the same
    with Places(connect, report) as places:
        names = _tags(places, parsed) if every else [parsed.tagged()]
        given = parse(into).tagged() if into else None
        pulled = [pull(store, places, one, report, wanted, given) for one in names]
    asked = (parsed if every else pulled[0].reference).familiar
    is_new = any(one.is_new for one in pulled)
    report(Status(f"Status: {'Downloaded newer image' if is_new else 'Image is up to date'} for {asked}"))
    return pulled


def pull(
    store: Store, places: Places, reference: Reference, report: Report, wanted: str = "", into: Reference | None = None
) -> Pulled:
    """Bring an image in; layers that are here are not asked for.

    The image is there whole, with its names, or not at all. What has come of layers is kept for the next try.

    Args:
        store: where to.
        places: the registries.
        reference: with a tag or a digest; the digest counts.
        report: hears of every layer.
        wanted: the platform to choose from an index; empty for this machine's.
        into: the name that it gets here, in place of what was asked for and of its digest.

    Raises:
        ContentNotFound: the registry does not have it.
        NoPlatform: it has it not for the platform.
        DigestMismatch: something is not what its digest says.
        LaminaError: what the registry may say; see `remote.answers`.
    """
    chosen = platform.parse(wanted) if wanted else platform.host()
    with store.writing() as lease:
        kept.shrink_partials(store)
        source = _Keeping(store, lease, places.at(reference))
        name = reference.digest or reference.tag
        top = source.resolve(name)
        report(Status(f"Pulling from {reference.path}", name))
        found = choose(source, top, chosen)[-1]
        value = manifest.parse(read(source, found), f"manifest {found.digest}")
        assert isinstance(value, Manifest)
        with _brought(store, lease, places, reference, value, report) as raw:
            store.content.tag(found, kept.manifest_name(value.config.digest))
            if wanted:
                _compare(reference, config.parse(raw).platform, chosen, report)
            names = [into] if into else _names(store, reference, top.digest)
            pulled = _named(store, lease, names, top.digest, raw, report)
        Partials(store.paths.partial).drop(layer.digest for layer in value.layers)  # a pull that was killed left them
        return pulled


def _compare(reference: Reference, found: Platform, wanted: Platform, report: Report) -> None:
    """Say that an image is not the one for the platform asked for: one without an index comes all the same."""
    if not wanted.runs(found):
        what = f"image with reference {reference.familiar} was found but its platform ({found}) does not match"
        report(Problem(f"{what} the specified platform ({wanted})"))


def _tags(places: Places, reference: Reference) -> list[Reference]:
    tags = sorted(places.at(reference).tags())
    if not tags:
        raise ContentNotFound(f"repository {reference.familiar_name} has no tags")
    return [Reference(reference.domain, reference.path, tag) for tag in tags]


@contextlib.contextmanager
def _brought(
    store: Store, lease: Lease, places: Places, reference: Reference, found: Manifest, report: Report
) -> Iterator[bytes]:
    """Bring in the config and the layers of an image, for a block that enters it; yield the config."""
    _require_image(found)
    is_here = found.config.digest in store.images
    raw = _config(store, places, reference, found.config)
    image = config.parse(raw, f"image config {found.config.digest}")
    wanted = _layers(store, image, found)
    with contextlib.ExitStack() as stack:
        if not is_here or len(store.rely_on(lease, digest.chains(image.diff_ids))) < len(wanted):
            stack.enter_context(brought(store, lease, places, reference, wanted, report))
        _note(store, reference, wanted)
        yield raw


def _require_image(found: Manifest) -> None:
    kind = found.config.media_type
    if kind not in mediatypes.CONFIGS:
        raise NotSupported(f'Encountered remote "{kind}" when fetching: it is no image that can be run')
    for layer in found.layers:
        if layer.media_type not in mediatypes.LAYERS:
            raise NotSupported(f"unsupported media type {layer.media_type} of layer {layer.digest}")


def _config(store: Store, places: Places, reference: Reference, descriptor: Descriptor) -> bytes:
    if descriptor.digest in store.images:
        with contextlib.suppress(DataLoss):  # a damaged one is fetched anew
            return store.images.raw(descriptor.digest)
    return read(places.at(reference), descriptor)


def _layers(store: Store, image: Image, found: Manifest) -> list[Wanted]:
    if len(image.diff_ids) != len(found.layers):
        raise DataLoss(
            f"layers from manifest don't match image configuration: there are {len(found.layers)} in the manifest, "
            f"{len(image.diff_ids)} in the config"
        )
    store.layers.check_depth(len(image.diff_ids))
    return [Wanted(*layer) for layer in zip(image.diff_ids, found.layers, strict=True)]


def _note(store: Store, reference: Reference, layers: list[Wanted]) -> None:
    """Note where the layers came from, for a push."""
    with store.lock():
        for diff_id, descriptor in layers:
            store.distribution.add(diff_id, Origin(descriptor.digest, reference.name), Form(_plain(descriptor)))


def _plain(descriptor: Descriptor) -> Descriptor:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)


def _names(store: Store, reference: Reference, found: Digest) -> list[Reference]:
    """Return the name that an image was asked for under, and its digest if that is not known yet."""
    name = Reference(reference.domain, reference.path, reference.tag if not reference.digest else "", reference.digest)
    by_digest = Reference(reference.domain, reference.path, "", found)
    return [name, by_digest] if not reference.digest and store.references.get(by_digest) is None else [name]


def _named(store: Store, lease: Lease, names: list[Reference], found: Digest, raw: bytes, report: Report) -> Pulled:
    """Enter the image with its names."""
    name = names[0]
    is_new = store.references.get(name) != digest.of(raw)
    image_id = create(store, lease, raw, names).image_id
    attributes = {**labels(store, image_id), "name": name.familiar_name}
    store.journal.note(IMAGE, "pull", name.familiar, attributes)
    report(Status(f"Digest: {found}"))
    return Pulled(name, image_id, found, is_new)


class _Keeping(Source):
    """A repository whose documents are kept in the store as they are read; a lease holds them until an image does."""

    def __init__(self, store: Store, lease: Lease, registry: Registry) -> None:
        self._content = store.content
        self._lease = lease
        self._registry = registry

    def resolve(self, name: str) -> Descriptor:
        if ":" in name:
            with contextlib.suppress(LaminaError):
                return kept.document(self._content, digest.parse(name))
        return self._registry.resolve(name)

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        self._lease.add(kept.CONTENT, digest.encoded(descriptor.digest))
        if not self._content.has(descriptor):
            self._content.push(descriptor, io.BytesIO(read(self._registry, descriptor)))
        with self._content.open(descriptor) as stream:
            yield stream
