"""One repository over a storage: the blobs and manifests that it has, and its tags."""

import asyncio
import contextlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from ..oci.digest import Digest, parse
from ..oci.digest import InvalidDigest as _InvalidDigest
from . import documents, paths
from .codes import BlobUnknown, ManifestBlobUnknown, ManifestUnknown, NameUnknown, Unavailable
from .contract import Missing, Storage
from .documents import Document

_CACHE = 32 << 20
_BREATH = 200  # links read before others get their turn


class Stored(msgspec.Struct, frozen=True):
    """A manifest as it was pushed."""

    digest: Digest
    media_type: str
    data: bytes


class Cache:
    """Manifests by digest, within a bound of bytes: what has a digest never changes."""

    def __init__(self, limit: int = _CACHE) -> None:
        self._known: OrderedDict[Digest, tuple[bytes, str, bool]] = OrderedDict()
        self._left = limit

    async def get(self, storage: Storage, digest: Digest) -> tuple[bytes, str, bool]:
        """Return a manifest, its media type, and whether its text says it.

        Raises:
            Missing: the storage does not have it.
            Unavailable: it is damaged.
        """
        size = await storage.size(digest)
        found = self._known.get(digest)
        if found is not None and len(found[0]) == size:
            return found
        blob = await storage.open(digest)
        try:
            data = await blob.read(0, blob.size)
        finally:
            blob.close()
        if documents.digest(data, digest) != digest:
            raise Unavailable(f"the manifest {digest} is damaged, `lamina registry check` tells more")
        document = documents.parse(data)
        found = (data, documents.media_type(document), bool(document.media_type))
        self._keep(digest, found)
        return found

    def _keep(self, digest: Digest, found: tuple[bytes, str, bool]) -> None:
        if old := self._known.pop(digest, None):
            self._left += len(old[0])
        self._known[digest] = found
        self._left -= len(found[0])
        while self._left < 0:
            self._left += len(self._known.popitem(last=False)[1][0])


