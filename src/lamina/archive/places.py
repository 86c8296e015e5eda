"""Archives and layouts as places that one image is copied from, or to, with its blobs as they are.

What comes out is an OCI layout in every case; a Docker archive has Docker's list of images besides, so that dockerd of
any age since 1.10 loads it: it takes layers that are compressed.
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from ..compression import Corrupt, decompressed, detect
from ..content.contract import ContentNotFound, Source
from ..content.copying import read
from ..content.layout import INDEX, REF_NAME, VERSION, VERSION_FILE, Layout, name_of
from ..errors import InvalidArgument, NotSupported
from ..files import replacing
from ..oci import codec, config, digest, manifest, mediatypes, reference
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Index, Manifest
from ..streams import CHUNK, Hashed, Reader, Writer, chunks, copy
from ..tar.header import InvalidTar
from .docker import MANIFEST, DockerArchive, InvalidArchive, Item
from .members import Members, Tarball
from .members import read as read_member
from .oci import OciArchive
from .save import ArchiveTarget, blob

_CONTAINERD_NAME = "io.containerd.image.name"
_LAYERS = {"gzip": mediatypes.OCI_LAYER_GZIP, "zstd": mediatypes.OCI_LAYER_ZSTD, "": mediatypes.OCI_LAYER}


class Named(NamedTuple):
    """An image in a place: what it is, and its full name, if it has one."""

    descriptor: Descriptor
    name: str


class Finished(NamedTuple):
    """What a place that is written is told at the end: the root of the image, its manifest, and its name."""

    root: Descriptor
    manifest: Descriptor
    name: str


@contextlib.contextmanager
def archive(path: str, name: str) -> Iterator[tuple[Source, Named]]:
    """Open one image of an archive; `name` may be empty where there is but one.

    Raises:
        InvalidArchive: the file holds no images, or several and no name is given.
        ContentNotFound: none has the name.
    """
    with open(path, "rb") as found, contextlib.ExitStack() as stack:
        try:
            members = Tarball(_plain(found, stack), path)
        except (InvalidTar, Corrupt) as error:
            raise InvalidArchive(f"{path} is no archive of images: {error}") from error
        if INDEX in members:
            entries = manifest.parse_index(read_member(members, INDEX, codec.LIMIT), f"{INDEX} of {path}").manifests
            yield OciArchive(members), _chosen(entries, name, path)
        elif MANIFEST in members:
            source = AsItLies(members)
            yield source, source.choose(name)
        else:
            raise InvalidArchive(f"invalid archive: {path} has neither {MANIFEST} nor {INDEX}")


def _plain(file: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    """Return the file of a tar that is not compressed, for as long as the stack lasts."""
    if not detect(file.read(8)):
        return file
    file.seek(0)
    plain = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    copy(decompressed(file), plain)
    plain.flush()
    return plain


@contextlib.contextmanager
def layout(path: str, name: str) -> Iterator[tuple[Source, Named]]:
    """Open one image of a layout; see `archive`."""
    if not os.path.exists(os.path.join(path, INDEX)):
        raise InvalidArchive(f"{path} is no OCI layout: it has no {INDEX}")
    found = Layout(path)
    yield found, _chosen(found.index().manifests, name, path)


def _chosen(entries: tuple[Descriptor, ...], name: str, where: str) -> Named:
    """Return the entry that has a name, or the only one."""
    if name:
        fitting = [one for one in entries if name in _names(one)]
    else:
        fitting = list({one.digest: one for one in entries}.values())
    if not fitting:
        raise ContentNotFound(f"{where} has no image{f' named {name!r}' if name else ''}")
    if len({one.digest for one in fitting}) > 1:
        known = ", ".join(sorted({_names(one)[0] or one.digest for one in entries})[:10])
        raise InvalidArgument(f"{where} has several images, say which: {known}")
    annotations = {
        key: value for key, value in (fitting[0].annotations or {}).items() if key not in (REF_NAME, _CONTAINERD_NAME)
    }
    return Named(msgspec.structs.replace(fitting[0], annotations=annotations or None), _full(fitting[0]))


def _names(entry: Descriptor) -> tuple[str, ...]:
    """Return all that an entry may be called."""
    full = _full(entry)
    familiar = reference.parse(full).familiar if full else ""
    return (familiar or name_of(entry), name_of(entry), full, entry.digest)


def _full(entry: Descriptor) -> str:
    for text in ((entry.annotations or {}).get(_CONTAINERD_NAME, ""), name_of(entry)):
        if ":" in text or "/" in text:
            with contextlib.suppress(reference.InvalidReference):
                return str(reference.parse(text).tagged())
    return ""


class AsItLies(Source):
    """A Docker archive without a layout, as content: each layer by the digest of the bytes that lie there."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._archive = DockerArchive(members)
        self._files: dict[Digest, str] = {}
        self._documents: dict[Digest, bytes] = {}

    def choose(self, name: str) -> Named:
        """Return the image of a name, or the only one; its layers are read once, to know their digests."""
        items = self._archive.items()
        wanted = str(reference.parse(name).tagged()) if name else ""
        fitting = [item for item in items if not wanted or wanted in _tags(item)]
        if not fitting:
            raise ContentNotFound(f"{self._members.where} has no image{f' named {name!r}' if name else ''}")
        if len(fitting) > 1:
            known = ", ".join(name for item in items for name in item.repo_tags or ["<none>"])
            raise InvalidArgument(f"{self._members.where} has several images, say which: {known[:500]}")
        names = _tags(fitting[0])
        return Named(self._described(fitting[0]), wanted or (names[0] if names else ""))

    def _described(self, item: Item) -> Descriptor:
        value = self._archive.manifest(item)
        with self._archive.open(value.config) as stream:
            self._documents[value.config.digest] = stream.read(-1)
        layers = tuple(map(self._layer, item.layers or []))
        raw = codec.encode(Manifest(2, value.config, layers, mediatypes.OCI_MANIFEST))
        self._documents[digest.of(raw)] = raw
        return Descriptor(mediatypes.OCI_MANIFEST, digest.of(raw), len(raw))

    def _layer(self, name: str) -> Descriptor:
        head = self._members.open(name).read(8)
        kind = _LAYERS.get(detect(head))
        if kind is None:
            raise NotSupported(f"{name} of {self._members.where} is compressed in a way that registries do not know")
        hashed = Hashed(self._members.open(name))
        for _ in chunks(hashed, CHUNK):
            pass
        found = digest.parse(hashed.digest)
        self._files[found] = name
        return Descriptor(kind, found, hashed.count)

    def resolve(self, name: str) -> Descriptor:
        return self.choose(name).descriptor

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Reader]:
        if descriptor.digest in self._documents:
            yield io.BytesIO(self._documents[descriptor.digest])
        elif descriptor.digest in self._files:
            yield self._members.open(self._files[descriptor.digest])
        else:
            raise ContentNotFound(f"{self._members.where} has no content {descriptor.digest}")


