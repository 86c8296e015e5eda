"""Garbage collection while pushes go on.

A blob is kept if a manifest of any repository names it, or if it is new: written, mounted, asked for with HEAD, or
named by a pushed manifest less than `age` ago. Marking needs no lock. First, `collecting` waits for the pushes that
began before, so that marking sees all that they refer to. A push that begins later touches each blob before it refers
to it, and holds collection off meanwhile: when a blob's turn to go comes, under the same lock, it is either newer than
the mark and stays, or the push finds it gone and the client sends it again. The same holds for manifests.

With `untagged`, manifests go that no tag leads to: not by itself, nor through indexes, nor as a referrer of one that
stays. What a tag stood for before goes with its manifest; without `untagged` all of that stays.
"""

import time
from collections.abc import AsyncIterator, Callable

import msgspec

from ..errors import FailedPrecondition
from ..oci.digest import Digest
from . import catalog, documents, paths
from .codes import BlobUnknown, ManifestInvalid, ManifestUnknown, Unavailable
from .contract import Missing, Storage
from .documents import Document
from .repository import Cache, Repository, linked

Report = Callable[[str], None]


class Collected(msgspec.Struct):
    """What went, or with a dry run would go."""

    manifests: int = 0
    blobs: int = 0
    size: int = 0
    links: int = 0
    uploads: int = 0


class Damage(FailedPrecondition):
    """Something cannot be read, so that nobody knows what it relies on: nothing is collected."""


