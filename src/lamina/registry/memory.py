"""Storage in memory: for tests, and for registries that are gone with their process."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import BinaryIO

from ..oci.digest import Digest, split
from .bodies import Body
from .contract import Blob, Busy, Missing, Storage, Upload, WrongContent, WrongOffset


class Memory(Storage):
    """A storage of one process."""

    def __init__(self) -> None:
        self._documents: dict[str, tuple[bytes, float]] = {}
        self._blobs: dict[Digest, tuple[bytes, float]] = {}
        self._uploads: dict[tuple[str, str], _Arriving] = {}
        self._pushes = 0
        self._turn = asyncio.Condition()

    async def read(self, path: str) -> bytes:
        return self._document(path)[0]

    async def write(self, documents: Sequence[tuple[str, bytes]]) -> None:
        for path, data in documents:
            self._documents[path] = (data, time.time())

    async def remove(self, path: str) -> None:
        for each in [each for each in self._documents if each == path or each.startswith(path + "/")]:
            del self._documents[each]

    async def modified(self, path: str) -> float:
        return self._document(path)[1]

    async def renew(self, path: str) -> None:
        await self.write([(path, await self.read(path))])

    async def names(self, folder: str) -> list[str]:
        prefix = folder + "/" if folder else ""
        uploads = (f"{repository}/_uploads/{identity}/data" for repository, identity in self._uploads)
        every = [path for path in (*self._documents, *uploads) if path.startswith(prefix)]
        return sorted({path[len(prefix) :].split("/")[0] for path in every})

    async def size(self, digest: Digest) -> int:
        return len(self._blob(digest))

    async def open(self, digest: Digest) -> Blob:
        return _Bytes(self._blob(digest))

    async def put(self, digest: Digest, data: bytes, documents: Sequence[tuple[str, bytes]] = ()) -> None:
        self._blobs[digest] = (data, time.time())
        await self.write(documents)

    async def touch(self, digests: Iterable[Digest]) -> list[Digest]:
        wanted = list(digests)
        for digest in wanted:
            if digest in self._blobs:
                self._blobs[digest] = (self._blobs[digest][0], time.time())
        return [digest for digest in wanted if digest not in self._blobs]

    async def discard(self, digest: Digest, before: float, *, pretend: bool = False) -> int | None:
        data, modified = self._blobs.get(digest, (b"", before))
        if modified >= before:
            return None
        if not pretend:
            del self._blobs[digest]
        return len(data)

    async def digests(self) -> AsyncIterator[Digest]:
        for digest in sorted(self._blobs):
            yield digest

    async def begin(self, repository: str, identity: str) -> None:
        self._uploads[repository, identity] = _Arriving()

    async def arrived(self, repository: str, identity: str) -> int:
        return len(self._upload(repository, identity).data)

    async def append(self, repository: str, identity: str, offset: int, body: Body, algorithm: str = "sha256") -> int:
        with self._upload(repository, identity) as upload:
            if len(upload.data) != offset:
                raise WrongOffset(len(upload.data), offset)
            async for piece in body:
                upload.data += piece
            return len(upload.data)

    async def commit(self, repository: str, identity: str, digest: Digest, links: Sequence[tuple[str, bytes]]) -> int:
        with self._upload(repository, identity) as upload:
            data = bytes(upload.data)
            del self._uploads[repository, identity]
            found = f"{split(digest)[0]}:{hashlib.new(split(digest)[0], data).hexdigest()}"
            if found != digest:
                raise WrongContent(f"the upload has the digest {found}, not {digest}")
            await self.put(digest, data)
            await self.write(links)
            return len(data)

    async def cancel(self, repository: str, identity: str) -> None:
        self._upload(repository, identity)
        del self._uploads[repository, identity]

    async def uploads(self, repository: str) -> list[Upload]:
        return [
            Upload(name, identity, upload.started)
            for (name, identity), upload in self._uploads.items()
            if name == repository
        ]

    @contextlib.asynccontextmanager
    async def pushing(self) -> AsyncIterator[None]:
        async with self._turn:
            self._pushes += 1
        try:
            yield
        finally:
            async with self._turn:
                self._pushes -= 1
                self._turn.notify_all()

    @contextlib.asynccontextmanager
    async def collecting(self) -> AsyncIterator[float]:
        async with self._turn:
            await self._turn.wait_for(lambda: not self._pushes)
            yield time.time()

    def _document(self, path: str) -> tuple[bytes, float]:
        if path not in self._documents:
            raise Missing(f"there is no {path}")
        return self._documents[path]

    def _blob(self, digest: Digest) -> bytes:
        if digest not in self._blobs:
            raise Missing(f"there is no blob {digest}")
        return self._blobs[digest][0]

    def _upload(self, repository: str, identity: str) -> "_Arriving":
        if (repository, identity) not in self._uploads:
            raise Missing(f"there is no upload {identity[:80]}")
        return self._uploads[repository, identity]


class _Arriving:
    """An upload; its context is the one request that works on it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.started = time.time()
        self._busy = False

    def __enter__(self) -> "_Arriving":
        if self._busy:
            raise Busy("another request works on the upload")
        self._busy = True
        return self

    def __exit__(self, *exc: object) -> None:
        self._busy = False


class _Bytes(Blob):
    """A blob in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    @property
    def file(self) -> BinaryIO | None:
        return None

    async def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def close(self) -> None:
        pass
