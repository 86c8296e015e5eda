"""A check of all that a registry keeps: every blob is read, every link followed; and the repair of what can be."""

import hashlib
from collections.abc import AsyncIterator

from ..oci.digest import Digest, split
from . import catalog, documents, paths, referrers
from .codes import BlobUnknown, ManifestInvalid, ManifestUnknown, Unavailable
from .contract import Missing, Storage
from .repository import Cache, Repository, linked

_PIECE = 1 << 20


async def check(storage: Storage, *, repair: bool = False) -> AsyncIterator[str]:
    """Yield what is wrong, a line each.

    To `repair` is to remove damaged blobs and links to nothing, so that clients see that something is missing and
    send it again; to let a tag without a readable link stand for what it stood for last; to note referrers anew.
    Servers may be at work meanwhile.
    """
    async for digest in storage.digests():
        async for problem in _blob(storage, digest, repair=repair):
            yield problem
    async for name in catalog.folders(storage):
        repository = Repository(storage, name, Cache(0))
        for part in (_layers, _tags, _revisions):
            async for problem in part(repository, repair=repair):
                yield problem
        if repair and await storage.names(paths.manifests(name)):
            await referrers.rebuild(repository)


async def _blob(storage: Storage, digest: Digest, *, repair: bool) -> AsyncIterator[str]:
    try:
        blob = await storage.open(digest)
    except Missing:
        return
    try:
        found = hashlib.new(split(digest)[0])
        offset = 0
        while piece := await blob.read(offset, _PIECE):
            found.update(piece)
            offset += len(piece)
    finally:
        blob.close()
    if found.hexdigest() != split(digest)[1]:
        yield f"blob {digest} is damaged: its bytes have the digest {found.hexdigest()}" + _done(repair, "removed")
        if repair:
            async with storage.collecting() as now:
                await storage.discard(digest, now + 1)


async def _layers(repository: Repository, *, repair: bool) -> AsyncIterator[str]:
    async for digest in linked(repository.storage, paths.layers(repository.name)):
        path = paths.layer(repository.name, digest)
        try:
            await repository.storage.size(await repository.blob(digest))
        except (Missing, BlobUnknown, Unavailable) as error:
            yield f"{repository.name}: the link to blob {digest} leads nowhere: {error}" + _done(repair, "removed")
            if repair:
                await _unlink(repository.storage, path)


async def _tags(repository: Repository, *, repair: bool) -> AsyncIterator[str]:
    for tag in await repository.storage.names(paths.tags(repository.name)):
        try:
            await repository.manifest(await repository.resolve(tag))
            continue
        except (ManifestUnknown, Unavailable, ManifestInvalid) as error:
            problem = f"{repository.name}: the tag {tag} leads nowhere: {error}"
        last = await _last(repository, tag)
        yield problem + _done(repair, f"it stands for {last} again" if last else "removed")
        if repair and last:
            await repository.storage.write([(paths.current(repository.name, tag), last.encode())])
        elif repair:
            await repository.storage.remove(paths.tag(repository.name, tag))


async def _last(repository: Repository, tag: str) -> Digest | None:
    """Return the newest manifest that a tag stood for and that is there."""
    for _, digest in reversed(await history(repository, tag)):
        try:
            await repository.manifest(digest)
        except (ManifestUnknown, ManifestInvalid, Unavailable):
            continue
        return digest
    return None


async def _revisions(repository: Repository, *, repair: bool) -> AsyncIterator[str]:
    async for digest in repository.revisions():
        try:
            document = documents.parse((await repository.manifest(digest)).data)
        except (ManifestUnknown, ManifestInvalid, Unavailable) as error:
            yield f"{repository.name}: the manifest {digest} cannot be read: {error}" + _done(repair, "removed")
            if repair:
                await _unlink(repository.storage, paths.revision(repository.name, digest))
            continue
        for descriptor in document.blobs:
            try:
                await repository.storage.size(await repository.blob(descriptor.digest))
            except (Missing, BlobUnknown, Unavailable):
                yield f"{repository.name}: {digest} names {descriptor.digest}, which is missing: push it again"


async def _unlink(storage: Storage, path: str) -> None:
    async with storage.collecting():
        await storage.remove(path)


async def history(repository: Repository, tag: str) -> list[tuple[float, Digest]]:
    """Return what a tag ever stood for with the time when it last came to, oldest first."""
    links = linked(repository.storage, paths.history(repository.name, tag))
    when = repository.storage.modified
    return sorted([(await when(paths.past(repository.name, tag, digest)), digest) async for digest in links])


def _done(repaired: bool, what: str) -> str:
    return f" ({what})" if repaired else ""
