"""The contract of places of content, proved for each of them."""

import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina.content import copying
from lamina.content.contract import ContentNotFound, Store
from lamina.content.layout import Layout
from lamina.content.local import Local
from lamina.content.memory import Memory
from lamina.errors import InvalidArgument, LaminaError
from lamina.oci import codec, digest, mediatypes
from lamina.oci.digest import Digest
from lamina.oci.manifest import Descriptor, Index, Manifest
from lamina.streams import DigestMismatch

MAKE: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: Memory(),
    "layout": lambda folder: Layout(str(folder)),
    "local": lambda folder: Local(str(folder)),
}
ABSENT = Descriptor("text/plain", digest.of(b"absent"), 6)


@pytest.fixture(params=MAKE)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MAKE[request.param](tmp_path)


def describe(data: bytes, kind: str = "text/plain") -> Descriptor:
    return Descriptor(kind, digest.of(data), len(data))


def push(store: Store, data: bytes, kind: str = "text/plain") -> Descriptor:
    descriptor = describe(data, kind)
    store.push(descriptor, io.BytesIO(data))
    return descriptor


def pull(store: Store, descriptor: Descriptor) -> bytes:
    with store.open(descriptor) as stream:
        return stream.read()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class Broken:
    """A stream that fails half-way."""

    def __init__(self, data: bytes) -> None:
        self._rest = [data]

    def read(self, size: int = -1, /) -> bytes:
        if self._rest:
            return self._rest.pop()
        raise ConnectionResetError


class TestBlobs:
    def test_what_comes_in_goes_out(self, store: Store) -> None:
        for data in (b"", b"hello", bytes(3 << 20)):
            descriptor = push(store, data)
            assert store.has(descriptor)
            assert pull(store, descriptor) == data

    def test_every_digest(self, store: Store) -> None:
        assert list(store) == []
        pushed = [push(store, data).digest for data in (b"a", b"b", b"c")]
        assert list(store) == sorted(pushed)

    def test_sha512(self, store: Store) -> None:
        descriptor = Descriptor("text/plain", Digest("sha512:" + hashlib.sha512(b"x").hexdigest()), 1)
        store.push(descriptor, io.BytesIO(b"x"))
        assert pull(store, descriptor) == b"x"
        assert list(store) == [descriptor.digest]

    def test_absent(self, store: Store) -> None:
        assert not store.has(ABSENT)
        with pytest.raises(ContentNotFound, match=ABSENT.digest), store.open(ABSENT):
            pass

    def test_the_stream_of_what_is_there_need_not_be_read(self, store: Store) -> None:
        descriptor = push(store, b"x")
        stream = io.BytesIO(b"not read")
        store.push(descriptor, stream)
        assert stream.tell() == 0
        assert pull(store, descriptor) == b"x"

    @pytest.mark.parametrize("data", [b"hallo", b"hell", b"hello!", b"", b"hello" * 1000])
    def test_wrong_bytes_are_refused_whole(self, store: Store, data: bytes, tmp_path: Path) -> None:
        descriptor = describe(b"hello")
        with pytest.raises(DigestMismatch):
            store.push(descriptor, io.BytesIO(data))
        self.is_absent(store, descriptor, tmp_path)

    @pytest.mark.parametrize("size", [0, 4, 6, 1 << 40])
    def test_a_wrong_size_is_refused(self, store: Store, size: int, tmp_path: Path) -> None:
        descriptor = Descriptor("text/plain", digest.of(b"hello"), size)
        with pytest.raises(DigestMismatch):
            store.push(descriptor, io.BytesIO(b"hello"))
        self.is_absent(store, descriptor, tmp_path)

    def test_nothing_is_left_of_a_stream_that_breaks(self, store: Store, tmp_path: Path) -> None:
        descriptor = describe(b"hello")
        with pytest.raises(ConnectionResetError):
            store.push(descriptor, Broken(b"hel"))
        self.is_absent(store, descriptor, tmp_path)
        assert pull(store, push(store, b"hello")) == b"hello"

    def is_absent(self, store: Store, descriptor: Descriptor, folder: Path) -> None:
        assert not store.has(descriptor)
        assert list(store) == []
        assert files(folder) == []

    @pytest.mark.parametrize("text", ["", "x", "sha256:..", "../../../etc/passwd", "sha256:" + "../" * 21 + "a"])
    def test_what_is_no_digest_names_no_file(self, store: Store, text: str) -> None:
        descriptor = Descriptor("text/plain", Digest(text), 1)
        with pytest.raises(LaminaError), store.open(descriptor):
            pass
        with pytest.raises((InvalidArgument, DigestMismatch)):
            store.push(descriptor, io.BytesIO(b"x"))

    def test_delete(self, store: Store) -> None:
        gone, kept = push(store, b"gone"), push(store, b"kept")
        store.delete(gone.digest)
        store.delete(gone.digest)
        assert not store.has(gone)
        assert list(store) == [kept.digest]

    def test_an_open_stream_outlives_its_content(self, store: Store) -> None:
        descriptor = push(store, b"hello")
        with store.open(descriptor) as stream:
            store.delete(descriptor.digest)
            assert stream.read() == b"hello"

    def test_many_push_the_same(self, store: Store, tmp_path: Path) -> None:
        data = bytes(range(256)) * 4096
        barrier = threading.Barrier(8)
        failures: list[BaseException] = []

        def work() -> None:
            barrier.wait()
            try:
                push(store, data)
                assert pull(store, describe(data)) == data
            except BaseException as error:  # noqa: BLE001 - it is looked at below
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert list(store) == [digest.of(data)]
        assert len(files(tmp_path)) <= 1


