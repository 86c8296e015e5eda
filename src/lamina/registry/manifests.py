"""Manifests by tag or digest (end-3, end-7, end-9)."""

from urllib.parse import unquote

from ..oci.digest import Digest
from . import answers, documents, names, warning
from .answers import Answer
from .calls import Call
from .codes import DigestInvalid, ManifestInvalid, Unsupported
from .repository import Stored

_MOST_TAGS = 100
_FOREIGN = (
    "Layers that are not distributable are deprecated: the registry does not have them, nor look for them elsewhere."
)


async def get(call: Call) -> Answer:
    """Send a manifest as it was pushed, whatever the client says that it accepts."""
    stored, headers = await _find(call)
    if f'"{stored.digest}"' in call.request.headers.get("If-None-Match", ""):
        return answers.empty(304, headers)
    tag, _ = _names(call.reference)
    call.service.tell("pull", call, _target(stored, tag))
    return answers.document(stored.data, headers)


async def head(call: Call) -> Answer:
    """Send the headers of a manifest."""
    stored, headers = await _find(call)
    return answers.head(len(stored.data), headers)


async def put(call: Call) -> Answer:
    """Take a manifest: its bytes and its media type as they are."""
    tag, wanted = _names(call.reference)
    tags = [names.tag(each) for each in call.request.query.getall("tag", [])]
    if len(tags) > _MOST_TAGS:
        raise ManifestInvalid(f"{len(tags)} tags at once; the limit is {_MOST_TAGS}")
    data = await call.body(call.service.settings.max_manifest, "the manifest").all()
    document = documents.parse(data)
    kind = documents.require_type(call.request.headers.get("Content-Type", "").partition(";")[0].strip(), document)
    digest = documents.digest(data, wanted)
    if wanted and digest != wanted:
        raise DigestInvalid(f"the manifest has the digest {digest}, not {wanted}", {"digest": digest})
    stored = Stored(digest, kind, data)
    await call.repository.put(stored, document, [*([tag] if tag else []), *tags], sparse=call.service.settings.sparse)
    for each in [*([tag] if tag or not tags else []), *tags]:
        call.service.tell("push", call, _target(stored, each))
    headers = {"Location": call.url(f"{call.name}/manifests/{digest}"), "Docker-Content-Digest": digest}
    if document.subject is not None:
        headers["OCI-Subject"] = document.subject.digest
    if document.has_foreign:
        headers["Warning"] = warning.header(_FOREIGN)
    if tags:
        headers["OCI-Tag"] = ", ".join(tags)
    return answers.empty(201, headers)


async def delete(call: Call) -> Answer:
    """Remove a tag alone, or a manifest with all tags that stand for it."""
    if not call.service.settings.delete:
        raise Unsupported("deletion is switched off")
    tag, digest = _names(call.reference)
    if digest:
        await call.repository.forget(digest)
        call.service.tell("delete", call, {"digest": digest})
    else:
        await call.repository.untag(tag)
        call.service.tell("delete", call, {"tag": tag})
    return answers.empty(202, {})


async def _find(call: Call) -> tuple[Stored, dict[str, str]]:
    tag, digest = _names(call.reference)
    stored = await call.repository.manifest(digest or await call.repository.resolve(tag))
    return stored, {
        "Content-Type": stored.media_type,
        "Docker-Content-Digest": stored.digest,
        "ETag": f'"{stored.digest}"',
    }


def _names(reference: str) -> tuple[str, Digest | None]:
    """Return the tag or the digest that a reference is."""
    text = unquote(reference)
    return ("", names.content(text)) if ":" in text else (names.tag(text), None)


def _target(stored: Stored, tag: str) -> dict[str, object]:
    said = {"tag": tag} if tag else {}
    return {"digest": stored.digest, "mediaType": stored.media_type, "size": len(stored.data), **said}
