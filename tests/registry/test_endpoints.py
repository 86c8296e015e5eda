"""The endpoints of the distribution specification; the OCI's own program asks for more (docs/registry.md)."""

import hashlib
import json

import pytest
from tests.registry.client import Client, Reply, image, index

from lamina.oci import digest, mediatypes

ABSENT = digest.of(b"absent")


def where(reply: Reply) -> str:
    return reply.headers["Location"]


def test_base(client: Client) -> None:
    reply = client("GET", "/v2/")
    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert client("GET", "/").status == 200
    assert client("GET", "/v1/search").status == 404
    assert client("POST", "/v2/").code == "UNSUPPORTED"


def test_extensions(client: Client) -> None:
    """What is said to be there is there."""
    rows = client("GET", "/v2/_oci/ext/discover").json["extensions"]
    assert [row["name"] for row in rows] == ["_oci", "_catalog"]
    for row in rows:
        assert row["url"].startswith("https://")
        assert [client("GET", path).status for path in row["endpoints"]] == [200]


class TestBlobs:
    def test_get_and_head(self, client: Client) -> None:
        for data in (b"", b"small", bytes(range(256)) * 1000):
            name = client.blob("blobs/one", data)
            got, head = (client(method, f"/v2/blobs/one/blobs/{name}") for method in ("GET", "HEAD"))
            assert (got.status, got.body, head.body) == (200, data, b"")
            for reply in (got, head):
                assert reply.headers["Docker-Content-Digest"] == name
                assert reply.headers["Content-Length"] == str(len(data))

    def test_absent(self, client: Client) -> None:
        client.blob("blobs/one", b"here")
        assert client("GET", f"/v2/blobs/one/blobs/{ABSENT}").code == "BLOB_UNKNOWN"
        assert client("HEAD", f"/v2/blobs/one/blobs/{ABSENT}").status == 404
        assert client("GET", f"/v2/blobs/other/blobs/{digest.of(b'here')}").code == "BLOB_UNKNOWN"

    @pytest.mark.parametrize(
        ("asked", "status", "want"),
        [
            ("bytes=0-0", 206, slice(0, 1)),
            ("bytes=1000-1999", 206, slice(1000, 2000)),
            ("bytes=199999-", 206, slice(199999, 200000)),
            ("bytes=-5", 206, slice(199995, 200000)),
            ("bytes=-900000", 206, slice(0, 200000)),
            ("bytes=100-900000", 206, slice(100, 200000)),
            ("bytes=0-99999", 206, slice(0, 100000)),
            ("bytes=1-2,4-5", 200, slice(0, 200000)),
            ("lines=1-2", 200, slice(0, 200000)),
            ("bytes=a-b", 200, slice(0, 200000)),
            ("bytes=200000-", 416, None),
            ("bytes=5-1", 416, None),
            ("bytes=-0", 416, None),
        ],
    )
    def test_ranges(self, client: Client, asked: str, status: int, want: slice | None) -> None:
        data = hashlib.shake_128(b"seed").digest(200_000)
        name = client.blob("blobs/one", data)
        reply = client("GET", f"/v2/blobs/one/blobs/{name}", Range=asked)
        assert reply.status == status
        if want is not None:
            assert reply.body == data[want]
        if status == 206 and want is not None:
            assert reply.headers["Content-Range"] == f"bytes {want.start}-{want.stop - 1}/200000"
        if status == 416:
            assert (reply.code, reply.headers["Content-Range"]) == ("RANGE_INVALID", "bytes */200000")

    def test_what_a_client_has_is_not_sent(self, client: Client) -> None:
        name = client.blob("blobs/one", b"cached")
        etag = client("HEAD", f"/v2/blobs/one/blobs/{name}").headers["ETag"]
        reply = client("GET", f"/v2/blobs/one/blobs/{name}", If_None_Match=etag)
        assert (reply.status, reply.body) == (304, b"")

    def test_delete(self, client: Client) -> None:
        name = client.blob("blobs/del", b"gone")
        client.blob("blobs/other", b"gone")
        assert client("DELETE", f"/v2/blobs/del/blobs/{name}").status == 202
        assert client("DELETE", f"/v2/blobs/del/blobs/{name}").status == 404
        assert client("GET", f"/v2/blobs/del/blobs/{name}").status == 404
        assert client("GET", f"/v2/blobs/other/blobs/{name}").body == b"gone"