def _tags(item: Item) -> list[str]:
    return [str(reference.parse(text).tagged()) for text in item.repo_tags or []]


class Writing:
    """An archive that is being written: a target for the blobs, and `finish` when all of them are in."""

    def __init__(self, file: Writer, *, for_docker: bool) -> None:
        self.target = ArchiveTarget(file)
        self._for_docker = for_docker

    def finish(self, source: Source, done: Finished) -> None:
        """Write what says which image this is; for Docker, the root is the manifest itself."""
        named = reference.parse(done.name).tagged() if done.name else None
        annotations = {**(done.root.annotations or {})}
        if named is not None:
            annotations |= {_CONTAINERD_NAME: str(named), REF_NAME: named.tag}
        entry = msgspec.structs.replace(done.root, annotations=annotations or None, platform=None)
        self.target.add(INDEX, codec.encode(Index(2, (entry,), mediatypes.OCI_INDEX)))
        if self._for_docker:
            self.target.add(MANIFEST, codec.encode([_item(source, done, named)]))
        self.target.add(VERSION_FILE, VERSION)
        self.target.end()


def _item(source: Source, done: Finished, named: reference.Reference | None) -> Item:
    """Return Docker's description of an image."""
    value = manifest.parse(read(source, done.manifest), f"manifest {done.manifest.digest}")
    assert isinstance(value, Manifest)
    config.parse(read(source, value.config), f"config {value.config.digest}")
    tags = [named.familiar] if named is not None and named.tag else None
    return Item(blob(value.config.digest), tags, [blob(layer.digest) for layer in value.layers])


@contextlib.contextmanager
def writing(path: str, *, for_docker: bool) -> Iterator[Writing]:
    """Open an archive to write: it appears whole, or not at all."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise InvalidArgument(f'invalid output path: directory "{folder}" does not exist')
    with replacing(os.path.abspath(path), 0o644) as file:
        yield Writing(file, for_docker=for_docker)
