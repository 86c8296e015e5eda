"""Lists: tags, repositories, referrers (end-8, end-12, and the extension `_catalog`), and extensions."""

from collections.abc import AsyncIterator

import msgspec

from ..oci import mediatypes
from ..oci.manifest import Descriptor
from . import answers, catalog, names, referrers
from .answers import Answer
from .calls import Call
from .codes import PageInvalid

_CATALOG_PAGE = 100
_REFERRERS_BYTES = 3 << 20
_EXTENSIONS = (
    ("_oci", "_oci/ext/discover", "_oci.md", "The extensions that this registry has"),
    ("_catalog", "_catalog", "README.md", "The names of all repositories, in pages"),
)
_DEFINED = "https://github.com/opencontainers/distribution-spec/blob/main/extensions/"


async def tags(call: Call) -> Answer:
    """List tags by their bytes, all or a page."""
    limit, last = call.page()
    most = call.service.settings.max_tags
    if limit > most > 0:
        limit = most
    page, more = await _page(call.repository.tags(last), limit)
    link = call.next_page(f"{call.name}/tags/list", n=limit, last=page[-1]) if more else {}
    return answers.document({"name": call.name, "tags": page}, link)


async def repositories(call: Call) -> Answer:
    """List repositories, a page of a hundred where no number is asked for."""
    limit, last = call.page()
    limit = _CATALOG_PAGE if limit < 0 else limit
    most = call.service.settings.max_page
    if limit > most > 0:
        raise PageInvalid(f"n is {limit}; the limit is {most}", {"n": limit})
    page, more = await _page(catalog.repositories(call.service.storage, last), limit)
    link = call.next_page("_catalog", n=limit, last=page[-1]) if more else {}
    return answers.document({"repositories": page}, link)


async def _page(names: AsyncIterator[str], limit: int) -> tuple[list[str], bool]:
    """Return the first names, and whether there are more; all for a limit below 0. Nothing follows an empty page."""
    page: list[str] = []
    async for name in names:
        if len(page) == limit:
            return page, limit > 0
        page.append(name)
    return page, False


async def extensions(call: Call) -> Answer:
    """List what the registry has over the specification (distribution-spec, extensions/_oci.md)."""
    rows = [
        {"name": name, "url": _DEFINED + page, "description": what, "endpoints": [call.url(path)]}
        for name, path, page, what in _EXTENSIONS
    ]
    return answers.document({"extensions": rows})


async def referring(call: Call) -> Answer:
    """List the manifests whose subject a digest is, as an index."""
    subject = names.content(call.reference)
    wanted, last = call.query("artifactType"), call.query("last")
    every = [row for row in await referrers.of(call.repository, subject) if row.digest > last]
    headers = {"Content-Type": mediatypes.OCI_INDEX}
    if wanted:
        every = [row for row in every if row.artifact_type == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    rows = [msgspec.json.encode(row) for row in every]
    count = _fitting(rows)
    if count < len(rows):
        query = {"last": every[count - 1].digest, **({"artifactType": wanted} if wanted else {})}
        headers |= call.next_page(f"{call.name}/referrers/{subject}", **query)
    return answers.document(_index(every[:count]), headers)


def _fitting(rows: list[bytes]) -> int:
    """Return how many rows, at least one, go into an index that every client reads."""
    size = 0
    for count, row in enumerate(rows):
        size += len(row) + 1
        if count and size > _REFERRERS_BYTES:
            return count
    return len(rows)


def _index(rows: list[Descriptor]) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": rows}
