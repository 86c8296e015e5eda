"""Blobs that arrive: whole, in pieces, or from another repository (end-4, end-5, end-6, end-11, end-13, end-14)."""

import contextlib
import functools
import re
import time
import uuid

from ..errors import InvalidArgument
from ..oci import times
from ..oci.digest import Digest
from . import answers, names, ranges, tokens
from .answers import Answer
from .calls import Call
from .codes import BlobUnknown, Denied, DigestInvalid, RangeInvalid, UploadInvalid, UploadUnknown
from .contract import Busy, Missing, WrongContent, WrongOffset
from .repository import Repository
from .tokens import State


async def start(call: Call) -> Answer:
    """Begin an upload, unless the blob can be mounted or comes with the request."""
    mount, digest = call.query("mount"), call.query("digest")
    algorithm = names.algorithm(call.query("digest-algorithm") or "sha256")
    if mount and await _mount(call, names.content(mount)):
        call.service.tell("mount", call, {"digest": mount, "fromRepository": call.query("from")})
        return _created(call, names.content(mount))
    whole = names.content(digest) if digest else None
    identity = str(uuid.uuid4())
    await call.service.storage.begin(call.name, identity)
    state = State(call.name, identity, 0, times.rfc3339(time.time_ns()))
    if whole is None:
        return _accepted(call, state, 202, algorithm)
    try:
        with call.service.arriving(call.service.settings.max_uploads):
            await _append(call, state, 0, whole.partition(":")[0])
        return await _commit(call, state, whole)
    except BaseException:
        with contextlib.suppress(Missing):
            await call.service.storage.cancel(call.name, identity)
        raise


async def _mount(call: Call, digest: Digest) -> bool:
    """Take a blob from the repository that the client names; from any, where everybody may read all."""
    name = call.query("from")
    if not name:
        return not call.service.guarded and await call.repository.mount(digest, None)
    source = Repository(call.service.storage, names.repository(name), call.service.cache)
    with contextlib.suppress(Denied, BlobUnknown):
        await call.service.require(call, source.name, ["pull"])
        return await call.repository.mount(digest, source)
    return False


async def append(call: Call) -> Answer:
    """Take the next piece."""
    state = await _state(call)
    with call.service.arriving(call.service.settings.max_uploads):
        size = await _append(call, state, await _offset(call, state), call.query("digest-algorithm") or "sha256")
    return _accepted(call, State(state.name, state.identity, size, state.started), 202, call.query("digest-algorithm"))


async def finish(call: Call) -> Answer:
    """Take the last piece, if there is one, and make a blob of the upload."""
    state = await _state(call)
    digest = names.content(call.query("digest"))
    if call.request.body_exists and call.request.content_length != 0:
        with call.service.arriving(call.service.settings.max_uploads):
            await _append(call, state, await _offset(call, state), digest.partition(":")[0])
    elif "Content-Range" in call.request.headers:
        await _offset(call, state)
    return await _commit(call, state, digest)


async def status(call: Call) -> Answer:
    """Tell how much has arrived."""
    state = await _state(call, signed=False)
    size = await _arrived(call)
    return _accepted(call, State(state.name, state.identity, size, state.started), 204, call.query("digest-algorithm"))


async def cancel(call: Call) -> Answer:
    """Forget an upload."""
    await _state(call)
    try:
        await call.service.storage.cancel(call.name, call.reference)
    except Missing as error:
        raise UploadUnknown(str(error)) from error
    return answers.empty(204, {"Docker-Upload-UUID": call.reference})


async def _append(call: Call, state: State, offset: int, algorithm: str) -> int:
    limit = call.service.settings.max_blob
    body = call.body(max(limit - offset, 1) if limit else 0, "the blob")
    try:
        return await call.service.storage.append(call.name, state.identity, offset, body, names.algorithm(algorithm))
    except Missing as error:
        raise UploadUnknown(str(error)) from error
    except (WrongOffset, Busy) as error:
        raise RangeInvalid(str(error), headers=_where(call, state)) from error


async def _commit(call: Call, state: State, digest: Digest) -> Answer:
    storage = call.service.storage
    try:
        async with storage.pushing():
            size = await storage.commit(call.name, state.identity, digest, call.repository.blob_links(digest))
    except Missing as error:
        raise UploadUnknown(str(error)) from error
    except Busy as error:
        raise RangeInvalid(str(error), headers=_where(call, state)) from error
    except WrongContent as error:
        raise DigestInvalid(str(error), {"digest": digest}) from error
    call.service.tell("push", call, {"digest": digest, "size": size, "mediaType": "application/octet-stream"})
    return _created(call, digest)


async def _offset(call: Call, state: State) -> int:
    """Return where the piece of a request begins.

    Raises:
        RangeInvalid: that is not where the upload ends, or the body has another length than the piece.
    """
    declared = call.request.headers.get("Content-Range")
    arrived = await _arrived(call)
    start = arrived if state.offset < 0 else state.offset
    if declared is not None:
        start, size = ranges.piece(declared)
        if call.request.content_length not in (None, size):
            raise RangeInvalid(
                f"the Content-Range {declared} has {size} bytes, the body {call.request.content_length}",
                headers=_where(call, state),
            )
    if start != arrived:
        message = f"the upload has {arrived} bytes, and the piece begins at {start}"
        raise RangeInvalid(message, headers={**_where(call, state), "Range": _range(arrived)})
    return start


@functools.cache
def _identity() -> re.Pattern[str]:
    return re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def _arrived(call: Call) -> int:
    try:
        return await call.service.storage.arrived(call.name, call.reference)
    except Missing as error:
        raise UploadUnknown(str(error)) from error


async def _state(call: Call, *, signed: bool = True) -> State:
    """Return the state that a client carries; one that carries none is taken at its word, an offset below 0 is none."""
    if not _identity().fullmatch(call.reference):
        raise UploadUnknown(f"there is no upload {call.reference[:80]!r}")
    token = call.query("_state")
    if not token or not signed:
        return State(call.name, call.reference, -1, times.rfc3339(time.time_ns()))
    state = tokens.unpack(token, call.service.secret)
    if (state.name, state.identity) != (call.name, call.reference):
        raise UploadInvalid("the upload's _state is of another upload")
    if limit := call.service.settings.upload_time:
        with contextlib.suppress(InvalidArgument):
            age = time.time() - times.parse_rfc3339(state.started) / 10**9
            if age > limit:
                await call.service.storage.cancel(call.name, call.reference)
                raise UploadInvalid(f"the upload began {age:.0f} seconds ago, and is over: begin anew")
    return state


def _accepted(call: Call, state: State, status: int, algorithm: str) -> Answer:
    where = _where(call, state, algorithm)
    return answers.empty(status, {**where, "Range": _range(max(state.offset, 0)), "Docker-Upload-UUID": state.identity})


def _where(call: Call, state: State, algorithm: str = "") -> dict[str, str]:
    hint = f"digest-algorithm={algorithm}&" if algorithm and algorithm != "sha256" else ""
    token = tokens.pack(state, call.service.secret) if state.offset >= 0 else ""
    query = f"?{hint}_state={token}" if token else ""
    return {"Location": call.url(f"{call.name}/blobs/uploads/{state.identity}") + query}


def _range(size: int) -> str:
    return f"0-{max(size - 1, 0)}"


def _created(call: Call, digest: Digest) -> Answer:
    where = call.url(f"{call.name}/blobs/{digest}")
    return answers.empty(201, {"Location": where, "Docker-Content-Digest": digest})
