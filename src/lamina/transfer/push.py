"""Images from the store to a registry: `docker push`.

    what the registry has under the manifest's digest? -> config, and layers -> manifest, with its tag

An image that came from a registry goes out with the manifest that it came with, as far as its layers can be had as
they came; another gets a manifest that dockerd would write.
"""

import contextlib
import io
from functools import partial
from typing import NamedTuple

from ..content.copying import read
from ..errors import LaminaError, NotFound
from ..events import Report, Status, once
from ..images.distribution import Form, Origin, seal
from ..layers.layers import Layer
from ..oci import digest, manifest, mediatypes, reference
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Manifest
from ..oci.reference import InvalidReference, Reference
from ..packing import processors
from ..store.journal import IMAGE
from ..store.names import labels
from ..store.store import Store
from . import kept
from .crew import Permits, crew
from .outgoing import Compression, Outgoing
from .places import Connect, Places

SENDERS = 3
"""Those that send at a time, of which as many compress as there are processors."""

_OCI = {
    mediatypes.DOCKER_LAYER: mediatypes.OCI_LAYER,
    mediatypes.DOCKER_LAYER_GZIP: mediatypes.OCI_LAYER_GZIP,
    mediatypes.DOCKER_CONFIG: mediatypes.OCI_CONFIG,
}


class NoSuchTag(NotFound):
    """There is nothing to push."""


class Pushed(NamedTuple):
    """An image that a registry has now under a tag; `size` is the manifest's."""

    reference: Reference
    digest: Digest
    size: int


class _Document(NamedTuple):
    """A manifest: its descriptor, its bytes, and what they say."""

    descriptor: Descriptor
    raw: bytes
    value: Manifest


def verb(
    store: Store,
    connect: Connect,
    name: str,
    report: Report,
    compression: Compression | None = None,
    *,
    every: bool = False,
) -> list[Pushed]:
    """Send the image of a name, or with `every` all tags of a repository; see `push`.

    Raises:
        InvalidReference: the name is malformed, or has a digest; with `every`, or a tag.
    """
    parsed = reference.parse(name)
    if parsed.digest:
        raise InvalidReference(name, "cannot push a digest reference")
    if every and parsed.tag:
        raise InvalidReference(name, "tag can't be used with --all-tags/-a")
    report(Status(f"The push refers to repository [{parsed.name}]"))
    names = _tags(store, parsed) if every else [parsed.tagged()]
    report = once(report)  # several processes may have heard the same
    with Places(connect, report) as places:
        return [push(store, places, one, report, compression) for one in names]


def push(
    store: Store, places: Places, name: Reference, report: Report, compression: Compression | None = None
) -> Pushed:
    """Send an image; what the registry has is not sent.

    Args:
        store: has it.
        places: the registries.
        name: of the image, with a tag, and so of the repository.
        report: hears of every layer.
        compression: how layers are to be compressed; without it, as they came or as gzip.

    Raises:
        NoSuchTag: there is no such image.
        LayerDamaged: a layer is not what it was.
        LaminaError: what the registry may say; see `remote.answers`.
    """
    chosen = compression or Compression()
    image_id = store.references.get(name)
    if image_id is None:
        raise NoSuchTag(f"An image does not exist locally with the tag: {name.familiar_name}")
    with store.writing(), store.keeping([image_id]):
        known = None if chosen.name else _known(store, image_id)
        layers = store.layers.chain(_top(store, image_id))
        unique = list({layer.diff_id: layer for layer in layers}.values())
        for layer in unique:
            report(Status("Preparing", digest.short(layer.diff_id)))
        if known is not None and _is_there(places, name, known):
            for layer in unique:
                report(Status("Layer already exists", digest.short(layer.diff_id)))
            sent = known
        else:
            sent = _sent(store, places, name, image_id, unique, known, chosen, report)
        _note(store, name, image_id, sent)
    report(Status(f"{name.tag}: digest: {sent.descriptor.digest} size: {sent.descriptor.size}"))
    return Pushed(name, sent.descriptor.digest, sent.descriptor.size)


def _tags(store: Store, name: Reference) -> list[Reference]:
    """Return all tags of a repository that are here.

    Raises:
        NoSuchTag: there is none.
    """
    every = (reference.parse(text) for text in store.references.all() if "@" not in text)
    found = [one for one in every if one.name == name.name]
    if not found:
        raise NoSuchTag(f"An image does not exist locally with the tag: {name.familiar_name}")
    return found


def _top(store: Store, image_id: Digest) -> Digest | None:
    chain_ids = digest.chains(store.images.summary(image_id).diff_ids)
    return chain_ids[-1] if chain_ids else None


