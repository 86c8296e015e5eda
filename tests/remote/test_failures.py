"""What goes wrong on the way, and how it ends: as if nothing had been, or in one clear error."""

import io
import itertools
import pathlib
import random
import signal
import threading
from collections.abc import Callable, Iterable

import pytest
from tests.cli.place import Lamina
from tests.remote.conftest import repository
from tests.remote.servers import Asked, Library, Reply, Server

from lamina.content.contract import ContentNotFound
from lamina.content.memory import Memory
from lamina.errors import Cancelled, LaminaError, ResourceExhausted
from lamina.oci import codec, digest, mediatypes
from lamina.oci.manifest import Descriptor, Index
from lamina.remote import referrers
from lamina.remote.answers import InvalidAnswer, RegistryUnavailable, TooManyRequests
from lamina.remote.client import Client
from lamina.remote.moving import move
from lamina.remote.registry import Registry
from lamina.remote.settings import Settings
from lamina.remote.upload import UploadLost
from lamina.streams import DigestMismatch, TooLarge, Verified

DATA = random.Random(7).randbytes(3 << 20)


def pull(place: Registry, descriptor: Descriptor, offset: int = 0) -> bytes:
    with place.open(descriptor, offset) as stream:
        return Verified(stream, descriptor.digest, descriptor.size).read() if not offset else stream.read()


def blobs(server: Server) -> list[str]:
    """Return the ranges that were asked for, one a request of a blob."""
    return [one.headers.get("Range", "") for one in server.asked if "/blobs/" in one.path]


class TestDownloads:
    def broken(self, cuts: list[int]) -> Library:
        """Return a library whose answers end early, after so many bytes each."""
        library = Library()
        left = iter(cuts)

        def before(asked: Asked) -> Reply | None:
            if "/blobs/" not in asked.path or (cut := next(left, None)) is None:
                return None
            reply = library._part(asked, DATA, {})
            assert isinstance(reply.body, bytes)
            return reply._replace(body=reply.body[:cut], length=len(reply.body))

        library.before = before
        return library

    def test_a_connection_that_breaks_goes_on_where_it_was(self, client: Client) -> None:
        library = self.broken([1000, 0, 1 << 20, 500])
        with Server(library) as server:
            assert pull(repository(client, server.host), library.add(DATA)) == DATA
            ends = list(itertools.accumulate([1000, 1 << 20, 500]))
            assert blobs(server) == ["", *(f"bytes={end}-" for end in (ends[0], *ends))]

    def test_it_breaks_too_often(self, client: Client) -> None:
        library = self.broken([1000, 0, 0, 0, 0])
        with Server(library) as server:
            descriptor = library.add(DATA)
            with pytest.raises(RegistryUnavailable, match="connection"):
                pull(repository(client, server.host), descriptor)
            assert len(blobs(server)) == 5

    def test_a_connection_that_brings_much_may_break_often(self, client: Client) -> None:
        library = self.broken([1 << 18] * 11)
        with Server(library) as server, Client(Settings(patience=0.01, attempts=6)) as patient:
            assert pull(repository(patient, server.host), library.add(DATA)) == DATA

    def test_a_registry_without_ranges(self, client: Client) -> None:
        left = iter([2000, 5])
        library = Library()
        descriptor = library.add(DATA)

        def before(asked: Asked) -> Reply | None:
            if "/blobs/" not in asked.path:
                return None
            cut = next(left, len(DATA))
            return Reply(200, body=DATA[:cut], length=len(DATA))

        library.before = before
        with Server(library) as server:
            assert pull(repository(client, server.host), descriptor) == DATA
            assert pull(repository(client, server.host), descriptor, 1 << 20) == DATA[1 << 20 :]

    @pytest.mark.parametrize("said", ["bytes 0-99/100", "bytes 1-2/3", "", "bytes 2-1/9", "bytes x-y/z", "bytes */5"])
    def test_lies_about_ranges(self, client: Client, said: str) -> None:
        library = Library(lambda asked: Reply(206, {"Content-Range": said}, b"x") if "/blobs/" in asked.path else None)
        with Server(library) as server:
            with pytest.raises(InvalidAnswer, match=r"127\.0\.0\.1:\d+/a/b: asked for bytes from 5"):
                pull(repository(client, server.host), library.add(DATA), 5)
            assert len(blobs(server)) == 1

    @pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
    def test_another_length_is_told_before_anything_is_read(self, client: Client, size: int) -> None:
        library = Library()
        descriptor = Descriptor("text/plain", library.add(DATA).digest, size)
        with Server(library) as server, pytest.raises(DigestMismatch, match=f"expected {size} bytes, got {len(DATA)}"):
            pull(repository(client, server.host), descriptor)

    def test_a_body_without_end(self, client: Client) -> None:
        read = itertools.count()

        def endless() -> object:
            for _ in itertools.takewhile(lambda count: count < 1000, read):
                yield bytes(1 << 20)

        library = Library(lambda asked: Reply(200, body=endless()) if "/blobs/" in asked.path else None)  # type: ignore[arg-type]
        with Server(library) as server, pytest.raises(DigestMismatch):
            pull(repository(client, server.host), library.add(DATA))
        assert next(read) < 100

    def test_wrong_bytes(self, client: Client) -> None:
        library = Library()
        descriptor = library.add(DATA)
        library.blobs[descriptor.digest] = bytes(len(DATA))
        with Server(library) as server, pytest.raises(DigestMismatch):
            pull(repository(client, server.host), descriptor)