class Repository:
    """A repository; it exists as soon as something is pushed to it."""

    def __init__(self, storage: Storage, name: str, cache: Cache) -> None:
        self.storage = storage
        self.name = name
        self._cache = cache

    async def blob(self, digest: Digest) -> Digest:
        """Return the digest by which the storage has a blob of the repository: distribution's links may name another.

        Raises:
            BlobUnknown: the repository does not have it.
        """
        try:
            return _target(await self.storage.read(paths.layer(self.name, digest)))
        except Missing as error:
            raise BlobUnknown("the repository has no such blob", {"digest": digest}) from error

    def blob_links(self, digest: Digest) -> list[tuple[str, bytes]]:
        """Return the documents that say that the repository has a blob."""
        return [(paths.layer(self.name, digest), digest.encode())]

    async def mount(self, digest: Digest, source: "Repository | None") -> bool:
        """Take a blob from another repository, or from any; return whether it was there."""
        async with self.storage.pushing():
            try:
                stored = await source.blob(digest) if source is not None else digest
            except BlobUnknown:
                return False
            if await self.storage.touch([stored]):
                return False
            await self.storage.write([(paths.layer(self.name, digest), stored.encode())])
            return True

    async def forget_blob(self, digest: Digest) -> None:
        """Give up a blob; the storage keeps it until it is collected.

        Raises:
            BlobUnknown: the repository does not have it.
        """
        await self.blob(digest)
        await self.storage.remove(paths.layer(self.name, digest))

    async def resolve(self, tag: str) -> Digest:
        """Return what a tag stands for.

        Raises:
            ManifestUnknown: there is no such tag.
        """
        try:
            return _target(await self.storage.read(paths.current(self.name, tag)))
        except Missing as error:
            raise ManifestUnknown(f"{self.name} has no tag {tag}", {"name": self.name, "tag": tag}) from error

    async def manifest(self, digest: Digest) -> Stored:
        """Return a manifest.

        Raises:
            ManifestUnknown: the repository does not have it.
        """
        try:
            stored = _target(await self.storage.read(paths.revision(self.name, digest)))
            data, kind, said = await self._cache.get(self.storage, stored)
            return Stored(digest, kind if said else await self._noted_type(digest, kind), data)
        except Missing as error:
            detail = {"name": self.name, "digest": digest}
            raise ManifestUnknown(f"{self.name} has no manifest {digest}", detail) from error

    async def _noted_type(self, digest: Digest, guess: str) -> str:
        try:
            return (await self.storage.read(paths.media_type(self.name, digest))).decode()
        except Missing:
            return guess

    async def put(self, stored: Stored, document: Document, tags: Sequence[str], *, sparse: bool = False) -> None:
        """Take a manifest, and let tags stand for it.

        Raises:
            ManifestBlobUnknown: something is not there that it names, its subject aside; not raised if `sparse`.
        """
        async with self.storage.pushing():
            missing = await self._relied_on(document)
            if missing and not sparse:
                raise ManifestBlobUnknown(
                    f"{self.name} lacks {len(missing)} of what the manifest names: push {missing[0]} first",
                    {"digest": missing[0], "missing": missing},
                )
            links = [*self._descriptions(stored, document), *self._tag_links(tags, stored.digest)]
            await self.storage.put(stored.digest, stored.data, links)

    def _descriptions(self, stored: Stored, document: Document) -> Iterable[tuple[str, bytes]]:
        if document.media_type == "" and stored.media_type != documents.media_type(document):
            yield paths.media_type(self.name, stored.digest), stored.media_type.encode()
        if document.subject is not None:
            row = documents.descriptor(stored.data, document, stored.digest, stored.media_type)
            yield paths.referrer(self.name, document.subject.digest, stored.digest), msgspec.json.encode(row)
        yield paths.revision(self.name, stored.digest), stored.digest.encode()

    def _tag_links(self, tags: Sequence[str], digest: Digest) -> Iterable[tuple[str, bytes]]:
        for tag in tags:
            yield paths.past(self.name, tag, digest), digest.encode()
            yield paths.current(self.name, tag), digest.encode()

    async def _relied_on(self, document: Document) -> list[Digest]:
        """Let all that a manifest names count as new; return what is not there."""
        stored: dict[Digest, Digest] = {}
        missing: list[Digest] = []
        for descriptor in document.blobs:
            try:
                stored[await self.blob(descriptor.digest)] = descriptor.digest
            except BlobUnknown:
                missing.append(descriptor.digest)
        missing += [stored[digest] for digest in await self.storage.touch(stored)]
        for descriptor in document.children:
            try:
                await self.storage.renew(paths.revision(self.name, descriptor.digest))
            except Missing:
                missing.append(descriptor.digest)
        return missing

    async def untag(self, tag: str) -> None:
        """Remove a tag, and what it stood for before.

        Raises:
            ManifestUnknown: there is no such tag.
        """
        await self.resolve(tag)
        await self.storage.remove(paths.tag(self.name, tag))

    async def forget(self, digest: Digest) -> list[str]:
        """Give up a manifest, and first the tags that stand for it; return those.

        Raises:
            ManifestUnknown: the repository does not have it.
        """
        stored = await self.manifest(digest)
        subject = documents.parse(stored.data).subject
        gone = [tag async for tag in self.tags_of(digest)]
        for tag in gone:
            if await self._stands_for(tag, digest):  # still, and not anew for another
                await self.storage.remove(paths.tag(self.name, tag))
        await self.drop(digest, subject.digest if subject is not None else None)
        return gone

    async def drop(self, digest: Digest, subject: Digest | None) -> None:
        """Remove what says that the repository has a manifest; no tag may stand for it."""
        await self.storage.remove(paths.revision(self.name, digest))
        await self.storage.remove(paths.media_type(self.name, digest))
        if subject is not None:
            await self.storage.remove(paths.referrer(self.name, subject, digest))

    async def tags_of(self, digest: Digest) -> AsyncIterator[str]:
        """Yield the tags that stand for a manifest."""
        for count, tag in enumerate(await self.storage.names(paths.tags(self.name))):
            if await self._stands_for(tag, digest):
                yield tag
            if count % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)

    async def _stands_for(self, tag: str, digest: Digest) -> bool:
        try:
            return await self.resolve(tag) == digest
        except (ManifestUnknown, Unavailable):
            return False

    async def tags(self, last: str = "") -> AsyncIterator[str]:
        """Yield the tags after `last`, by their bytes; those alone are looked at.

        Raises:
            NameUnknown: there is no such repository.
        """
        names = await self.storage.names(paths.tags(self.name))
        if not names and not await self.exists():
            raise NameUnknown(f"there is no repository {self.name}", {"name": self.name})
        for at in range(bisect_right(names, last) if last else 0, len(names)):
            with contextlib.suppress(Missing):  # half removed
                await self.storage.modified(paths.current(self.name, names[at]))
                yield names[at]
            if at % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)

    async def exists(self) -> bool:
        """Tell whether something was pushed to the repository."""
        return bool(await self.storage.names(self.name))

    async def revisions(self) -> AsyncIterator[Digest]:
        """Yield the digests of all manifests."""
        async for digest in linked(self.storage, paths.revisions(self.name)):
            yield digest


async def linked(storage: Storage, folder: str) -> AsyncIterator[Digest]:
    """Yield the digests that have a link below a folder `<algorithm>/<hex>/link`."""
    for algorithm in await storage.names(folder):
        for count, encoded in enumerate(await storage.names(f"{folder}/{algorithm}")):
            with contextlib.suppress(Missing):
                await storage.modified(f"{folder}/{algorithm}/{encoded}/link")
                yield Digest(f"{algorithm}:{encoded}")
            if count % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)


def _target(link: bytes) -> Digest:
    """Return the digest in a link.

    Raises:
        Unavailable: it is damaged.
    """
    try:
        return parse(link.decode())
    except (_InvalidDigest, UnicodeDecodeError) as error:
        raise Unavailable(f"a link is damaged, `lamina registry check` tells which: {error}") from error
