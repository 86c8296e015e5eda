"""Our registry and CNCF distribution's over one folder: what one takes the other serves, deletes and goes on with."""

import asyncio
import json
import os
import pathlib
import re
from collections.abc import Iterator

import pytest
from bench.images import Image
from tests import peers
from tests.compat.clients import BySkopeo
from tests.compat.doors import Door
from tests.peers import Failed
from tests.registry.client import Client, descriptor, image, index
from tests.registry.distribution import Distribution
from tests.registry.serving import serving

from lamina.oci import digest, mediatypes
from lamina.registry import configuration
from lamina.registry.collection import Collection
from lamina.registry.filesystem import Filesystem

SECRET = "shared"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, storage: pathlib.Path) -> Iterator[dict[str, Client]]:
    peers.need(Distribution.missing())
    folder = tmp_path_factory.mktemp("servers")
    config = {"http": {"secret": SECRET}}
    with (
        serving(folder, storage=str(storage), delete=True, config=config) as ours,
        Distribution(str(folder / "theirs"), storage=str(storage), secret=SECRET) as theirs,
    ):
        found = {"ours": Client(ours.address), "theirs": Client(theirs.host)}
        yield found
        for client in found.values():
            client.close()


@pytest.fixture(params=["ours", "theirs"])
def one(request: pytest.FixtureRequest, both: dict[str, Client]) -> Client:
    return both[request.param]


@pytest.fixture
def other(one: Client, both: dict[str, Client]) -> Client:
    return next(client for client in both.values() if client is not one)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "layout/" + re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")


ACCEPT = ", ".join([*mediatypes.MANIFESTS, *mediatypes.INDEXES])


def push(client: Client, repository: str, tag: str, **more: object) -> bytes:
    """Push an image by the requests that every server has; return its manifest."""
    for data in (b"{}", tag.encode()):
        at = client.upload(repository)
        at = client("PATCH", at, data).headers["Location"]
        assert client("PUT", f"{at}&digest={digest.of(data)}").status == 201
    data = json.dumps(image(b"{}", tag.encode(), **more)).encode()
    client.manifest(repository, tag, data)
    return data


def test_the_configuration_that_debian_brings() -> None:
    peers.need(Distribution.missing())
    found = configuration.read("/etc/docker/registry/config.yml")
    assert (found.address, found.storage, found.delete) == (":5000", "/var/lib/docker-registry", True)


def test_what_one_takes_the_other_serves(one: Client, other: Client, name: str) -> None:
    data = push(one, name, "1")
    for client in (one, other):
        for reference in ("1", digest.of(data)):
            reply = client("GET", f"/v2/{name}/manifests/{reference}", Accept=ACCEPT)
            assert (reply.status, reply.body) == (200, data)
            assert reply.headers["Content-Type"] == mediatypes.OCI_MANIFEST
            assert reply.headers["Docker-Content-Digest"] == digest.of(data)
        assert client("GET", f"/v2/{name}/blobs/{digest.of(b'1')}").body == b"1"
        assert client("GET", f"/v2/{name}/tags/list").json == {"name": name, "tags": ["1"]}
        assert name in client("GET", "/v2/_catalog?n=1000").json["repositories"]
    client.manifest(name, "all", index(data), mediatypes.OCI_INDEX)
    assert other("GET", f"/v2/{name}/manifests/all", Accept=ACCEPT).json["manifests"][0] == descriptor(
        data, mediatypes.OCI_MANIFEST
    )


@pytest.mark.parametrize("kind", [mediatypes.DOCKER_MANIFEST, mediatypes.DOCKER_LIST])
def test_docker_s_media_types_are_served_by_the_other(one: Client, other: Client, name: str, kind: str) -> None:
    first = push(one, name, "1")
    value = image(b"{}", b"1") if kind == mediatypes.DOCKER_MANIFEST else index(first)
    data = json.dumps({**value, "mediaType": kind}).encode()
    one.manifest(name, "docker", data, kind)
    for method in ("GET", "HEAD"):
        reply = other(method, f"/v2/{name}/manifests/docker", Accept=ACCEPT)
        found = (reply.status, reply.headers["Content-Type"], reply.headers["Docker-Content-Digest"])
        assert found == (200, kind, digest.of(data))
    assert other("GET", f"/v2/{name}/manifests/{digest.of(data)}", Accept=ACCEPT).body == data


def test_a_blob_is_mounted_at_the_other(one: Client, other: Client, name: str) -> None:
    push(one, name, "1")
    found = digest.of(b"1")
    reply = other("POST", f"/v2/{name}/mounted/blobs/uploads/?mount={found}&from={name}")
    assert (reply.status, reply.headers["Docker-Content-Digest"]) == (201, found)
    for client in (one, other):
        assert client("GET", f"/v2/{name}/mounted/blobs/{found}").body == b"1"