class TestDocuments:
    def test_a_manifest_that_is_not_what_its_digest_says(self, client: Client) -> None:
        library = Library()
        root = library.image(b"layer")
        library.blobs[root.digest] += b" "
        with Server(library) as server:
            place = repository(client, server.host)
            with pytest.raises(DigestMismatch):
                place.fetch("1")
            with pytest.raises(DigestMismatch):
                move(place, Memory(), Descriptor(root.media_type, root.digest, root.size + 1))

    def test_another_one_under_a_digest(self, client: Client) -> None:
        library = Library()
        one, two = library.image(b"one"), library.image(b"two", name="2")
        library.names[one.digest] = two.digest
        with Server(library) as server, pytest.raises(DigestMismatch, match=f"{one.digest}.*got {two.digest}"):
            repository(client, server.host).resolve(one.digest)

    @pytest.mark.parametrize("body", [b" " * (codec.LIMIT + 1), [b" " * (1 << 20)] * 9])
    def test_one_without_end(self, client: Client, body: bytes) -> None:
        library = Library(lambda asked: Reply(200, body=body) if "/manifests/" in asked.path else None)
        with Server(library) as server, pytest.raises(TooLarge, match=r"manifest for .*:1 is larger than 4194304"):
            repository(client, server.host).resolve("1")

    def test_one_that_breaks_in_the_middle(self, client: Client) -> None:
        library = Library()
        root = library.image(b"layer")
        cut = iter([0, 5])
        whole = len(library.blobs[root.digest])

        def before(asked: Asked) -> Reply | None:
            if "/manifests/" not in asked.path or (count := next(cut, None)) is None:
                return None
            return Reply(200, body=library.blobs[root.digest][:count], length=whole)

        library.before = before
        with Server(library) as server:
            assert repository(client, server.host).fetch("1")[0] == root
            assert len(server.lines()) == 3

    def test_compressed_on_the_way_is_not_inflated(self, client: Client) -> None:
        import gzip

        bomb = gzip.compress(bytes(50 << 20))
        sent = Reply(200, {"Content-Encoding": "gzip", "Content-Type": mediatypes.OCI_MANIFEST}, bomb)
        library = Library(lambda asked: sent if "/manifests/" in asked.path else None)
        root = library.image(b"x")
        with Server(library) as server, pytest.raises(LaminaError):
            repository(client, server.host).fetch(root.digest)

    def test_a_head_that_says_nothing(self, client: Client) -> None:
        library = Library(lambda asked: Reply(405) if asked.method == "HEAD" else None)
        root = library.image(b"layer")
        silent = Library(lambda asked: Reply(200) if asked.method == "HEAD" else None)
        silent.image(b"layer")
        for answers in (library, silent):
            with Server(answers) as server:
                assert repository(client, server.host).resolve("1") == root

    def test_without_a_digest_and_a_type(self, client: Client) -> None:
        library = Library()
        root = library.image(b"layer")
        raw = library.blobs[root.digest]
        library.before = lambda asked: Reply(200, body=raw) if "/manifests/" in asked.path else None
        with Server(library) as server:
            assert repository(client, server.host).resolve("1") == root

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"schemaVersion":1}', b"[" * 100_000, b"\xff", b"<html>"])
    def test_what_is_no_manifest(self, client: Client, raw: bytes) -> None:
        library = Library(lambda asked: Reply(200, body=raw) if "/manifests/" in asked.path else None)
        with Server(library) as server, pytest.raises(codec.InvalidDocument, match="manifest for 127"):
            repository(client, server.host).resolve("1")

    def test_indexes_in_indexes(self, client: Client) -> None:
        library = Library()
        root = library.image(b"layer")
        for _ in range(10):
            root = library.add(codec.encode(Index(2, (root,), mediatypes.OCI_INDEX)), mediatypes.OCI_INDEX)
        target = Memory()
        with Server(library) as server, pytest.raises(codec.InvalidDocument, match="more than 8 deep"):
            move(repository(client, server.host), target, root)
        assert list(target) == []


