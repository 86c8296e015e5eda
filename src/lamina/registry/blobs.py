"""Blobs by digest (end-2, end-10)."""

from . import answers, names, ranges
from .answers import Answer
from .calls import Call
from .codes import BlobUnknown, Unsupported
from .contract import Blob, Missing

_FOREVER = "max-age=31536000"


async def get(call: Call) -> Answer:
    """Send a blob, or the range of it that is asked for."""
    blob, headers = await _open(call)
    try:
        if _is_known(call, headers["ETag"]):
            blob.close()
            return answers.empty(304, headers)
        asked = call.request.headers.get("Range")
        part = ranges.parse(asked, blob.size) if asked and _may_be_part(call, headers["ETag"]) else None
    except BaseException:
        blob.close()
        raise
    call.service.tell("pull", call, {"digest": headers["Docker-Content-Digest"], "size": blob.size})
    if part is None:
        return await answers.content(blob, 0, blob.size, headers, 200)
    start, size = part
    headers["Content-Range"] = f"bytes {start}-{start + size - 1}/{blob.size}"
    return await answers.content(blob, start, size, headers, 206)


async def head(call: Call) -> Answer:
    """Tell whether a blob is there, and how large it is; a client that asks relies on it from now on."""
    digest = names.content(call.reference)
    stored = await call.repository.blob(digest)
    try:
        size = await call.service.storage.size(stored)
    except Missing as error:
        raise BlobUnknown("the blob is gone", {"digest": digest}) from error
    if not call.service.settings.readonly:
        await call.service.storage.touch([stored])
    return answers.head(size, _headers(digest))


async def delete(call: Call) -> Answer:
    """Take a blob from the repository."""
    if not call.service.settings.delete:
        raise Unsupported("deletion is switched off")
    digest = names.content(call.reference)
    await call.repository.forget_blob(digest)
    call.service.tell("delete", call, {"digest": digest})
    return answers.empty(202, {"Docker-Content-Digest": digest})


async def _open(call: Call) -> tuple[Blob, dict[str, str]]:
    digest = names.content(call.reference)
    stored = await call.repository.blob(digest)
    try:
        return await call.service.storage.open(stored), _headers(digest)
    except Missing as error:
        raise BlobUnknown("the blob is gone", {"digest": digest}) from error


def _headers(digest: str) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Cache-Control": _FOREVER,
        "Accept-Ranges": "bytes",
    }


def _is_known(call: Call, etag: str) -> bool:
    return etag in call.request.headers.get("If-None-Match", "")


def _may_be_part(call: Call, etag: str) -> bool:
    condition = call.request.headers.get("If-Range")
    return condition is None or condition == etag