class TestUploads:
    def test_pieces_in_order(self, client: Client) -> None:
        data = b"hello, world"
        at = client.upload("up/one")
        reply = client("PATCH", at, data[:5], Content_Range="0-4")
        assert (reply.status, reply.headers["Range"]) == (202, "0-4")
        reply = client("PATCH", where(reply), data[5:8], Content_Range="5-7")
        assert (reply.status, reply.headers["Range"]) == (202, "0-7")
        reply = client("PUT", f"{where(reply)}&digest={digest.of(data)}", data[8:], Content_Range="8-11")
        assert (reply.status, reply.headers["Docker-Content-Digest"]) == (201, digest.of(data))
        assert client("GET", where(reply)).body == data

    @pytest.mark.parametrize("declared", ["1-3", "6-8", "5", "a-b", "8-5", "5-9", "bytes"])
    def test_a_piece_out_of_order_changes_nothing(self, client: Client, declared: str) -> None:
        at = where(client("PATCH", client.upload("up/two"), b"12345"))
        assert client("PATCH", at, b"678", Content_Range=declared).code == "RANGE_INVALID"
        assert client("PUT", f"{at}&digest={ABSENT}", b"678", Content_Range=declared).status == 416
        reply = client("GET", at)
        assert (reply.status, reply.headers["Range"]) == (204, "0-4")
        reply = client("PUT", f"{where(reply)}&digest={digest.of(b'12345678')}", b"678", Content_Range="5-7")
        assert reply.status == 201

    def test_a_used_location_is_refused(self, client: Client) -> None:
        first = client.upload("up/three")
        assert client("PATCH", first, b"123").status == 202
        assert client("PATCH", first, b"456").status == 416

    def test_wrong_digest(self, client: Client) -> None:
        at = where(client("PATCH", client.upload("up/four"), b"data"))
        assert client("PUT", f"{at}&digest=sha256:bad").code == "DIGEST_INVALID"
        assert client("PUT", f"{at}&digest=md5:{'0' * 32}").code == "DIGEST_INVALID"
        assert client("PUT", f"{at}&digest={ABSENT}").code == "DIGEST_INVALID"
        assert client("GET", f"/v2/up/four/blobs/{ABSENT}").status == 404
        assert client("POST", f"/v2/up/four/blobs/uploads/?digest={ABSENT}", b"data").code == "DIGEST_INVALID"

    def test_cancel(self, client: Client) -> None:
        at = client.upload("up/five")
        assert client("DELETE", at).status == 204
        for method in ("GET", "PATCH", "DELETE"):
            assert client(method, at, b"").code == "BLOB_UPLOAD_UNKNOWN"

    def test_unknown(self, client: Client) -> None:
        for identity in ("0b4f0a6c-8a5f-4d0e-9d3c-0f5f6a6b7c8d", "x", "%2f"):
            assert client("PATCH", f"/v2/up/six/blobs/uploads/{identity}", b"x").status == 404

    def test_a_token_of_another_upload(self, client: Client) -> None:
        one, two = client.upload("up/one"), client.upload("up/two")
        mixed = one.partition("?")[0] + "?" + two.partition("?")[2]
        assert client("PATCH", mixed, b"x").code == "BLOB_UPLOAD_INVALID"
        assert client("PATCH", one[:-4] + "AAA=", b"x").code == "BLOB_UPLOAD_INVALID"

    def test_sha512(self, client: Client) -> None:
        name = "sha512:" + hashlib.sha512(b"data").hexdigest()
        reply = client("POST", "/v2/up/long/blobs/uploads/?digest-algorithm=sha512")
        reply = client("PATCH", where(reply), b"da")
        reply = client("PUT", f"{where(reply)}&digest={name}", b"ta")
        assert (reply.status, reply.headers["Docker-Content-Digest"]) == (201, name)
        assert client("GET", f"/v2/up/long/blobs/{name}").body == b"data"
        assert client("POST", "/v2/up/long/blobs/uploads/?digest-algorithm=md5").code == "DIGEST_INVALID"

    def test_mount(self, client: Client) -> None:
        name = client.blob("up/from", b"mounted")
        for to, query in (("a", f"mount={name}&from=up/from"), ("b", f"mount={name}")):
            reply = client("POST", f"/v2/up/to/{to}/blobs/uploads/?{query}")
            assert (reply.status, reply.headers["Docker-Content-Digest"]) == (201, name)
            assert client("GET", where(reply)).body == b"mounted"
        for query in (f"mount={ABSENT}&from=up/from", f"mount={ABSENT}", f"mount={name}&from=up/nowhere"):
            reply = client("POST", f"/v2/up/to/c/blobs/uploads/?{query}")
            assert reply.status == 202
            assert client("PUT", f"{where(reply)}&digest={digest.of(b'x')}", b"x").status == 201