class TestPatience:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_may_go_better_is_tried_again(self, client: Client, status: int) -> None:
        bad = iter([status] * 2)
        library = Library(lambda asked: Reply(found) if "/a/b/" in asked.path and (found := next(bad, 0)) else None)
        root = library.image(b"x")
        with Server(library) as server:
            assert repository(client, server.host).resolve("1") == root
            assert len(server.lines()) == 3

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_what_will_not_is_not(self, client: Client, status: int) -> None:
        library = Library(lambda asked: Reply(status) if "/a/b/" in asked.path else None)
        with Server(library) as server:
            with pytest.raises(LaminaError, match="127"):
                list(repository(client, server.host).tags())
            assert len(server.lines()) == 1

    def test_what_never_does(self, client: Client) -> None:
        said = b'{"errors":[{"code":"UNAVAILABLE","message":"down for\\nrepair \\u001b[2J"}]}'
        library = Library(lambda asked: Reply(503, body=said) if "/a/b/" in asked.path else None)
        with Server(library) as server:
            with pytest.raises(RegistryUnavailable, match=r"/a/b: unavailable: down for repair  \[2J$"):
                list(repository(client, server.host).tags())
            assert len(server.lines()) == 5

    def test_retry_after(self) -> None:
        waits = iter(["1", "600"])
        library = Library(lambda asked: Reply(429, {"Retry-After": next(waits)}) if "/a/b/" in asked.path else None)
        with Server(library) as server, Client(Settings(certificates="")) as client:
            waited: list[float | None] = []
            client.wait = lambda attempt, asked=None: waited.append(asked if attempt else 0)  # type: ignore[method-assign]
            with pytest.raises(TooManyRequests):
                list(repository(client, server.host).tags())
            assert waited == [1.0]

    def test_nobody_is_there(self, client: Client) -> None:
        with Server(Library()) as server:
            host = server.host
        with pytest.raises(RegistryUnavailable, match=rf"{host} cannot be reached: Connection refused"):
            repository(client, host).resolve("1")

    def test_a_host_without_an_address(self, client: Client) -> None:
        with pytest.raises(RegistryUnavailable, match=r"https://registry\.invalid cannot be reached"):
            repository(client, "registry.invalid").resolve("1")

    def test_silence(self) -> None:
        silence = threading.Event()
        library = Library(lambda asked: Reply(200) if "/a/b/" in asked.path and silence.wait(30) else None)
        settings = Settings(certificates="", read_timeout=0.1, patience=0.01, attempts=2)
        with Server(library) as server, Client(settings) as client:
            with pytest.raises(RegistryUnavailable, match="timed out"):
                list(repository(client, server.host).tags())
            silence.set()

    def test_a_byte_now_and_then(self) -> None:
        over = threading.Event()

        def drops() -> Iterable[bytes]:
            while not over.wait(0.02):
                yield b" "

        library = Library(lambda asked: Reply(200, body=drops()) if "/a/b/" in asked.path else None)
        settings = Settings(certificates="", document_timeout=0.2, patience=0.01, attempts=2)
        with Server(library) as server, Client(settings) as client:
            with pytest.raises(RegistryUnavailable, match="takes too long"):
                repository(client, server.host).fetch("1")
            over.set()

    def test_cancelled_while_waiting(self) -> None:
        library = Library(lambda asked: Reply(503, {"Retry-After": "30"}) if "/a/b/" in asked.path else None)
        with Server(library) as server, Client(Settings(certificates="")) as client:
            timer = threading.Timer(0.1, client.cancel)
            timer.start()
            with pytest.raises(Cancelled):
                list(repository(client, server.host).tags())
            timer.join()


