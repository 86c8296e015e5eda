"""One repository of a registry, as a place of content (distribution-spec 1.1).

    with Client(settings, keychain) as client:
        repository = Registry(reference.parse("busybox:1"), client)
        found = repository.resolve("1")
        with repository.open(found) as stream: ...

Reading goes to the mirrors first, writing to the registry alone. Names are tags and digests.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from ..content.contract import ContentNotFound, Source, Target
from ..errors import DataLoss, NotSupported, PermissionDenied
from ..oci import codec, digest, manifest, mediatypes
from ..oci.digest import Digest
from ..oci.manifest import Descriptor, Index, Manifest
from ..oci.reference import Reference
from ..streams import DigestMismatch, Reader, Verified, read_small
from . import answers, headers
from .answers import InvalidAnswer, MirrorLied, Refused
from .asking import Asking
from .download import Download
from .origins import Place
from .upload import Upload, UploadLost

if TYPE_CHECKING:
    from .client import Client
    from .connections import Answer

_DOCUMENTS = mediatypes.MANIFESTS | mediatypes.INDEXES
_ACCEPT = ", ".join(
    (mediatypes.OCI_INDEX, mediatypes.OCI_MANIFEST, mediatypes.DOCKER_LIST, mediatypes.DOCKER_MANIFEST, "*/*;q=0.5")
)
_REMEMBERED = 8
"""Documents that are kept, so that what was just read or sent can get a name without being fetched again."""

_MOST_PAGES = 100_000


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class Registry(Source, Target):
    """A repository. Threads may use it together; it is as long-lived as its client.

    Args:
        reference: which one; tag and digest do not count.
        client: the connections.
    """

    def __init__(self, reference: Reference, client: "Client") -> None:
        self.reference = Reference(reference.domain, reference.path)
        self._client = client
        self._asking = Asking(self.reference, client)
        self._documents: dict[Digest, bytes] = {}
        self._begun: dict[Digest, Upload] = {}

    def reach(self) -> None:
        """Find out how the registry is spoken to, so that processes that are forked later know it.

        Raises:
            CertificateInvalid: what is configured for TLS with it is unusable. That it does not answer is told later.
        """
        self._asking.reach()

    def resolve(self, name: str) -> Descriptor:
        """Return what a tag or a digest stands for: by HEAD, and by GET from a registry that does not say enough then.

        Raises:
            ContentNotFound: nothing.
            DigestMismatch: the registry has something else under a digest.
            LaminaError: see `answers.error` for what else a registry may say.
        """
        what = self._manifest(name)
        try:
            described = self._asking.read("HEAD", f"manifests/{name}", what, _described, {"Accept": _ACCEPT})
        except NotSupported:
            described = None
        if described is None:
            described = self.fetch(name)[0]
        if ":" in name and described.digest != name:
            raise DigestMismatch(what, name, described.digest)
        return described

    @contextlib.contextmanager
    def open(self, descriptor: Descriptor, offset: int = 0) -> Iterator[Reader]:
        """Open content to read from an offset. A stream whose connection breaks goes on where it was.

        Raises:
            ContentNotFound: the repository does not have it.
            DigestMismatch: its size is another one, as the registry says. The bytes of manifests, indexes and configs
                are verified here, others are for the reader to verify.
            MirrorLied: in place of the `DataLoss` that a block ends with, if all of it came from a mirror: begin again.
            RegistryUnavailable: it cannot be had now; also from `read`.
        """
        content = digest.parse(descriptor.digest)
        if content in self._documents:
            yield io.BytesIO(self._documents[content][offset:])
            return
        if descriptor.media_type in _DOCUMENTS:
            yield io.BytesIO(self.fetch(content)[1][offset:])
            return
        what, path, mirrors = self._blob(content), f"blobs/{content}", set[Place]()
        if descriptor.media_type in mediatypes.CONFIGS:
            raw = self._asking.read("GET", path, what, lambda answer: self._whole(answer, content, what))
            yield io.BytesIO(raw[offset:])
            return
        get = lambda more, check: self._asking.read("GET", path, what, check, more, mirrors.add)  # noqa: E731
        elsewhere = lambda: self._passed_over(mirrors)  # noqa: E731
        tries = self._client.settings.attempts
        stream = Download(get, self._client.wait, tries, elsewhere, descriptor.size, offset, what)
        try:
            yield stream
        except DataLoss as error:
            names = " and ".join(sorted(place.host for place in mirrors))
            if offset or not self._passed_over(mirrors):
                raise
            raise MirrorLied(f"mirror {names} is not asked again: {error}") from error
        finally:
            stream.close()

    def has(self, descriptor: Descriptor) -> bool:
        return self.size(descriptor) is not None

    def size(self, descriptor: Descriptor) -> int | None:
        """Return how many bytes the registry says that some content has; 0 if it does not say, None if it has it not.

        Of the descriptor only the digest and the media type count.
        """
        content = digest.parse(descriptor.digest)
        is_document = descriptor.media_type in _DOCUMENTS
        path = f"{'manifests' if is_document else 'blobs'}/{content}"
        what = self._manifest(content) if is_document else self._blob(content)
        try:
            with self._asking.write("HEAD", path, what, {"Accept": _ACCEPT} if is_document else {}) as answer:
                return headers.length(answer.headers.get("Content-Length", "")) or 0
        except ContentNotFound:
            return None

    def push(self, descriptor: Descriptor, stream: Reader, *, known: bool = False) -> None:
        """Take content. A blob goes in pieces, and goes on where it broke; ask `has` first, or it is sent again.

        A stream that can seek is read again where a registry loses an upload in the middle. A blob that is `known` to
        be what the descriptor says, as it was just hashed, is hashed by the registry alone.

        Raises:
            DigestMismatch: the stream is not what the descriptor says; nothing is kept.
            UploadLost: the registry lost the upload, and the stream cannot be read again: push a new one.
            LaminaError: see `answers.error`.
        """
        if descriptor.media_type in _DOCUMENTS:
            what = f"content {descriptor.digest}"
            verified = Verified(stream, digest.parse(descriptor.digest), descriptor.size, what)
            self.publish(descriptor, read_small(verified, codec.LIMIT, what))
        else:
            self._upload(descriptor, stream, known=known)

    def publish(self, descriptor: Descriptor, raw: bytes, name: str = "") -> None:
        """Take a manifest or an index, and give it a name if one is given; all that it points to is there already.

        A manifest with a subject is found by `referrers.of` then, also where the registry has no list of referrers.
        """
        with self._put(descriptor, raw, name or descriptor.digest) as answer:
            has_list = "OCI-Subject" in answer.headers
        self._remember(descriptor.digest, raw)
        if b'"subject"' in raw and not has_list:
            from .referrers import note  # noqa: PLC0415 - few manifests have a subject

            note(self, descriptor, raw)

    def tag(self, descriptor: Descriptor, name: str) -> None:
        raw = self._documents.get(descriptor.digest)
        if raw is None:
            with self.open(descriptor) as stream:
                what = self._manifest(descriptor.digest)
                raw = read_small(Verified(stream, descriptor.digest, descriptor.size, what), codec.LIMIT, what)
        self._put(descriptor, raw, name).close()
        self._remember(descriptor.digest, raw)

    def mount(self, descriptor: Descriptor, repository: str) -> bool:
        """Have a blob from another repository (`library/busybox`) of the same registry; tell whether that was done.

        If not, the registry may have begun an upload, which the next `push` of this blob uses.
        """
        query = urlencode({"mount": descriptor.digest, "from": repository})
        more = frozenset({f"repository:{repository}:pull"})
        try:
            answer = self._asking.write("POST", f"blobs/uploads/?{query}", self._blob(descriptor.digest), scopes=more)
        except (ContentNotFound, NotSupported, PermissionDenied, Refused):
            return False
        with answer:
            if answer.status == 202:
                self._begun[descriptor.digest] = Upload(self._asking.wire(), answer, self._blob(descriptor.digest))
            return answer.status == 201

    def tags(self, n: int = 1000, last: str = "") -> Iterator[str]:
        """Yield the tags, asked for `n` at a time, those after `last`."""
        query = urlencode({"n": n, **({"last": last} if last else {})})
        what = f"repository {self.reference.familiar_name}"
        for raw in self.pages(f"tags/list?{query}", what):
            yield from codec.decode(raw, _Tags, what).tags or ()

    def pages(self, path: str, what: str) -> Iterator[bytes]:
        """Yield the pages of a list, as its Link headers join them.

        Raises:
            InvalidAnswer: the list has no end, or goes on at another host.
        """
        seen = {path}
        while path:
            raw, path = self._asking.read("GET", path, what, lambda answer: self._page(answer, what))
            yield raw
            if path in seen or len(seen) > _MOST_PAGES:
                raise InvalidAnswer(f"{what}: the registry's list has no end")
            seen.add(path)

    def delete(self, name: str) -> None:
        """Remove a tag, or a manifest with all its tags; what is absent is no error.

        Raises:
            NotSupported: the registry does not do that.
        """
        more = frozenset({f"repository:{self.reference.path}:delete"})
        with contextlib.suppress(ContentNotFound):
            self._asking.write("DELETE", f"manifests/{name}", self._manifest(name), scopes=more).close()
        self._documents.pop(Digest(name), None)

    def fetch(self, name: str) -> tuple[Descriptor, bytes]:
        """Return the manifest or index that a tag or a digest stands for, verified.

        Raises:
            ContentNotFound: there is none.
            TooLarge: it is larger than documents may be.
            DigestMismatch: it is not what the digest says.
        """
        what = self._manifest(name)
        take = lambda answer: self._received(answer, name, what)  # noqa: E731
        return self._asking.read("GET", f"manifests/{name}", what, take, {"Accept": _ACCEPT})

    def _upload(self, descriptor: Descriptor, stream: Reader, *, known: bool) -> None:
        start = stream.tell() if isinstance(stream, io.IOBase) and stream.seekable() else None
        for attempt in range(1, self._client.settings.attempts + 1):
            upload = self._begun.pop(descriptor.digest, None) or self._begin(descriptor)
            try:
                return upload.send(descriptor, stream, self._client.settings.piece, known=known)
            except UploadLost:
                if self.has(descriptor):
                    return None
                if start is None or attempt == self._client.settings.attempts:
                    raise
                assert isinstance(stream, io.IOBase)
                self._client.wait(attempt)
                stream.seek(start)
        return None

    def _begin(self, descriptor: Descriptor) -> Upload:
        algorithm, _ = digest.split(digest.parse(descriptor.digest))
        query = "" if algorithm == "sha256" else f"?digest-algorithm={algorithm}"
        what = self._blob(descriptor.digest)
        with self._asking.write("POST", f"blobs/uploads/{query}", what) as answer:
            return Upload(self._asking.wire(), answer, what)

    def _put(self, descriptor: Descriptor, raw: bytes, name: str) -> "Answer":
        what = self._manifest(name)
        kind = {"Content-Type": descriptor.media_type}
        answer = self._asking.write("PUT", f"manifests/{name}", what, kind, raw)
        theirs = answer.headers.get("Docker-Content-Digest", descriptor.digest)
        if theirs != descriptor.digest and theirs.startswith(digest.split(descriptor.digest)[0] + ":"):
            answer.close()
            raise DigestMismatch(what, descriptor.digest, answers.printable(theirs)[:200])
        return answer

    def _page(self, answer: "Answer", what: str) -> tuple[bytes, str]:
        """Return a page of a list, and where the next one is."""
        with answer:
            target = headers.next_page(answer.headers.get("Link", ""))
            return self._small(answer, what), self._asking.inner(answer, target, what) if target else ""

    def _passed_over(self, mirrors: set[Place]) -> bool:
        """Do not ask some mirrors again, and forget them; tell whether there were any."""
        had_any = bool(mirrors)
        while mirrors:
            self._client.pass_over(mirrors.pop())
        return had_any

    def _whole(self, answer: "Answer", content: Digest, what: str) -> bytes:
        """Read a small blob and check it against its digest."""
        with answer:
            raw = self._small(answer, what)
        Verified(io.BytesIO(raw), content, what=what).read(-1)
        return raw

    def _received(self, answer: "Answer", name: str, what: str) -> tuple[Descriptor, bytes]:
        """Read a document, check it against its digest, and remember it."""
        with answer:
            raw = self._small(answer, what)
        theirs = name if ":" in name else answer.headers.get("Docker-Content-Digest", "")
        try:
            expected = digest.parse(theirs) if theirs else digest.of(raw)
        except digest.InvalidDigest as error:
            raise InvalidAnswer(f"{what}: the registry gives an invalid digest, {theirs[:200]!r}") from error
        Verified(io.BytesIO(raw), expected, what=what).read(-1)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        self._remember(expected, raw)
        return Descriptor(kind if kind in _DOCUMENTS else _kind(raw, what), expected, len(raw)), raw

    def _small(self, answer: "Answer", what: str) -> bytes:
        return read_small(answer.within(self._client.settings.document_timeout), codec.LIMIT, what)

    def _remember(self, content: Digest, raw: bytes) -> None:
        self._documents[content] = raw
        while len(self._documents) > _REMEMBERED:
            with contextlib.suppress(KeyError, RuntimeError):  # another thread did it
                del self._documents[next(iter(self._documents))]

    def _manifest(self, name: str) -> str:
        """Return how a manifest is called in messages."""
        return f"manifest for {self.reference.familiar_name}{'@' if ':' in name else ':'}{name}"

    def _blob(self, content: str) -> str:
        return f"blob {content} of {self.reference.familiar_name}"


def _described(answer: "Answer") -> Descriptor | None:
    """Return what the headers of a HEAD describe, if they do so in full."""
    answer.close()
    length = headers.length(answer.headers.get("Content-Length", ""))
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind not in _DOCUMENTS or length is None:
        return None
    try:
        return Descriptor(kind, digest.parse(answer.headers.get("Docker-Content-Digest", "")), length)
    except digest.InvalidDigest:
        return None


def _kind(raw: bytes, what: str) -> str:
    """Return the media type of a document, by its content."""
    value: Manifest | Index = manifest.parse(raw, what)
    if value.media_type in _DOCUMENTS:
        return value.media_type
    return mediatypes.OCI_INDEX if isinstance(value, Index) else mediatypes.OCI_MANIFEST