class TestNames:
    def test_a_name_stands_for_content(self, store: Store) -> None:
        descriptor = push(store, b"x")
        store.tag(descriptor, "a:1")
        store.tag(descriptor, "b")
        for name in ("a:1", "b"):
            found = store.resolve(name)
            assert (found.digest, found.size, found.media_type) == (descriptor.digest, 1, "text/plain")

    def test_unknown(self, store: Store) -> None:
        store.tag(push(store, b"x"), "known")
        for name in ("nothing", "", ".", "..", "../blobs", "x" * 300):
            with pytest.raises(ContentNotFound):
                store.resolve(name)

    def test_content_that_is_not_there(self, store: Store) -> None:
        with pytest.raises(ContentNotFound, match=ABSENT.digest):
            store.tag(ABSENT, "a")
        with pytest.raises(ContentNotFound):
            store.resolve("a")

    def test_it_moves(self, store: Store) -> None:
        one, two = push(store, b"one"), push(store, b"two")
        store.tag(one, "a")
        store.tag(two, "a")
        assert store.resolve("a").digest == two.digest
        assert store.has(one)

    def test_names_go_with_content(self, store: Store) -> None:
        gone, kept = push(store, b"gone"), push(store, b"kept")
        for descriptor, name in ((gone, "a"), (gone, "b"), (kept, "c")):
            store.tag(descriptor, name)
        store.delete(gone.digest)
        assert store.resolve("c").digest == kept.digest
        for name in ("a", "b"):
            with pytest.raises(ContentNotFound):
                store.resolve(name)

    @pytest.mark.parametrize(
        "name", ["localhost:5000/a/b:1", "a%2Fb", "../../x", ".", "..", "ünï", " ", "-", "a\nb", "h.x/" * 60]
    )
    def test_odd_ones(self, store: Store, name: str) -> None:
        descriptor, other = push(store, b"x"), push(store, b"y")
        store.tag(descriptor, name)
        store.tag(other, "other")
        assert store.resolve(name).digest == descriptor.digest
        store.delete(descriptor.digest)
        with pytest.raises(ContentNotFound):
            store.resolve(name)

    def test_annotations_and_urls_stay(self, store: Store) -> None:
        push(store, b"x")
        full = Descriptor("t", digest.of(b"x"), 1, ("https://h/x",), {"k": "v"}, artifact_type="y")
        store.tag(full, "a")
        found = store.resolve("a")
        assert (found.urls, found.artifact_type) == (full.urls, "y")
        assert (found.annotations or {})["k"] == "v"