class TestManifests:
    def test_bytes_and_type_come_back_as_they_were(self, client: Client) -> None:
        config = client.blob("man/one", b"{}")
        odd = b'{ "schemaVersion" : 2,\n"config":{"mediaType":"x/y","digest":"%s","size":2},"layers":[], "more": [1] }'
        data = odd % config.encode()
        for kind in (mediatypes.OCI_MANIFEST, mediatypes.DOCKER_MANIFEST):
            name = client.manifest("man/one", "t", data, kind)
            for reference in ("t", name):
                reply = client("GET", f"/v2/man/one/manifests/{reference}")
                assert (reply.body, reply.headers["Content-Type"]) == (data, kind)
                assert reply.headers["Docker-Content-Digest"] == digest.of(data)
                reply = client("HEAD", f"/v2/man/one/manifests/{reference}", Accept="text/plain")
                assert (reply.status, reply.headers["Content-Type"]) == (200, kind)
                assert reply.headers["Content-Length"] == str(len(data))

    def test_tags_along(self, client: Client) -> None:
        data = json.dumps(image(b"{}")).encode()
        client.blob("man/tags", b"{}")
        kind = mediatypes.OCI_MANIFEST
        path = f"/v2/man/tags/manifests/{digest.of(data)}?tag=a&tag=b"
        reply = client("PUT", path, data, Content_Type=kind)
        assert (reply.status, reply.headers["OCI-Tag"]) == (201, "a, b")
        assert client("GET", "/v2/man/tags/tags/list").json == {"name": "man/tags", "tags": ["a", "b"]}

    def test_what_it_names_must_be_there(self, client: Client) -> None:
        reply = client("PUT", "/v2/man/none/manifests/t", json.dumps(image(b"{}", b"x")).encode())
        assert (reply.status, reply.code) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert set(reply.json["errors"][0]["detail"]["missing"]) == {digest.of(b"{}"), digest.of(b"x")}
        reply = client("PUT", "/v2/man/none/manifests/t", json.dumps(index(b"{}")).encode())
        assert reply.code == "MANIFEST_BLOB_UNKNOWN"
        assert client("GET", "/v2/man/none/manifests/t").code == "MANIFEST_UNKNOWN"

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"", ""),
            (b"no", ""),
            (b"[" * 100_000, ""),
            (b'{"schemaVersion":1}', "application/vnd.docker.distribution.manifest.v1+json"),
            (b'{"schemaVersion":2}', ""),
            (b'{"schemaVersion":2,"manifests":[],"layers":[]}', ""),
            (b'{"schemaVersion":2,"manifests":[]}', mediatypes.OCI_MANIFEST),
            (b'{"schemaVersion":2,"manifests":[]}', "text/plain"),
            (b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:1","size":1}]}', ""),
            (b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"%s","size":-1}]}' % ABSENT.encode(), ""),
            (
                b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % mediatypes.DOCKER_LIST.encode(),
                mediatypes.OCI_INDEX,
            ),
        ],
    )
    def test_what_is_none(self, client: Client, data: bytes, kind: str) -> None:
        reply = client("PUT", "/v2/man/bad/manifests/t", data, Content_Type=kind)
        assert (reply.status, reply.code) == (400, "MANIFEST_INVALID")

    def test_layers_that_are_elsewhere(self, client: Client) -> None:
        client.blob("man/else", b"{}")
        value = image(b"{}", b"x")
        value["layers"][0]["mediaType"] = mediatypes.OCI_FOREIGN_LAYER  # type: ignore[index]
        reply = client("PUT", "/v2/man/else/manifests/t", json.dumps(value).encode())
        assert (reply.status, "not distributable" in reply.headers["Warning"]) == (201, True)
        client.image("man/else", "u")
        reply = client("PUT", "/v2/man/else/manifests/u", client("GET", "/v2/man/else/manifests/u").body)
        assert (reply.status, "Warning" in reply.headers) == (201, False)

    def test_size(self, client: Client) -> None:
        client.blob("man/large", b"{}")
        data = json.dumps(image(b"{}", annotations={"a": "x" * 4_000_000})).encode()
        client.manifest("man/large", "t", data)
        data += b" " * (4 << 20)
        reply = client("PUT", "/v2/man/large/manifests/t", data)
        assert (reply.status, reply.code) == (413, "SIZE_INVALID")

    def test_wrong_digest(self, client: Client) -> None:
        client.blob("man/wrong", b"{}")
        reply = client("PUT", f"/v2/man/wrong/manifests/{ABSENT}", json.dumps(image(b"{}")).encode())
        assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
        assert client("GET", "/v2/man/wrong/manifests/sha256:bad").code == "DIGEST_INVALID"

    def test_delete(self, client: Client) -> None:
        names = {tag: client.image("man/del", tag) for tag in ("a", "b")}
        data = client("GET", "/v2/man/del/manifests/a").body
        client.manifest("man/del", "also", data)
        assert client("DELETE", "/v2/man/del/manifests/also").status == 202
        assert client("GET", f"/v2/man/del/manifests/{names['a']}").body == data
        client.manifest("man/del", "also", data)
        assert client("DELETE", f"/v2/man/del/manifests/{names['a']}").status == 202
        assert client("GET", "/v2/man/del/tags/list").json["tags"] == ["b"]
        for reference in ("a", "also", names["a"]):
            assert client("GET", f"/v2/man/del/manifests/{reference}").code == "MANIFEST_UNKNOWN"
            assert client("DELETE", f"/v2/man/del/manifests/{reference}").status == 404