def _known(store: Store, image_id: Digest) -> _Document | None:
    """Return the manifest that an image came, or went, with."""
    with contextlib.suppress(LaminaError):
        descriptor = store.content.resolve(kept.manifest_name(image_id))
        raw = read(store.content, descriptor)
        value = manifest.parse(raw)
        if isinstance(value, Manifest) and value.config.digest == image_id:
            return _Document(descriptor, raw, value)
    return None


def _is_there(places: Places, name: Reference, known: _Document) -> bool:
    """Tell whether a registry has a manifest; it has the tag then, too."""
    repository = places.at(name)
    with contextlib.suppress(NotFound):
        if repository.resolve(name.tag).digest == known.descriptor.digest:
            return True
    if not repository.has(known.descriptor):
        return False
    repository.publish(known.descriptor, known.raw, name.tag)
    return True


def _sent(
    store: Store,
    places: Places,
    name: Reference,
    image_id: Digest,
    layers: list[Layer],
    known: _Document | None,
    compression: Compression,
    report: Report,
) -> _Document:
    """Send config, layers and manifest."""
    diff_ids = store.images.summary(image_id).diff_ids
    own = dict(zip(diff_ids, known.value.layers, strict=True)) if known else {}
    raw = store.images.raw(image_id)
    config = Descriptor(mediatypes.DOCKER_CONFIG, image_id, len(raw))
    secrets = places.secrets(name)
    places.at(name).reach()
    layers = sorted(layers, key=lambda layer: -layer.size)  # the largest first, so that all end together
    with Permits(processors()) as permits:
        outgoing = Outgoing(store, places, name, compression, own, secrets, permits)
        work = [partial(outgoing.config, config, raw), *(partial(outgoing.send, layer) for layer in layers)]
        do = lambda number, say: work[number](say)  # noqa: E731
        # to put tars together is work for Python, of which a process does one thing at a time
        processes, threads = (1, SENDERS) if store.layers.keeps_tars else (SENDERS, 1)
        sent = dict(crew(len(work), do, Form, processes, report, places.cancel, threads))
    forms = {layer.diff_id: sent[number] for number, layer in enumerate(layers, 1)}
    document = _document(config, [forms[diff_id].descriptor for diff_id in diff_ids], known)
    places.at(name).publish(document.descriptor, document.raw, name.tag)
    with store.lock():
        for diff_id, form in forms.items():
            sealed = seal(form.descriptor.digest, name.name, secrets)
            store.distribution.add(diff_id, Origin(form.descriptor.digest, name.name, sealed), form)
    return document


def _document(config: Descriptor, layers: list[Descriptor], known: _Document | None) -> _Document:
    """Return the manifest of an image whose layers have got some forms: the known one, if it is of the same."""
    if known and [layer.digest for layer in known.value.layers] == [layer.digest for layer in layers]:
        return known
    kind = mediatypes.DOCKER_MANIFEST
    if any(layer.media_type not in _OCI for layer in layers):
        kind = mediatypes.OCI_MANIFEST
        config, *layers = (_as_oci(descriptor) for descriptor in (config, *layers))
    raw = _written(kind, config, layers)
    value = manifest.parse(raw)
    assert isinstance(value, Manifest)
    return _Document(Descriptor(kind, digest.of(raw), len(raw)), raw, value)


def _as_oci(descriptor: Descriptor) -> Descriptor:
    kind = _OCI.get(descriptor.media_type, descriptor.media_type)
    return Descriptor(kind, descriptor.digest, descriptor.size, descriptor.urls, descriptor.annotations)


def _written(kind: str, config: Descriptor, layers: list[Descriptor]) -> bytes:
    """Return a manifest as dockerd writes it: its fields in this order, indented by three."""
    import json  # noqa: PLC0415 - msgspec does not indent

    first, *rest = (
        {"mediaType": one.media_type, "size": one.size, "digest": one.digest}
        | ({"annotations": one.annotations} if one.annotations else {})
        for one in (config, *layers)
    )
    document = {"schemaVersion": 2, "mediaType": kind, "config": first, "layers": rest}
    return json.dumps(document, indent=3).encode()


def _note(store: Store, name: Reference, image_id: Digest, sent: _Document) -> None:
    """Note what the registry has: the manifest, and the image's name by digest."""
    store.content.push(sent.descriptor, io.BytesIO(sent.raw))
    store.content.tag(sent.descriptor, kept.manifest_name(image_id))
    by_digest = Reference(name.domain, name.path, "", sent.descriptor.digest)
    with store.lock():
        if image_id in store.images and store.references.get(by_digest) is None:
            store.references.add(by_digest, image_id)
    store.journal.note(IMAGE, "push", name.familiar, {**labels(store, image_id), "name": name.familiar_name})