class TestRedirects:
    def test_in_a_circle(self, client: Client) -> None:
        library = Library(lambda asked: Reply(307, {"Location": asked.path}) if "/a/b/" in asked.path else None)
        with Server(library) as server:
            with pytest.raises(InvalidAnswer, match="sends us on more than 10 times"):
                list(repository(client, server.host).tags())
            assert len(server.lines()) == 11

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/", "//[", "http://a b/", "http://h:x/"])
    def test_to_what_is_no_url(self, client: Client, target: str) -> None:
        library = Library(lambda asked: Reply(302, {"Location": target}) if "/a/b/" in asked.path else None)
        with Server(library) as server, pytest.raises(InvalidAnswer, match="no URL"):
            list(repository(client, server.host).tags())

    def test_a_blob_elsewhere(self, client: Client) -> None:
        there = Library()
        descriptor = there.add(DATA)
        with Server(there) as other:
            library = Library()
            library.add(DATA)
            library.before = lambda asked: (
                Reply(307, {"Location": f"http://{other.host}{asked.path}"}) if "/blobs/" in asked.path else None
            )
            with Server(library) as server:
                assert pull(repository(client, server.host), descriptor) == DATA


class TestLists:
    def test_pages(self, client: Client) -> None:
        pages = {"": ("1", "b"), "b": ("2", "c"), "c": ("3", "")}

        def before(asked: Asked) -> Reply | None:
            if "/tags/list" not in asked.path:
                return None
            tag, after = pages[asked.path.partition("last=")[2]]
            link = {"Link": f'</v2/a/b/tags/list?n=1&last={after}>; rel="next"'} if after else {}
            return Reply(200, link, b'{"name":"a/b","tags":["%s"]}' % tag.encode())

        with Server(Library(before)) as server:
            assert list(repository(client, server.host).tags(1)) == ["1", "2", "3"]

    @pytest.mark.parametrize("target", ["/v2/a/b/tags/list?n=1000", "", "?n=1000"])
    def test_without_end(self, client: Client, target: str) -> None:
        sent = Reply(200, {"Link": f'<{target or "list?n=1000"}>; rel="next"'}, b'{"tags":["x"]}')
        with Server(Library(lambda asked: sent if "/tags/" in asked.path else None)) as server:
            with pytest.raises(InvalidAnswer, match="no end"):
                list(repository(client, server.host).tags())
            assert len(server.lines()) == 1

    @pytest.mark.parametrize("target", ["http://127.0.0.1:1/v2/a/b/tags/list", "/v2/other/tags/list", "/"])
    def test_that_go_on_elsewhere(self, client: Client, target: str) -> None:
        sent = Reply(200, {"Link": f'<{target}>; rel="next"'}, b'{"tags":["x"]}')
        library = Library(lambda asked: sent if "/tags/" in asked.path else None)
        with Server(library) as server, pytest.raises(InvalidAnswer, match="goes on elsewhere"):
            list(repository(client, server.host).tags())

    @pytest.mark.parametrize("raw", [b"", b"[]", b'{"tags":3}', b'{"tags":[3]}', b"\xff"])
    def test_that_are_none(self, client: Client, raw: bytes) -> None:
        library = Library(lambda asked: Reply(200, body=raw) if "/tags/" in asked.path else None)
        with Server(library) as server, pytest.raises(codec.InvalidDocument, match="repository 127"):
            list(repository(client, server.host).tags())

    def test_referrers_of_a_registry_that_has_them(self, client: Client) -> None:
        entry = Descriptor(mediatypes.OCI_MANIFEST, digest.of(b"x"), 1, artifact_type="a/b")
        other = Descriptor(mediatypes.OCI_MANIFEST, digest.of(b"y"), 1, artifact_type="c/d")
        raw = codec.encode(Index(2, (entry, other), mediatypes.OCI_INDEX))
        library = Library(lambda asked: Reply(200, body=raw) if "/referrers/" in asked.path else None)
        with Server(library) as server:
            found = list(referrers.of(repository(client, server.host), digest.of(b"s"), "a/b"))
            assert found == [entry]
            assert server.lines() == [f"GET /v2/a/b/referrers/{digest.of(b's')}?artifactType=a%2Fb"]


