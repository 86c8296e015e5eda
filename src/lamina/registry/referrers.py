"""The manifests whose subject another one is (distribution-spec, Listing Referrers).

What is pushed here is noted below `_referrers`. What clients pushed to a server without this endpoint is listed in tags
`<algorithm>-<hex>`, and merged in (Enabling the Referrers API). A repository that was never looked at as a whole is
scanned once.
"""

import errno
from collections.abc import AsyncIterator

import msgspec

from ..decoding import NOT_JSON
from ..oci.digest import Digest, split
from ..oci.manifest import Descriptor
from . import documents, paths
from .codes import ManifestInvalid, ManifestUnknown
from .contract import Missing
from .repository import Repository

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


async def of(repository: Repository, subject: Digest) -> list[Descriptor]:
    """Return the descriptors of all referrers of a subject, by their digests; the subject may be absent."""
    found = {row.digest: row for row, of in await _unnoted(repository) if of == subject}
    for name in await repository.storage.names(paths.referrers(repository.name, subject)):
        path = f"{paths.referrers(repository.name, subject)}/{name}"
        try:
            row = msgspec.json.decode(await repository.storage.read(path), type=Descriptor)
            await repository.storage.modified(paths.revision(repository.name, row.digest))
        except (Missing, *NOT_JSON):
            continue
        found[row.digest] = row
    async for row in _fallback(repository, subject):
        found.setdefault(row.digest, row)
    return [found[digest] for digest in sorted(found)]


async def rebuild(repository: Repository) -> list[tuple[Descriptor, Digest]]:
    """Note all referrers of a repository anew; return them with their subjects."""
    found = [(row, subject) async for row, subject in _scan(repository)]
    notes = [(paths.referrer(repository.name, of, row.digest), msgspec.json.encode(row)) for row, of in found]
    try:
        await repository.storage.write([*notes, (paths.complete(repository.name), b"")])
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
    return found


async def _scan(repository: Repository) -> AsyncIterator[tuple[Descriptor, Digest]]:
    async for digest in repository.revisions():
        row, subject = await _described(repository, digest)
        if row is not None and subject:
            yield row, subject


async def _unnoted(repository: Repository) -> list[tuple[Descriptor, Digest]]:
    """Return what was found just now, in a repository that was never looked at as a whole."""
    try:
        await repository.storage.modified(paths.complete(repository.name))
    except Missing:
        if await repository.storage.names(paths.manifests(repository.name)):
            return await rebuild(repository)
    return []


async def _fallback(repository: Repository, subject: Digest) -> AsyncIterator[Descriptor]:
    """Yield what the tag of a subject lists and the repository has."""
    algorithm, encoded = split(subject)
    try:
        listed = await repository.manifest(await repository.resolve(f"{algorithm[:32]}-{encoded[:64]}"))
    except ManifestUnknown:
        return
    for child in documents.parse(listed.data).children:
        row, refers_to = await _described(repository, child.digest)
        if row is not None and refers_to == subject:
            yield row


async def _described(repository: Repository, digest: Digest) -> tuple[Descriptor | None, Digest | None]:
    """Return a manifest as a referrer, and its subject; nothing of one that is not there or has none."""
    try:
        stored = await repository.manifest(digest)
        document = documents.parse(stored.data)
    except (ManifestUnknown, ManifestInvalid):
        return None, None
    if document.subject is None:
        return None, None
    return documents.descriptor(stored.data, document, digest, stored.media_type), document.subject.digest