class TestLists:
    def test_tags_in_pages(self, client: Client) -> None:
        for tag in ("1", "1.0", "10", "B", "a", "latest"):
            client.image("lists/tags", tag)
        found: list[str] = []
        path = "/v2/lists/tags/tags/list?n=4"
        while path:
            reply = client("GET", path)
            found += reply.json["tags"]
            path = reply.headers.get("Link", "").partition(">")[0].removeprefix("<")
        assert found == ["1", "1.0", "10", "B", "a", "latest"]
        assert client("GET", "/v2/lists/tags/tags/list?n=0").json["tags"] == []
        assert client("GET", "/v2/lists/tags/tags/list?last=10").json["tags"] == ["B", "a", "latest"]
        assert client("GET", "/v2/lists/tags/tags/list?last=zzz").json["tags"] == []
        assert client("GET", "/v2/lists/tags/tags/list?n=x").code == "PAGINATION_NUMBER_INVALID"
        assert client("GET", "/v2/lists/nobody/tags/list").code == "NAME_UNKNOWN"

    def test_repositories_in_the_order_of_a_walk(self, client: Client) -> None:
        names = ["cat/a/1", "cat/a", "cat/a/b", "cat/a-b", "cat/b"]
        for name in reversed(names):
            client.image(name, "t")
        every = client("GET", "/v2/_catalog?n=1000").json["repositories"]
        assert [name for name in every if name.startswith("cat/")] == names
        found, last = [], "cat"
        while page := client("GET", f"/v2/_catalog?n=2&last={last}").json["repositories"]:
            found += page
            last = page[-1]
        assert [name for name in found if name.startswith("cat/")] == names
        assert client("GET", "/v2/_catalog?n=100000").code == "PAGINATION_NUMBER_INVALID"


