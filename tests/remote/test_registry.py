"""A repository of Debian's docker-registry as a place of content.

The suite of `tests/contracts` is for places that take any content under any name; a registry gives names to manifests
alone, so what it promises is proved here.
"""

import hashlib
import io
import itertools
import random
import subprocess
import sys
import threading

import pytest
from tests import samples
from tests.registry.distribution import Running
from tests.remote.conftest import repository
from tests.samples import Sample

from lamina.content import copying
from lamina.content.contract import ContentNotFound
from lamina.content.memory import Memory
from lamina.errors import LaminaError
from lamina.oci import codec, digest, mediatypes
from lamina.oci.digest import Digest
from lamina.oci.manifest import Descriptor, Index, Manifest
from lamina.remote import referrers
from lamina.remote.client import Client
from lamina.remote.moving import move
from lamina.remote.registry import Registry
from lamina.streams import DigestMismatch

LAYERS = [random.Random(1).randbytes(5000), b"top" * 100, b""]
_NUMBERS = itertools.count()
ABSENT = Descriptor("text/plain", digest.of(b"absent"), 6)


@pytest.fixture
def place(client: Client, registry: Running) -> Registry:
    """A repository of the test's own."""
    found = repository(client, registry.host, f"test/{next(_NUMBERS)}")
    assert list(referrers.of(found, ABSENT.digest)) == []  # the way to the registry is known from here on
    return found


def image() -> tuple[Memory, Manifest, Descriptor]:
    source = Memory()
    manifest, described = samples.content(Sample(LAYERS), source)
    return source, manifest, described


def push(place: Registry, data: bytes, kind: str = "text/plain") -> Descriptor:
    descriptor = Descriptor(kind, digest.of(data), len(data))
    place.push(descriptor, io.BytesIO(data))
    return descriptor


def pull(place: Registry, descriptor: Descriptor, offset: int = 0) -> bytes:
    with place.open(descriptor, offset) as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2000, 5000])
def test_what_is_pushed_is_pulled(place: Registry, size: int) -> None:
    data = random.Random(size).randbytes(size)
    descriptor = Descriptor("text/plain", digest.of(data), size)
    assert not place.has(descriptor)
    push(place, data)
    assert place.has(descriptor)
    assert pull(place, descriptor) == data


def test_from_an_offset(place: Registry) -> None:
    descriptor = push(place, LAYERS[0])
    for offset in (1, 4999, 5000):
        assert pull(place, descriptor, offset) == LAYERS[0][offset:]


def test_what_is_absent(place: Registry) -> None:
    assert not place.has(ABSENT)
    with pytest.raises(ContentNotFound, match=ABSENT.digest), place.open(ABSENT):
        pass
    with pytest.raises(ContentNotFound, match=f"manifest for {place.reference.name}:1 not found"):
        place.resolve("1")
    with pytest.raises(ContentNotFound):
        place.fetch("1")
    with pytest.raises(ContentNotFound, match="not found"):
        list(place.tags())


@pytest.mark.parametrize("data", [b"hallo", b"hell", b"hello!", b"", b"hello" * 1000])
def test_wrong_bytes_are_not_sent(place: Registry, data: bytes) -> None:
    descriptor = Descriptor("text/plain", digest.of(b"hello"), 5)
    with pytest.raises(DigestMismatch):
        place.push(descriptor, io.BytesIO(data))
    assert not place.has(descriptor)


def test_what_is_known_is_checked_by_the_registry_alone(place: Registry) -> None:
    right, wrong = (Descriptor("text/plain", digest.of(data), 5) for data in (b"known", b"other"))
    place.push(right, io.BytesIO(b"known"), known=True)
    assert pull(place, right) == b"known"
    with pytest.raises(LaminaError, match="digest"):
        place.push(wrong, io.BytesIO(b"known"), known=True)
    assert not place.has(wrong)


def test_sha512(place: Registry) -> None:
    descriptor = Descriptor("text/plain", Digest("sha512:" + hashlib.sha512(b"x").hexdigest()), 1)
    place.push(descriptor, io.BytesIO(b"x"))
    assert pull(place, descriptor) == b"x"


