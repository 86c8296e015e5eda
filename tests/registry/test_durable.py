"""Before a 201 is sent, the bytes, their names and every folder on the way are on disk; read off the system calls."""

import json
import pathlib
from collections.abc import Callable

import pytest
from tests import peers
from tests.peers import Tool
from tests.registry.client import Client, image, index
from tests.registry.serving import serving
from tests.registry.synced import traced

from lamina.oci import digest, mediatypes
from lamina.oci.digest import Digest
from lamina.registry import paths

DATA = bytes(range(256)) * 2000
BLOB = digest.of(DATA)
MANIFEST = json.dumps(image(b"{}")).encode()
OTHER = json.dumps(image(b"{}", b"x")).encode()
SUBJECT = {"mediaType": mediatypes.OCI_MANIFEST, "digest": digest.of(MANIFEST), "size": len(MANIFEST)}
REFERRER = json.dumps(index(subject=SUBJECT)).encode()
UNTYPED = json.dumps({"schemaVersion": 2, "manifests": []}).encode()


def data(*names: Digest) -> list[str]:
    return [f"{paths.blob(name)}/data" for name in names]


def documents(*names: str) -> list[str]:
    return [f"{paths.REPOSITORIES}/{name}" for name in names]


def tagged(tag: str, name: Digest) -> list[str]:
    return documents(paths.revision("a/b", name), paths.past("a/b", tag, name), paths.current("a/b", tag))


def whole(client: Client) -> list[str]:
    client.blob("a/b", DATA)
    return [*data(BLOB), *documents(paths.layer("a/b", BLOB))]


def in_pieces(client: Client) -> list[str]:
    at = client("PATCH", client.upload("a/b"), DATA[:100_000]).headers["Location"]
    assert client("PUT", f"{at}&digest={BLOB}", DATA[100_000:]).status == 201
    return [*data(BLOB), *documents(paths.layer("a/b", BLOB))]


def known_already(client: Client) -> list[str]:
    client.blob("c", DATA)
    return [*whole(client), *documents(paths.layer("c", BLOB))]


def a_second_one(client: Client) -> list[str]:
    name = client.blob("a/b", b"second")
    return [*whole(client), *data(name), *documents(paths.layer("a/b", name))]


def mounted(client: Client) -> list[str]:
    client.blob("c", DATA)
    assert client("POST", f"/v2/a/b/blobs/uploads/?mount={BLOB}&from=c").status == 201
    return [*data(BLOB), *documents(paths.layer("a/b", BLOB))]


def a_tag(client: Client) -> list[str]:
    client.blob("a/b", b"{}")
    name = client.manifest("a/b", "t", MANIFEST)
    return [*data(name), *tagged("t", name)]


def a_tag_that_moves(client: Client) -> list[str]:
    client.blob("a/b", b"x")
    first = a_tag(client)
    name = client.manifest("a/b", "t", OTHER)
    return [*first, *data(name), *tagged("t", name)]


def a_tag_that_comes_again(client: Client) -> list[str]:
    a_tag(client)
    assert client("DELETE", "/v2/a/b/manifests/t").status == 202
    return a_tag(client)


def tags_along(client: Client) -> list[str]:
    client.blob("a/b", b"{}")
    name = digest.of(MANIFEST)
    path = f"/v2/a/b/manifests/{name}?tag=one&tag=two"
    assert client("PUT", path, MANIFEST, Content_Type=mediatypes.OCI_MANIFEST).status == 201
    return [*data(name), *tagged("one", name), *tagged("two", name)]


def a_referrer(client: Client) -> list[str]:
    name = client.manifest("a/b", "", REFERRER, mediatypes.OCI_INDEX)
    noted = (paths.revision("a/b", name), paths.referrer("a/b", digest.of(MANIFEST), name))
    return [*data(name), *documents(*noted)]


def a_type_that_is_not_said(client: Client) -> list[str]:
    name = client.manifest("a/b", "t", UNTYPED, mediatypes.DOCKER_LIST)
    return [*data(name), *tagged("t", name), *documents(paths.media_type("a/b", name))]


@pytest.mark.root
@pytest.mark.parametrize(
    "push",
    [
        whole,
        in_pieces,
        known_already,
        a_second_one,
        mounted,
        a_tag,
        a_tag_that_moves,
        a_tag_that_comes_again,
        tags_along,
        a_referrer,
        a_type_that_is_not_said,
    ],
)
def test_what_is_acknowledged_is_on_disk(push: Callable[[Client], list[str]], tmp_path: pathlib.Path) -> None:
    peers.need(Tool("strace").missing())
    with serving(tmp_path, "--workers", "1", delete=True) as registry:
        client = Client(registry.address)
        with traced(registry.pid, str(registry.storage), tmp_path / "calls") as disk:
            promised = push(client)
        client.close()
    assert promised
    assert [lack for path in promised for lack in disk.promises[-1].lacks(f"{registry.storage}/{path}")] == []
