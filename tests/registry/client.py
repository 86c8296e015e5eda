"""A small client: requests to a registry, and images of a few bytes to push."""

import gzip
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import urllib3

from lamina.oci import digest, mediatypes
from lamina.oci.digest import Digest


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error."""
        return str(self.json["errors"][0]["code"])


class Client:
    """Requests to one registry."""

    def __init__(self, address: str, **headers: str) -> None:
        self.address = address
        self._base = f"http://{address}"
        self._headers = headers
        self._pool = urllib3.PoolManager(retries=False)

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send a request; `_` in the names of headers stands for `-`."""
        url = path if path.startswith("http") else self._base + path
        every = {name.replace("_", "-"): value for name, value in {**self._headers, **headers}.items()}
        found = self._pool.request(method, url, body=body, headers=every, redirect=False)
        return Reply(found.status, found.headers, found.data)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def blob(self, repository: str, data: bytes) -> Digest:
        """Push a blob in one request."""
        name = digest.of(data)
        reply = self("POST", f"/v2/{repository}/blobs/uploads/?digest={name}", data)
        assert reply.status == 201, reply
        return name

    def manifest(self, repository: str, reference: str, value: object, kind: str = mediatypes.OCI_MANIFEST) -> Digest:
        """Push a manifest under a tag, or under its digest if there is none."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        reply = self("PUT", f"/v2/{repository}/manifests/{reference or digest.of(data)}", data, Content_Type=kind)
        assert reply.status == 201, reply
        return Digest(reply.headers["Docker-Content-Digest"])

    def image(self, repository: str, tag: str, layer: bytes = b"layer", **more: object) -> Digest:
        """Push an image of one layer."""
        data = gzip.compress(layer, mtime=0)
        config = json.dumps({"architecture": "amd64", "os": "linux", "of": tag}).encode()
        self.blob(repository, data)
        self.blob(repository, config)
        return self.manifest(repository, tag, image(config, data, **more))

    def upload(self, repository: str) -> str:
        """Begin an upload; return where it goes on."""
        reply = self("POST", f"/v2/{repository}/blobs/uploads/")
        assert reply.status == 202, reply
        return reply.headers["Location"]


def descriptor(data: bytes, kind: str) -> dict[str, object]:
    """Return the descriptor of some bytes."""
    return {"mediaType": kind, "digest": digest.of(data), "size": len(data)}


def image(config: bytes, *layers: bytes, **more: object) -> dict[str, object]:
    """Return a manifest."""
    return {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": descriptor(config, mediatypes.OCI_CONFIG),
        "layers": [descriptor(layer, mediatypes.OCI_LAYER_GZIP) for layer in layers],
        **more,
    }


def index(*manifests: bytes, **more: object) -> dict[str, object]:
    """Return an index of manifests."""
    children = [descriptor(manifest, mediatypes.OCI_MANIFEST) for manifest in manifests]
    return {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": children, **more}