class Uploads:
    """A registry that takes uploads; `trouble` may spoil a request, after it took part of the body or before."""

    def __init__(self, trouble: Callable[[Asked, "Uploads"], Reply | None] = lambda *_: None) -> None:
        self.data = b""
        self.taken: dict[str, bytes] = {}
        self.trouble = trouble

    def __call__(self, asked: Asked) -> Reply:
        if (reply := self.trouble(asked, self)) is not None:
            return reply
        if asked.method == "POST":
            self.data = b""
            return Reply(202, {"Location": "/v2/a/b/blobs/uploads/1?s=x"})
        if asked.method == "GET" and "/uploads/" in asked.path:
            return self.there(204)
        if asked.method == "PATCH":
            return self.there(202) if self.take(asked) else self.there(416)
        if asked.method == "PUT":
            if not self.take(asked):
                return self.there(416)
            self.taken[digest.of(self.data)] = self.data
            return Reply(201)
        known = asked.path.rpartition("/")[2] in self.taken
        return Reply(200 if known or asked.path == "/v2/" else 404 if asked.method != "DELETE" else 204)

    def take(self, asked: Asked, most: int = 1 << 30) -> bool:
        """Take a body, if it begins where we are."""
        begin = asked.headers.get("Content-Range", "0-").partition("-")[0]
        if asked.body and int(begin) != len(self.data):
            return False
        self.data += asked.body[:most]
        return True

    def there(self, status: int) -> Reply:
        return Reply(status, {"Location": "/v2/a/b/blobs/uploads/1?s=y", "Range": f"0-{max(0, len(self.data) - 1)}"})


class Once:
    """Trouble for the n-th request with a method."""

    def __init__(self, method: str, count: int, reply: Reply, takes: int = 0) -> None:
        self.method, self.count, self.reply, self.takes = method, count, reply, takes

    def __call__(self, asked: Asked, uploads: Uploads) -> Reply | None:
        if asked.method != self.method or not asked.body:
            return None
        self.count -= 1
        if self.count:
            return None
        uploads.take(asked, self.takes)
        return self.reply