class TestCopies:
    def graph(self, store: Store) -> Descriptor:
        """Put an index of two manifests that share a layer into a store."""
        layers = [push(store, data, mediatypes.OCI_LAYER) for data in (b"base", b"top")]
        manifests = []
        for config, used in ((b"{}", layers[:1]), (b'{"a":1}', layers)):
            described = push(store, config, mediatypes.OCI_CONFIG)
            raw = codec.encode(Manifest(2, described, tuple(used), mediatypes.OCI_MANIFEST))
            manifests.append(push(store, raw, mediatypes.OCI_MANIFEST))
        return push(store, codec.encode(Index(2, tuple(manifests))), mediatypes.OCI_INDEX)

    def test_a_graph_moves(self, store: Store) -> None:
        source = Memory()
        root = self.graph(source)
        copying.copy(source, store, root)
        assert list(store) == list(source)

    def test_from_it(self, store: Store) -> None:
        target = Memory()
        copying.copy(store, target, self.graph(store))
        assert list(target) == list(store)

    def test_children_come_before_parents(self, store: Store) -> None:
        source = Memory()
        root = self.graph(source)
        source.delete(digest.of(b"top"))
        with pytest.raises(ContentNotFound):
            copying.copy(source, store, root)
        assert not store.has(root)
        assert store.has(describe(b"base"))

    def test_what_is_there_is_not_read(self, store: Store) -> None:
        source = Memory()
        root = self.graph(source)
        push(store, b"base", mediatypes.OCI_LAYER)
        source.delete(digest.of(b"base"))
        copying.copy(source, store, root)
        assert store.has(root)

    def test_indexes_in_indexes_end(self, store: Store) -> None:
        source = Memory()
        root = self.graph(source)
        for _ in range(copying.MAX_NESTING + 1):
            root = push(source, codec.encode(Index(2, (root,), mediatypes.OCI_INDEX)), mediatypes.OCI_INDEX)
        with pytest.raises(codec.InvalidDocument, match="indexes lie more than 8 deep"):
            copying.copy(source, store, root)
        assert not store.has(root)

    def test_a_manifest_that_lies_about_its_size(self, store: Store) -> None:
        source = Memory()
        root = self.graph(source)
        wrong = Descriptor(root.media_type, root.digest, root.size + 1)
        with pytest.raises(DigestMismatch):
            copying.copy(source, store, wrong)
        assert not store.has(root)


class TestLayout:
    """What only a folder in the form of image-layout.md has."""

    def test_its_files(self, tmp_path: Path) -> None:
        layout = Layout(str(tmp_path))
        descriptor = push(layout, b"x")
        layout.tag(descriptor, "1.0")
        assert (tmp_path / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
        assert (tmp_path / "blobs" / descriptor.digest.replace(":", "/")).read_bytes() == b"x"
        index = codec.decode((tmp_path / "index.json").read_bytes(), Index, "index")
        assert index.manifests[0].annotations == {"org.opencontainers.image.ref.name": "1.0"}

    @pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"schemaVersion":2}', b"\xff", b" " * (codec.LIMIT + 1)])
    def test_a_damaged_index(self, tmp_path: Path, raw: bytes) -> None:
        layout = Layout(str(tmp_path))
        (tmp_path / "index.json").write_bytes(raw)
        with pytest.raises(LaminaError):
            layout.resolve("a")

    def test_strange_files_among_the_blobs(self, store: Store, tmp_path: Path) -> None:
        descriptor = push(store, b"x")
        (tmp_path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (tmp_path / "blobs" / "sha256" / ".tmp-left").touch()
        (tmp_path / "blobs" / "file").touch()
        assert list(store) == [descriptor.digest]


@pytest.mark.parametrize("kind", MAKE)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blobs=st.lists(st.binary(max_size=50), max_size=5), deleted=st.integers(0, 5))
def test_any_order_of_pushes(
    kind: str, blobs: list[bytes], deleted: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = MAKE[kind](tmp_path_factory.mktemp("store"))
    for data in blobs:
        push(store, data)
    for data in blobs[:deleted]:
        store.delete(digest.of(data))
    kept = set(blobs) - set(blobs[:deleted])
    assert {pull(store, describe(data)) for data in kept} == kept
    assert set(store) == set(map(digest.of, kept))