def test_an_image_there_and_back(place: Registry) -> None:
    source, _, root = image()
    copying.copy(source, place, root)
    place.tag(root, "1")
    back = Memory()
    found = place.resolve("1")
    assert found == root
    copying.copy(place, back, found)
    assert list(back) == list(source)
    assert place.resolve(root.digest) == root
    assert place.fetch("1")[1] == back._blobs[root.digest]


def test_an_index_moves_with_several_threads(place: Registry, client: Client, registry: Running) -> None:
    source, _, root = image()
    index = samples.add(source, codec.encode(Index(2, (root,), mediatypes.OCI_INDEX)), mediatypes.OCI_INDEX)
    move(source, place, index)
    before = len(registry.requests())
    move(source, place, index)
    assert registry.requests()[before:] == [f"HEAD /v2/{place.reference.path}/manifests/{index.digest}"]
    other = repository(client, registry.host, "other/place")
    before = len(registry.requests())
    move(place, other, index)
    assert not [line for line in registry.requests()[before:] if line.startswith(("PATCH", "GET /v2/other"))]
    back = Memory()
    move(other, back, index, workers=1)
    assert list(back) == list(source)


def test_mount(place: Registry, client: Client, registry: Running) -> None:
    descriptor = push(place, LAYERS[0])
    other = repository(client, registry.host, "mounts/here")
    assert not other.has(descriptor)
    assert other.mount(descriptor, place.reference.path)
    assert other.has(descriptor)


def test_a_mount_that_fails_is_an_upload_that_has_begun(place: Registry, registry: Running) -> None:
    data = b"mounted from nowhere"
    descriptor = Descriptor("text/plain", digest.of(data), len(data))
    before = len(registry.requests())
    assert not place.mount(descriptor, "no/where")
    place.push(descriptor, io.BytesIO(data))
    assert [line.partition(" ")[0] for line in registry.requests()[before:]] == ["POST", "PUT"]
    assert pull(place, descriptor) == data


def test_tags(place: Registry) -> None:
    source, _, root = image()
    copying.copy(source, place, root)
    names = [f"t{number}" for number in range(7)]
    for name in names:
        place.tag(root, name)
    assert sorted(place.tags()) == names


def test_a_tag_moves(place: Registry) -> None:
    source, manifest, root = image()
    copying.copy(source, place, root)
    place.tag(root, "1")
    other = push(
        place, codec.encode(Manifest(2, manifest.config, (), mediatypes.OCI_MANIFEST)), mediatypes.OCI_MANIFEST
    )
    place.tag(other, "1")
    assert place.resolve("1") == other
    with pytest.raises(ContentNotFound):
        place.tag(Descriptor(mediatypes.OCI_MANIFEST, ABSENT.digest, 6), "2")


def test_delete(place: Registry) -> None:
    source, _, root = image()
    copying.copy(source, place, root)
    place.tag(root, "1")
    place.delete(root.digest)
    place.delete(root.digest)
    assert not place.has(root)
    with pytest.raises(ContentNotFound):
        place.resolve("1")


def test_referrers_whether_the_registry_has_a_list_of_them_or_not(place: Registry) -> None:
    source, manifest, root = image()
    copying.copy(source, place, root)
    assert list(referrers.of(place, root.digest)) == []
    found = []
    for kind in ("a/b", "c/d"):
        value = Manifest(2, manifest.config, (), mediatypes.OCI_MANIFEST, kind, root, {"of": kind})
        found.append(push(place, codec.encode(value), mediatypes.OCI_MANIFEST))
    push(place, codec.encode(value), mediatypes.OCI_MANIFEST)
    listed = {one.digest: (one.artifact_type, one.annotations) for one in referrers.of(place, root.digest)}
    assert listed == {found[0].digest: ("a/b", {"of": "a/b"}), found[1].digest: ("c/d", {"of": "c/d"})}
    assert [one.digest for one in referrers.of(place, root.digest, "c/d")] == [found[1].digest]


def test_many_threads_use_one_client(place: Registry) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            data = random.Random(number).randbytes(3000)
            assert pull(place, push(place, data)) == data
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_urllib3_is_loaded_by_a_client_alone() -> None:
    names = "registry, moving, referrers, dockerconfig, settings"
    script = f"import sys\nfrom lamina.remote import {names}\nassert 'urllib3' not in sys.modules"
    subprocess.run([sys.executable, "-I", "-c", script], check=True)