class NoSeek:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(min(size, 700))


class TestUploads:
    DATA = DATA[:3500]
    DESCRIBED = Descriptor("text/plain", digest.of(DATA), len(DATA))

    def push(self, client: Client, uploads: Uploads) -> list[str]:
        with Server(uploads) as server:
            repository(client, server.host).push(self.DESCRIBED, NoSeek(self.DATA))
            assert uploads.taken == {self.DESCRIBED.digest: self.DATA}
            return [line.partition(" ")[0] for line in server.lines()]

    def test_in_pieces(self, client: Client) -> None:
        assert self.push(client, Uploads()) == ["POST", "PATCH", "PATCH", "PATCH", "PUT"]

    @pytest.mark.parametrize("method", ["PATCH", "PUT"])
    @pytest.mark.parametrize("takes", [0, 1, 250, 1000])
    @pytest.mark.parametrize("status", [416, 429, 500, 503, 0])
    def test_goes_on_where_the_registry_is(self, client: Client, method: str, takes: int, status: int) -> None:
        trouble = Once(method, 2 if method == "PATCH" else 1, Reply(status), takes)
        assert self.push(client, Uploads(trouble)).count("GET") == 1

    def test_a_registry_that_takes_a_part(self, client: Client) -> None:
        def part(asked: Asked, uploads: Uploads) -> Reply | None:
            if asked.method == "PATCH" and len(uploads.data) < 1000 and uploads.take(asked, 300):
                return uploads.there(202)
            return None

        assert self.push(client, Uploads(part)).count("PATCH") > 3

    def test_one_that_takes_nothing(self, client: Client) -> None:
        uploads = Uploads(lambda asked, uploads: uploads.there(416) if asked.method == "PATCH" else None)
        with Server(uploads) as server, pytest.raises(UploadLost, match="takes no more than 0 bytes"):
            repository(client, server.host).push(self.DESCRIBED, NoSeek(self.DATA))
        assert server.lines()[-2].startswith("DELETE ")

    def test_one_that_is_elsewhere(self, client: Client) -> None:
        uploads = Uploads(Once("PATCH", 2, Reply(500)))
        there = Reply(204, {"Range": "0-99999"})
        spoil = uploads.trouble
        uploads.trouble = lambda asked, ours: (
            there if asked.method == "GET" and "/up" in asked.path else spoil(asked, ours)
        )
        with Server(uploads) as server, pytest.raises(UploadLost, match="has 100000 bytes"):
            repository(client, server.host).push(self.DESCRIBED, NoSeek(self.DATA))

    def test_a_lost_upload_of_what_can_be_read_again(self, client: Client) -> None:
        uploads = Uploads(Once("PATCH", 3, Reply(404)))
        with Server(uploads) as server:
            repository(client, server.host).push(self.DESCRIBED, io.BytesIO(self.DATA))
            assert [line for line in server.lines() if line.startswith("POST")] == ["POST /v2/a/b/blobs/uploads/"] * 2
        assert uploads.taken == {self.DESCRIBED.digest: self.DATA}

    def test_an_end_that_was_not_heard(self, client: Client) -> None:
        """The registry has it all, and the connection breaks before it says so."""

        def deaf(asked: Asked, uploads: Uploads) -> Reply | None:
            if asked.method != "PUT":
                return Reply(404) if asked.method == "GET" and "/uploads/" in asked.path else None
            assert uploads.take(asked)
            uploads.taken[digest.of(uploads.data)] = uploads.data
            return Reply(500)

        assert self.push(client, Uploads(deaf))[-1] == "HEAD"

    def test_a_minimum(self, client: Client) -> None:
        def large(asked: Asked, uploads: Uploads) -> Reply | None:
            if asked.method == "POST":
                return Reply(202, {"Location": "/v2/a/b/blobs/uploads/1", "OCI-Chunk-Min-Length": "2000"})
            return None

        assert self.push(client, Uploads(large)) == ["POST", "PATCH", "PUT"]

    @pytest.mark.parametrize("status", [413, 507])
    def test_too_large(self, client: Client, status: int) -> None:
        uploads = Uploads(Once("PATCH", 1, Reply(status)))
        with Server(uploads) as server, pytest.raises(ResourceExhausted if status == 413 else LaminaError):
            repository(client, server.host).push(self.DESCRIBED, NoSeek(self.DATA))

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
    def test_a_mount_that_is_refused(self, client: Client, status: int) -> None:
        uploads = Uploads(lambda asked, _: Reply(status) if "mount=" in asked.path else None)
        with Server(uploads) as server:
            place = repository(client, server.host)
            assert not place.mount(self.DESCRIBED, "c/d")
            place.push(self.DESCRIBED, NoSeek(self.DATA))
        assert uploads.taken == {self.DESCRIBED.digest: self.DATA}

    def test_nowhere(self, client: Client) -> None:
        uploads = Uploads(lambda asked, _: Reply(202) if asked.method == "POST" else None)
        with Server(uploads) as server, pytest.raises(InvalidAnswer, match="does not say where"):
            repository(client, server.host).push(self.DESCRIBED, NoSeek(self.DATA))

    def test_a_manifest_that_the_registry_changes(self, client: Client) -> None:
        wrong = Reply(201, {"Docker-Content-Digest": digest.of(b"other")})
        uploads = Uploads(lambda asked, _: wrong if asked.method == "PUT" else None)
        raw = codec.encode(Index(2, (), mediatypes.OCI_INDEX))
        described = Descriptor(mediatypes.OCI_INDEX, digest.of(raw), len(raw))
        with Server(uploads) as server, pytest.raises(DigestMismatch):
            repository(client, server.host).push(described, io.BytesIO(raw))

    def test_a_source_that_lacks_something_ends_the_move(self, client: Client) -> None:
        library = Library()
        root = library.image(*(bytes([number]) * 100 for number in range(8)))
        gone = next(one for one, kind in library.kinds.items() if kind == mediatypes.OCI_LAYER)
        del library.blobs[gone]
        target = Memory()
        with Server(library) as server, pytest.raises(ContentNotFound, match=gone):
            move(repository(client, server.host), target, root)
        assert not target.has(root)


