"""Garbage collection, the check and its repair, a tag's history."""

import asyncio
import json
import os
import pathlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from tests.registry.client import Client, descriptor, image, index
from tests.registry.serving import Serving, serving

from lamina.oci import digest, mediatypes
from lamina.oci.digest import Digest
from lamina.registry import checking
from lamina.registry.collection import Collected, Collection, Damage, purge
from lamina.registry.filesystem import Filesystem
from lamina.registry.repository import Cache, Repository


@pytest.fixture
def registry(tmp_path: pathlib.Path) -> Iterator[Serving]:
    with serving(tmp_path, delete=True) as found:
        yield found


@pytest.fixture
def storage(registry: Serving, tmp_path: pathlib.Path) -> Filesystem:
    return Filesystem(str(tmp_path / "registry"))


def collect(storage: Filesystem, age: float = 0, *, untagged: bool = False, dry: bool = False) -> Collected:
    collection = Collection(storage, age, untagged=untagged, dry=dry, report=lambda _: None)
    return asyncio.run(collection.run())


def problems(storage: Filesystem, *, repair: bool = False) -> list[str]:
    async def every() -> list[str]:
        return [line async for line in checking.check(storage, repair=repair)]

    return asyncio.run(every())


def grow_old(folder: pathlib.Path) -> None:
    """Let all that is stored be of long ago."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))


def files(folder: pathlib.Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_manifests_name_stays(client: Client, storage: Filesystem, tmp_path: pathlib.Path) -> None:
    client.image("a", "1")
    garbage = client.blob("a", b"garbage")
    grow_old(tmp_path / "registry")
    before = files(tmp_path / "registry")
    assert collect(storage, dry=True) == Collected(blobs=1, size=7)
    assert files(tmp_path / "registry") == before
    assert collect(storage) == Collected(blobs=1, size=7)
    gone = before - files(tmp_path / "registry")
    assert len(gone) == 2
    assert all(digest.encoded(garbage) in path for path in gone)
    assert collect(storage) == Collected()
    assert problems(storage) == []


def test_what_is_new_stays(client: Client, storage: Filesystem, tmp_path: pathlib.Path) -> None:
    names = [client.blob("a", data) for data in (b"1", b"2", b"3", b"4")]
    grow_old(tmp_path / "registry")
    client("HEAD", f"/v2/a/blobs/{names[0]}")
    assert client("POST", f"/v2/b/blobs/uploads/?mount={names[1]}&from=a").status == 201
    client.blob("c", b"3")
    assert collect(storage, 600).blobs == 1
    assert [client("GET", f"/v2/a/blobs/{name}").status for name in names] == [200, 200, 200, 404]


def test_untagged(client: Client, storage: Filesystem, tmp_path: pathlib.Path) -> None:
    old = client.image("a", "1", b"old")
    new = client.image("a", "1", b"new")
    child = client("GET", f"/v2/a/manifests/{client.image('a', 'child')}").body
    client.manifest("a", "all", index(child), mediatypes.OCI_INDEX)
    client("DELETE", "/v2/a/manifests/child")
    target = {"mediaType": mediatypes.OCI_MANIFEST, "digest": digest.of(child), "size": 1}
    signature = client.manifest("a", "", index(subject=target), mediatypes.OCI_INDEX)
    lone = client.manifest("a", "", index(subject={**target, "digest": old}), mediatypes.OCI_INDEX)
    grow_old(tmp_path / "registry")
    assert collect(storage).manifests == 0
    assert collect(storage, untagged=True).manifests == 2
    found = {
        name: client("GET", f"/v2/a/manifests/{name}").status for name in (old, new, digest.of(child), signature, lone)
    }
    assert found == {old: 404, new: 200, digest.of(child): 200, signature: 200, lone: 404}
    rows = asyncio.run(checking.history(Repository(storage, "a", Cache()), "1"))
    assert [name for _, name in rows] == [new]
    assert problems(storage) == []


def test_damage_stops_it(client: Client, storage: Filesystem, tmp_path: pathlib.Path) -> None:
    name = digest.encoded(client.image("a", "1"))
    client.blob("a", b"garbage")
    (tmp_path / f"registry/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data").write_bytes(b"x")
    grow_old(tmp_path / "registry")
    before = files(tmp_path / "registry")
    with pytest.raises(Damage, match="registry check"):
        collect(storage)
    assert files(tmp_path / "registry") == before


def test_pushes_deletes_and_collection_together(registry: Serving, storage: Filesystem) -> None:
    """Whatever a push was told is there, is there: all that is tagged in the end can be read back whole."""
    stop = threading.Event()
    with ThreadPoolExecutor(5) as pool:
        collecting = pool.submit(_collect_until, stop, storage)
        pushing = [pool.submit(_push_and_delete, registry.address, number) for number in range(4)]
        wait(pushing)
        stop.set()
        assert collecting.result() > 1
        for each in pushing:
            each.result()
    assert problems(storage) == []
    client = Client(registry.address)
    for name in client("GET", "/v2/_catalog").json["repositories"]:
        for tag in client("GET", f"/v2/{name}/tags/list").json["tags"]:
            manifest = client("GET", f"/v2/{name}/manifests/{tag}").json
            for row in (manifest["config"], *manifest["layers"]):
                assert digest.of(client("GET", f"/v2/{name}/blobs/{row['digest']}").body) == row["digest"]
    client.close()


def _collect_until(stop: threading.Event, storage: Filesystem) -> int:
    rounds = 0
    while not stop.is_set():
        collect(storage, untagged=True)
        rounds += 1
    return rounds


def _push_and_delete(address: str, number: int) -> None:
    client, dice = Client(address), random.Random(number)
    for _ in range(40):
        layers = [b"layer %d" % dice.randrange(12) for _ in range(3)]
        while not _pushed(client, f"stress/{number % 3}", f"t{dice.randrange(4)}", layers):
            pass  # something that was there has gone since: it is sent again
        if dice.random() < 0.4:
            client("DELETE", f"/v2/stress/{number % 3}/manifests/t{dice.randrange(4)}")
    client.close()


def _pushed(client: Client, repository: str, tag: str, layers: list[bytes]) -> bool:
    """Push an image as docker does: what the registry says that it has is not sent."""
    for data in (b"{}", *layers):
        if client("HEAD", f"/v2/{repository}/blobs/{digest.of(data)}").status != 200:
            client.blob(repository, data)
    reply = client("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(image(b"{}", *layers)).encode())
    assert reply.status in (201, 400), reply
    return reply.status == 201


def test_old_uploads_are_forgotten(client: Client, storage: Filesystem, tmp_path: pathlib.Path) -> None:
    old, new = client.upload("a"), client.upload("a/b")
    identity = old.partition("?")[0].rpartition("/")[2]
    started = tmp_path / f"registry/docker/registry/v2/repositories/a/_uploads/{identity}/startedat"
    started.write_text("2020-01-01T00:00:00Z")
    assert asyncio.run(purge(storage, 3600, dry=True)) == 1
    assert asyncio.run(purge(storage, 3600)) == 1
    assert [client("GET", at).status for at in (old, new)] == [404, 204]


class TestRepair:
    @pytest.fixture
    def top(self, client: Client, tmp_path: pathlib.Path) -> pathlib.Path:
        client.image("a", "1", b"first")
        client.image("a", "1", b"second")
        return tmp_path / "registry/docker/registry/v2"

    def damaged(self, storage: Filesystem, what: str) -> None:
        assert any(what in line for line in problems(storage))
        problems(storage, repair=True)
        assert problems(storage) == []

    def test_a_blob(self, top: pathlib.Path, client: Client, storage: Filesystem) -> None:
        name = client.blob("a", b"alone")
        path = top / f"blobs/sha256/{digest.encoded(name)[:2]}/{digest.encoded(name)}/data"
        path.write_bytes(b"other")
        self.damaged(storage, f"blob {name} is damaged")
        client.blob("a", b"alone")
        assert client("GET", f"/v2/a/blobs/{name}").body == b"alone"

    @pytest.mark.parametrize("text", [b"", b"x", b"sha256:" + b"0" * 64])
    def test_a_tag(self, top: pathlib.Path, client: Client, storage: Filesystem, text: bytes) -> None:
        now = client("GET", "/v2/a/manifests/1").body
        (top / "repositories/a/_manifests/tags/1/current/link").write_bytes(text)
        self.damaged(storage, "the tag 1 leads nowhere")
        assert client("GET", "/v2/a/manifests/1").body == now

    def test_a_link_to_a_blob(self, top: pathlib.Path, client: Client, storage: Filesystem) -> None:
        folder = top / f"repositories/a/_layers/sha256/{'0' * 64}"
        folder.mkdir()
        (folder / "link").write_text("sha256:" + "0" * 64)
        self.damaged(storage, "leads nowhere")

    def test_a_missing_layer_is_told(self, top: pathlib.Path, client: Client, storage: Filesystem) -> None:
        layer = client("GET", "/v2/a/manifests/1").json["layers"][0]["digest"]
        (top / f"blobs/sha256/{digest.encoded(layer)[:2]}/{digest.encoded(layer)}/data").unlink()
        assert any(f"names {layer}, which is missing" in line for line in problems(storage, repair=True))

    def test_referrers(self, top: pathlib.Path, client: Client, storage: Filesystem) -> None:
        subject = client("GET", "/v2/a/manifests/1").body
        one = client.image("a", "2", subject=descriptor(subject, mediatypes.OCI_MANIFEST))
        path = f"/v2/a/referrers/{digest.of(subject)}"
        assert [row["digest"] for row in client("GET", path).json["manifests"]] == [one]
        (noted,) = (top / "repositories/a/_referrers").rglob("sha256-*")
        for damage in (b"", b'{"digest":"\xff"}', b"[" * 5000):
            noted.write_bytes(damage)
            assert client("GET", path).json["manifests"] == []
        noted.unlink()
        assert client("GET", path).json["manifests"] == []
        problems(storage, repair=True)
        assert [Digest(row["digest"]) for row in client("GET", path).json["manifests"]] == [one]