class Collection:
    """One collection over a storage.

    Args:
        storage: what to collect in; servers may use it meanwhile, those of lamina.
        age: seconds for which what is new stays.
        untagged: whether manifests go that no tag leads to.
        dry: whether all is only told.
        report: takes a line for each thing that goes.
    """

    def __init__(self, storage: Storage, age: float, *, untagged: bool, dry: bool, report: Report) -> None:
        self._storage = storage
        self._age = age
        self._untagged = untagged
        self._dry = dry
        self._report = report
        self._cache = Cache(0)
        self._marked: set[Digest] = set()
        self._before = 0.0
        self.found = Collected()

    async def run(self) -> Collected:
        """Collect; what goes away by other hands meanwhile is no error.

        Raises:
            Damage: a manifest cannot be read; nothing was collected.
        """
        async with self._storage.collecting() as now:
            self._before = now - self._age
        unneeded: list[tuple[Repository, dict[Digest, Document | None]]] = []
        async for name in catalog.folders(self._storage):
            repository = Repository(self._storage, name, self._cache)
            unneeded.append((repository, await self._mark(repository)))
        for repository, manifests in unneeded:
            if manifests:
                await self._forget(repository, manifests)
        await self._sweep()
        return self.found

    async def _mark(self, repository: Repository) -> dict[Digest, Document | None]:
        """Mark what the manifests of a repository need; return those that are not needed themselves."""
        every = {digest: await self._document(repository, digest) async for digest in repository.revisions()}
        kept = await self._needed(repository, every) if self._untagged else set(every)
        for digest in kept:
            document = every[digest]
            self._marked.add(digest)
            for descriptor in document.blobs if document is not None else ():
                self._marked.add(descriptor.digest)
                try:
                    self._marked.add(await repository.blob(descriptor.digest))
                except (BlobUnknown, Unavailable):
                    continue
        return {digest: document for digest, document in every.items() if digest not in kept}

    async def _document(self, repository: Repository, digest: Digest) -> Document | None:
        try:
            return documents.parse((await repository.manifest(digest)).data)
        except ManifestUnknown:
            self._report(f"{repository.name}: the manifest {digest} has no content")
            return None
        except (ManifestInvalid, Unavailable) as error:
            raise Damage(f"{repository.name}: the manifest {digest} is damaged, run `lamina registry check`") from error

    async def _needed(self, repository: Repository, every: dict[Digest, Document | None]) -> set[Digest]:
        """Return the manifests that a tag leads to, and the new ones."""
        found = {digest async for digest in self._roots(repository, every)}
        left = list(found)
        while left:
            digest = left.pop()
            document = every[digest]
            near = [child.digest for child in document.children] if document is not None else []
            near += [
                each for each, other in every.items() if other and other.subject and other.subject.digest == digest
            ]
            new = {each for each in near if each in every} - found
            found |= new
            left += new
        return found

    async def _roots(self, repository: Repository, every: dict[Digest, Document | None]) -> AsyncIterator[Digest]:
        for tag in await self._storage.names(paths.tags(repository.name)):
            try:
                digest = await repository.resolve(tag)
            except ManifestUnknown:
                continue
            except Unavailable as error:
                raise Damage(f"{repository.name}: the tag {tag} is damaged, run `lamina registry check`") from error
            if digest in every:
                yield digest
        for digest in every:
            if await self._is_new(paths.revision(repository.name, digest)):
                yield digest

    async def _is_new(self, path: str) -> bool:
        try:
            return await self._storage.modified(path) >= self._before
        except Missing:
            return False

    async def _forget(self, repository: Repository, manifests: dict[Digest, Document | None]) -> None:
        """Remove manifests that are still as they were when they were found unneeded, and tags' memory of them."""
        gone = {digest for digest, document in manifests.items() if await self._drop(repository, digest, document)}
        if self._dry:
            return
        for tag in await self._storage.names(paths.tags(repository.name)):
            async for digest in linked(self._storage, paths.history(repository.name, tag)):
                if digest in gone:
                    await self._storage.remove(paths.past(repository.name, tag, digest))

    async def _drop(self, repository: Repository, digest: Digest, document: Document | None) -> bool:
        async with self._storage.collecting():
            if await self._is_new(paths.revision(repository.name, digest)):
                return False
            self._report(f"{repository.name}: manifest {digest}")
            self.found.manifests += 1
            if not self._dry:
                await repository.drop(digest, document.subject.digest if document and document.subject else None)
            return True

    async def _sweep(self) -> None:
        """Remove blobs that are neither marked nor new, with the links to them."""
        unneeded = {digest: list[str]() async for digest in self._storage.digests() if digest not in self._marked}
        async for name in catalog.folders(self._storage):
            async for digest in linked(self._storage, paths.layers(name)):
                if digest in unneeded:
                    unneeded[digest].append(name)
                elif digest not in self._marked:
                    await self._unlink_dangling(name, digest)
        for digest, names in unneeded.items():
            if self._dry:
                self._count(digest, await self._storage.discard(digest, self._before, pretend=True))
                continue
            async with self._storage.collecting():
                size = await self._storage.discard(digest, self._before)
                if size is not None:
                    for name in names:
                        await self._storage.remove(paths.layer(name, digest))
            self._count(digest, size)

    def _count(self, digest: Digest, size: int | None) -> None:
        if size is not None:
            self._report(f"blob {digest}, {size} bytes")
            self.found.blobs += 1
            self.found.size += size

    async def _unlink_dangling(self, name: str, digest: Digest) -> None:
        """Remove a link to a blob that the storage does not have."""
        async with self._storage.collecting():
            path = paths.layer(name, digest)
            try:
                await self._storage.size(await Repository(self._storage, name, self._cache).blob(digest))
                return
            except (Missing, BlobUnknown, Unavailable):
                if await self._is_new(path):
                    return
            self._report(f"{name}: link to {digest}, which is not there")
            self.found.links += 1
            if not self._dry:
                await self._storage.remove(path)


async def purge(storage: Storage, age: float, *, dry: bool = False, report: Report = lambda _: None) -> int:
    """Forget uploads that began more than `age` seconds ago; return how many. Those that cannot be dated stay."""
    count = 0
    async for name in catalog.folders(storage):
        for upload in await storage.uploads(name):
            if upload.started < time.time() - age:
                report(f"{name}: upload {upload.identity}")
                count += 1
                if not dry:
                    try:
                        await storage.cancel(name, upload.identity)
                    except Missing:
                        continue
    return count