class TestReferrers:
    def test_of_a_subject(self, client: Client) -> None:
        subject = client.image("ref/one", "t")
        target = {"mediaType": mediatypes.OCI_MANIFEST, "digest": subject, "size": 1}
        client.blob("ref/one", b"{}")
        more = {"subject": target, "artifactType": "a/b", "annotations": {"k": "v"}}
        one = client.manifest("ref/one", "", image(b"{}", **more))
        two = client.manifest("ref/one", "", index(subject=target), mediatypes.OCI_INDEX)
        three = client.image("ref/one", "three", subject=target)
        reply = client("GET", f"/v2/ref/one/referrers/{subject}")
        assert reply.headers["Content-Type"] == mediatypes.OCI_INDEX
        rows = {row["digest"]: row for row in reply.json["manifests"]}
        assert set(rows) == {one, two, three}
        assert (rows[one]["artifactType"], rows[one]["annotations"]) == ("a/b", {"k": "v"})
        assert "artifactType" not in rows[two]
        assert rows[three]["artifactType"] == mediatypes.OCI_CONFIG
        reply = client("GET", f"/v2/ref/one/referrers/{subject}?artifactType=a/b")
        assert [row["digest"] for row in reply.json["manifests"]] == [one]
        assert reply.headers["OCI-Filters-Applied"] == "artifactType"
        assert client("DELETE", f"/v2/ref/one/manifests/{one}").status == 202
        assert one not in client("GET", f"/v2/ref/one/referrers/{subject}").body.decode()

    def test_of_what_is_not_there(self, client: Client) -> None:
        for name in ("ref/one", "ref/nobody"):
            reply = client("GET", f"/v2/{name}/referrers/{ABSENT}")
            assert (reply.status, reply.json["manifests"]) == (200, [])
        assert client("GET", "/v2/ref/one/referrers/sha256:x").code == "DIGEST_INVALID"

    def test_the_subject_is_named(self, client: Client) -> None:
        client.blob("ref/two", b"{}")
        target = {"mediaType": mediatypes.OCI_MANIFEST, "digest": ABSENT, "size": 1}
        data = json.dumps(image(b"{}", subject=target)).encode()
        reply = client("PUT", "/v2/ref/two/manifests/t", data)
        assert (reply.status, reply.headers["OCI-Subject"]) == (201, ABSENT)

    def test_fallback_tags_are_merged(self, client: Client) -> None:
        """A client of a server without the endpoint keeps a list under a tag; what it names wrongly is left out."""
        subject = client.image("ref/old", "t")
        target = {"mediaType": mediatypes.OCI_MANIFEST, "digest": subject, "size": 1}
        client.blob("ref/old", b"{}")
        right, wrong = (json.dumps(image(b"{}", **more)).encode() for more in ({"subject": target}, {"other": 1}))
        for data in (right, wrong):
            client.manifest("ref/old", "", data)
        client.manifest("ref/old", subject.replace(":", "-"), index(right, wrong), mediatypes.OCI_INDEX)
        rows = client("GET", f"/v2/ref/old/referrers/{subject}").json["manifests"]
        assert [row["digest"] for row in rows] == [digest.of(right)]