@pytest.mark.parametrize("said", [b"t", b""], ids=["after a byte", "before the answer"])
def test_interrupted(tmp_path: pathlib.Path, said: bytes) -> None:
    """^C while two layers are silent: the command ends at once, and leaves no half of anything."""
    library, silence, begun = Library(), threading.Event(), threading.Semaphore(0)
    library.image(b"one" * 100, b"two" * 100)

    def before(asked: Asked) -> Reply | None:
        if "/blobs/" not in asked.path or library.kinds[asked.path.rpartition("/")[2]] != mediatypes.OCI_LAYER:
            return None

        def silent() -> Iterable[bytes]:
            yield said
            begun.release()
            silence.wait(60)

        return Reply(200, body=silent() if said else b"".join(silent()))

    library.before = before
    with Server(library) as server:
        lamina = Lamina(str(tmp_path / "store"), env={"DOCKER_CONFIG": str(tmp_path)})
        copying = lamina.start("copy", f"docker://{server.host}/a:1", f"oci:{tmp_path}/layout")
        for _ in range(2):
            assert begun.acquire(timeout=30)
        copying.send_signal(signal.SIGINT)
        out, error = copying.communicate(timeout=20)
        silence.set()
    assert (copying.returncode, out) == (130, b"")
    assert b"Traceback" not in error
    left = [path.name for path in (tmp_path / "layout").rglob("*") if path.is_file()]
    assert not [name for name in left if name.startswith(".tmp-") or name == "index.json"]
