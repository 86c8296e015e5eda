"""Indexes in the making: which images of which repositories they are to name, and for which platforms.

<folder>/<sha256 of the index's name>.json   a draft
"""

import contextlib
import os

import msgspec

from ..content.copying import read
from ..errors import AlreadyExists, InvalidArgument, NotFound
from ..files import replace
from ..oci import codec, config, digest, manifest, mediatypes, reference
from ..oci.manifest import Descriptor, Index, Manifest
from ..oci.platform import Platform
from ..oci.reference import Reference
from .client import Client
from .moving import move
from .registry import Registry


class DraftNotFound(NotFound):
    """No index of this name is in the making."""


class Part(msgspec.Struct, frozen=True):
    """One image of an index: its name, and what the index will say of it."""

    name: str
    descriptor: Descriptor


class Draft(msgspec.Struct, frozen=True):
    """An index in the making."""

    name: str
    parts: tuple[Part, ...] = ()

    def index(self) -> Descriptor:
        """Return how the index will be called."""
        raw = self.encode()
        return Descriptor(self._kind(), digest.of(raw), len(raw))

    def encode(self) -> bytes:
        """Return the index's bytes: Docker's list if all it has are Docker's manifests."""
        return codec.encode(Index(2, tuple(part.descriptor for part in self.parts), self._kind()))

    def _kind(self) -> str:
        kinds = {part.descriptor.media_type for part in self.parts}
        return mediatypes.DOCKER_LIST if kinds == {mediatypes.DOCKER_MANIFEST} else mediatypes.OCI_INDEX

    def with_part(self, part: Part) -> "Draft":
        """Return the draft with an image, in the place of the one of the same digest."""
        parts = {one.descriptor.digest: one for one in self.parts} | {part.descriptor.digest: part}
        return Draft(self.name, tuple(parts.values()))


class Drafts:
    """The drafts in a folder, which is made when the first comes."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, name: Reference) -> Draft:
        """Return a draft.

        Raises:
            DraftNotFound: there is none of this name.
        """
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                return codec.decode(file.read(codec.LIMIT + 1), Draft, path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DraftNotFound(
                f"no manifest list is named {name.familiar}: 'lamina manifest create' makes one"
            ) from error

    def begin(self, name: Reference, *, amend: bool) -> Draft:
        """Return a new draft; with `amend`, the one that there is.

        Raises:
            AlreadyExists: there is one, and it is not to be amended.
        """
        with contextlib.suppress(DraftNotFound):
            found = self.get(name)
            if amend:
                return found
            raise AlreadyExists(f"a manifest list named {name.familiar} is there already: amend it, or remove it")
        return Draft(str(name))

    def put(self, draft: Draft) -> None:
        """Keep a draft."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        replace(self._path(reference.parse(draft.name)), codec.encode(draft), 0o600)

    def remove(self, name: Reference) -> None:
        """Forget a draft.

        Raises:
            DraftNotFound: there is none of this name.
        """
        self.get(name)
        os.unlink(self._path(name))

    def _path(self, name: Reference) -> str:
        return os.path.join(self._folder, digest.encoded(digest.of(str(name).encode())) + ".json")


def part(client: Client, name: Reference) -> Part:
    """Return an image of a registry as a part of an index; its platform is the one of its config.

    Raises:
        ContentNotFound: there is no such image.
        InvalidArgument: it is an index.
    """
    repository = Registry(name, client)
    descriptor, raw = repository.fetch(name.digest or name.tag)
    value = manifest.parse(raw, f"manifest for {name.familiar}")
    if not isinstance(value, Manifest):
        raise InvalidArgument(
            f"{name.familiar} is a manifest list, and lists do not nest: name its manifests by digest"
        )
    return Part(str(name), msgspec.structs.replace(descriptor, platform=platform_of(repository, value)))


def platform_of(repository: Registry, value: Manifest) -> Platform | None:
    """Return what an image's config says of its platform; nothing of what is no image."""
    if value.config.media_type not in mediatypes.CONFIGS:
        return None
    image = config.parse(read(repository, value.config), f"config {value.config.digest}")
    return msgspec.structs.replace(
        image.platform, os_version=image.os_version or "", os_features=tuple(image.os_features or ())
    )


def publish(client: Client, draft: Draft) -> Descriptor:
    """Send an index to where its name says, with the images that are not there yet; return what it is there.

    Raises:
        ContentNotFound: an image of it is gone.
        InvalidArgument: it has no image.
    """
    if not draft.parts:
        raise InvalidArgument(f"the manifest list {draft.name} is empty")
    name = reference.parse(draft.name)
    target = Registry(name, client)
    for one in draft.parts:
        source = Registry(reference.parse(one.name), client)
        if not target.has(one.descriptor):
            move(source, target, one.descriptor)
    described = draft.index()
    target.publish(described, draft.encode(), name.tag)
    return described