@pytest.mark.skopeo
def test_skopeo_pushes_to_one_and_pulls_from_the_other(
    one: Client, other: Client, name: str, storage: pathlib.Path, by_skopeo: BySkopeo, tiny: Image
) -> None:
    here, there = (Door(client.address, secure=False, locked=False, storage=storage) for client in (one, other))
    told = by_skopeo.push(tiny, f"{here.host}/{name}:1", here)
    pulled = by_skopeo.pull(f"{there.host}/{name}:1", there)
    assert pulled == (told, tiny.id, tuple(layer.diff_id for layer in tiny.layers))
    by_skopeo.skopeo("delete", "--tls-verify=false", f"docker://{there.host}/{name}:1")
    with pytest.raises(Failed, match="manifest unknown"):
        by_skopeo.pull(f"{here.host}/{name}:1", here)


def test_folders_are_the_same(both: dict[str, Client], storage: pathlib.Path) -> None:
    trees = []
    for who, client in both.items():
        repository = f"tree/{who}"
        data = push(client, repository, "1")
        client.manifest(repository, "2", data)
        top = storage / "docker/registry/v2/repositories" / repository
        files = {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        trees.append((files, {str(path.relative_to(top)) for path in top.rglob("*") if path.is_dir()}))
    assert trees[0] == trees[1]


def test_an_upload_goes_on_at_the_other(one: Client, other: Client, name: str) -> None:
    at = one("PATCH", one.upload(name), b"first, ").headers["Location"]
    at = other("PATCH", _at(other, at), b"second, ").headers["Location"]
    at = one("PATCH", _at(one, at), b"third").headers["Location"]
    name_of = digest.of(b"first, second, third")
    reply = other("PUT", f"{_at(other, at)}&digest={name_of}")
    assert reply.status == 201, reply
    assert one("GET", f"/v2/{name}/blobs/{name_of}").body == b"first, second, third"


def test_an_upload_is_told_and_ended_by_the_other(one: Client, other: Client, name: str) -> None:
    """The pieces are larger than what either server holds at once."""
    pieces = [os.urandom(3_000_000) for _ in range(3)]
    at = one("PATCH", one.upload(name), pieces[0]).headers["Location"]
    told = other("GET", _at(other, at))
    assert (told.status, told.headers["Range"]) == (204, "0-2999999")
    span = {"Content_Range": "3000000-5999999", "Content_Type": "application/octet-stream"}
    reply = other("PATCH", told.headers["Location"], pieces[1], **span)
    assert (reply.status, reply.headers["Range"]) == (202, "0-5999999")
    whole = b"".join(pieces)
    reply = one("PUT", f"{_at(one, reply.headers['Location'])}&digest={digest.of(whole)}", pieces[2])
    assert (reply.status, reply.headers["Docker-Content-Digest"]) == (201, digest.of(whole))
    assert other("GET", f"/v2/{name}/blobs/{digest.of(whole)}").body == whole
    assert other("GET", _at(other, at)).status == 404


def test_what_the_other_has_begun_is_checked(one: Client, other: Client, name: str) -> None:
    at = one("PATCH", one.upload(name), b"first").headers["Location"]
    reply = other("PUT", f"{_at(other, at)}&digest={digest.of(b'another')}")
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
    assert one("HEAD", f"/v2/{name}/blobs/{digest.of(b'another')}").status == 404


def test_without_the_secret_no_upload_goes_on(
    both: dict[str, Client], storage: pathlib.Path, name: str, tmp_path: pathlib.Path
) -> None:
    config = {"http": {"secret": "another"}}
    with (
        serving(tmp_path, storage=str(storage), config=config) as ours,
        Distribution(str(tmp_path / "theirs"), storage=str(storage), secret="another") as theirs,
    ):
        for client, status in ((Client(ours.address), 400), (Client(theirs.host), 404)):
            for beginner in both.values():
                at = beginner("PATCH", beginner.upload(name), b"first").headers["Location"]
                reply = client("PATCH", _at(client, at), b"second")
                assert (reply.status, reply.code) == (status, "BLOB_UPLOAD_INVALID")
                assert beginner("GET", at).headers["Range"] == "0-4"
            client.close()


def test_an_upload_is_cancelled_at_the_other(one: Client, other: Client, name: str) -> None:
    at = one("PATCH", one.upload(name), b"first").headers["Location"]
    assert other("DELETE", _at(other, at)).status == 204
    assert one("GET", at).status == 404


def _at(client: Client, location: str) -> str:
    """Return the path of a location that another server gave."""
    return re.sub(r"^https?://[^/]+", "", location)


def test_deletes_are_seen(one: Client, other: Client, name: str) -> None:
    data = push(one, name, "1")
    push(one, name, "2")
    assert other("GET", f"/v2/{name}/manifests/1", Accept=ACCEPT).status == 200
    assert one("DELETE", f"/v2/{name}/manifests/{digest.of(data)}").status == 202
    for client in (one, other):
        assert client("GET", f"/v2/{name}/manifests/1", Accept=ACCEPT).status == 404
        assert client("GET", f"/v2/{name}/tags/list").json["tags"] == ["2"]
    assert one("DELETE", f"/v2/{name}/blobs/{digest.of(b'1')}").status == 202
    assert other("GET", f"/v2/{name}/blobs/{digest.of(b'1')}").status == 404


def test_what_was_deleted_is_pushed_anew_at_the_other(one: Client, other: Client, name: str) -> None:
    data = push(one, name, "1")
    assert other("GET", f"/v2/{name}/manifests/1", Accept=ACCEPT).status == 200
    for path in (f"manifests/{digest.of(data)}", f"blobs/{digest.of(b'1')}"):
        assert one("DELETE", f"/v2/{name}/{path}").status == 202
        assert other("HEAD", f"/v2/{name}/{path}", Accept=ACCEPT).status == 404
    assert push(other, name, "1") == data
    for client in (one, other):
        assert client("GET", f"/v2/{name}/manifests/1", Accept=ACCEPT).body == data
        assert client("GET", f"/v2/{name}/blobs/{digest.of(b'1')}").body == b"1"


def test_a_tag_that_we_delete_is_gone_for_both(both: dict[str, Client], name: str) -> None:
    """Distribution 2.8 deletes no tags, only manifests."""
    ours, theirs = both["ours"], both["theirs"]
    data = push(theirs, name, "1")
    push(theirs, name, "2")
    assert ours("DELETE", f"/v2/{name}/manifests/1").status == 202
    for client in both.values():
        assert client("GET", f"/v2/{name}/manifests/1", Accept=ACCEPT).status == 404
        assert client("GET", f"/v2/{name}/manifests/{digest.of(data)}", Accept=ACCEPT).body == data
        assert client("GET", f"/v2/{name}/tags/list").json["tags"] == ["2"]


def test_referrers_pushed_to_the_other(both: dict[str, Client]) -> None:
    """Distribution has no referrers: its client keeps a tag; what it took before we looked is found by scanning."""
    ours, theirs = both["ours"], both["theirs"]
    subject = push(theirs, "layout/refs", "1")
    target = descriptor(subject, mediatypes.OCI_MANIFEST)
    one = push(theirs, "layout/refs", "a", subject=target)
    rows = ours("GET", f"/v2/layout/refs/referrers/{digest.of(subject)}").json["manifests"]
    assert [row["digest"] for row in rows] == [digest.of(one)]
    two = push(theirs, "layout/refs", "b", subject=target)
    theirs.manifest("layout/refs", digest.of(subject).replace(":", "-"), index(one, two), mediatypes.OCI_INDEX)
    rows = ours("GET", f"/v2/layout/refs/referrers/{digest.of(subject)}").json["manifests"]
    assert {row["digest"] for row in rows} == {digest.of(one), digest.of(two)}


def test_catalog_pages_are_interchangeable(both: dict[str, Client]) -> None:
    for repository in ("order/a", "order/a/1", "order/a/b", "order/a-b", "order/b/c"):
        push(both["ours"], repository, "1")
    # after order/a, version 2 says order/a/1 again, and after order/a/1 it leaves order/a out: not so version 3
    for last in ("order", "order/a/b", "order/a-b", "order/b/c"):
        path = f"/v2/_catalog?n=3&last={last}"
        pages = [client("GET", path).json["repositories"] for client in both.values()]
        assert pages[0] == pages[1], last
    for tag in ("B", "a", "1", "10", "1.0"):
        push(both["theirs"], "order/tags", tag)
    tags = [client("GET", "/v2/order/tags/tags/list").json["tags"] for client in both.values()]
    assert tags[0] == sorted(tags[1])  # not in their order, before version 3


def test_collection_of_one_leaves_the_other_whole(both: dict[str, Client], storage: pathlib.Path) -> None:
    data = push(both["theirs"], "layout/gc", "1")
    at = both["ours"].upload("layout/gc")
    assert both["ours"]("PUT", f"{at}&digest={digest.of(b'garbage')}", b"garbage").status == 201
    name = digest.encoded(digest.of(b"garbage"))
    os.utime(storage / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data", (0, 0))
    collection = Collection(Filesystem(str(storage)), 0, untagged=True, dry=False, report=lambda _: None)
    found = asyncio.run(collection.run())
    assert found.blobs >= 1
    for client in both.values():
        assert client("GET", "/v2/layout/gc/manifests/1", Accept=ACCEPT).body == data
        assert client("GET", f"/v2/layout/gc/blobs/{digest.of(b'1')}").body == b"1"
        assert client("GET", f"/v2/layout/gc/blobs/{digest.of(b'garbage')}").status == 404
