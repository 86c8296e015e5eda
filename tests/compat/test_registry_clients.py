"""Our registry for the clients of others: skopeo, podman, dockerd; plain, with passwords, tokens and TLS."""

import gzip
import io
import json
import os
import pathlib
import tarfile
from collections.abc import Iterator

import pytest
from tests import peers, traces
from tests.registry import certificates
from tests.registry.client import Client, image
from tests.registry.serving import Serving, serving

from lamina.oci import digest, mediatypes
from lamina.oci.digest import Digest

USER = {"ann": "secret"}
RIGHTS = {"ann": {"team/*": ["pull", "push", "delete"]}, "": {"open/*": ["pull"]}, "*": {"open/*": ["pull"]}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("plain"), delete=True) as found:
        yield found


def layer(**files: bytes) -> bytes:
    """Return a tar of files, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def push(client: Client, repository: str, tag: str, kind: str = mediatypes.OCI_MANIFEST) -> Digest:
    """Push an image of two layers that can be unpacked."""
    layers = [layer(base=bytes(200_000)), layer(top=tag.encode())]
    diff_ids = [digest.of(gzip.decompress(each)) for each in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    for data in (config, *layers):
        client.blob(repository, data)
    value = image(config, *layers, mediaType=kind)
    if kind == mediatypes.DOCKER_MANIFEST:
        value["config"] = {**value["config"], "mediaType": mediatypes.DOCKER_CONFIG}  # type: ignore[dict-item]
        rows = value["layers"]
        assert isinstance(rows, list)
        value["layers"] = [{**row, "mediaType": mediatypes.DOCKER_LAYER_GZIP} for row in rows]
    return client.manifest(repository, tag, value, kind)


@pytest.mark.skopeo
class TestSkopeo:
    @pytest.fixture(autouse=True)
    def need(self) -> None:
        peers.need(peers.skopeo.missing())

    def test_inspect_copy_list_delete(self, plain: Serving, tmp_path: pathlib.Path) -> None:
        client = Client(plain.address)
        name = push(client, "sko/one", "1")
        at = f"docker://{plain.address}/sko/one"
        assert peers.skopeo.json("inspect", "--tls-verify=false", f"{at}:1")["Digest"] == name
        peers.skopeo("copy", "--src-tls-verify=false", f"{at}:1", f"oci:{tmp_path}/layout:1")
        peers.skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:1", f"{at}:2")
        peers.skopeo("copy", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:1", f"docker://{plain.address}/new:2")
        assert peers.skopeo.json("inspect", "--tls-verify=false", f"docker://{plain.address}/new:2")["Digest"] == name
        assert peers.skopeo.json("list-tags", "--tls-verify=false", at)["Tags"] == ["1", "2"]
        peers.skopeo("delete", "--tls-verify=false", f"{at}:1")
        assert client("GET", "/v2/sko/one/tags/list").json["tags"] == []
        client.close()

    def test_passwords(self, tmp_path: pathlib.Path) -> None:
        with serving(tmp_path, htpasswd=USER) as registry:
            at = f"docker://{registry.address}/any/one:1"
            _fill(tmp_path / "source")
            copy = ("copy", "--dest-tls-verify=false", f"dir:{tmp_path}/source", at)
            for credentials in ((), ("--dest-creds", "ann:wrong"), ("--dest-creds", "bob:secret")):
                failed = peers.skopeo(*copy, *credentials, check=False)
                assert failed.returncode
                assert "authentication" in failed.stderr or "unauthorized" in failed.stderr
            peers.skopeo(*copy, "--dest-creds", "ann:secret")
            peers.skopeo("inspect", "--tls-verify=false", "--creds", "ann:secret", at)

    def test_tokens(self, tmp_path: pathlib.Path) -> None:
        with serving(tmp_path, htpasswd=USER, rights=RIGHTS) as registry:
            _fill(tmp_path / "source")
            copy = ("copy", "--dest-tls-verify=false", f"dir:{tmp_path}/source")
            at = f"docker://{registry.address}"
            peers.skopeo(*copy, "--dest-creds", "ann:secret", f"{at}/team/one:1")
            for more in ((f"{at}/team/one:2",), ("--dest-creds", "ann:secret", f"{at}/open/one:1")):
                assert peers.skopeo(*copy, *more, check=False).returncode
            peers.skopeo("inspect", "--tls-verify=false", "--creds", "ann:secret", f"{at}/team/one:1")
            denied = peers.skopeo("inspect", "--tls-verify=false", f"{at}/team/one:1", check=False)
            assert denied.returncode

    def test_tls(self, tmp_path: pathlib.Path) -> None:
        pair = certificates.make(tmp_path / "certificates")
        (tmp_path / "trusted").mkdir()
        (tmp_path / "trusted" / "ca.crt").write_bytes(pathlib.Path(pair[0]).read_bytes())
        with serving(tmp_path, tls=pair) as registry:
            _fill(tmp_path / "source")
            trust = f"{tmp_path}/trusted"
            at = f"docker://{registry.address}/safe:1"
            peers.skopeo("copy", "--dest-cert-dir", trust, f"dir:{tmp_path}/source", at)
            peers.skopeo("copy", "--src-cert-dir", trust, at, f"dir:{tmp_path}/back")
            assert peers.skopeo("inspect", at, check=False).returncode
        sent, back = (
            {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("source", "back")
        )
        assert sent == back


def _fill(folder: pathlib.Path) -> None:
    """Make an image as skopeo's `dir:` keeps one; one blob is larger than what is sent at once."""
    folder.mkdir()
    large = layer(large=os.urandom(3_000_000))
    rootfs = {"type": "layers", "diff_ids": [digest.of(gzip.decompress(large))]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    for data in (config, large):
        (folder / digest.encoded(digest.of(data))).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(image(config, large)))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")


@pytest.mark.podman
@pytest.mark.root
def test_podman_pulls_and_pushes(plain: Serving, tmp_path: pathlib.Path) -> None:
    peers.need(peers.Podman.missing())
    client = Client(plain.address)
    name = push(client, "pod/one", "1")
    with traces.tidy(str(tmp_path)), peers.Podman(str(tmp_path), driver="vfs") as podman:
        podman("pull", "--tls-verify=false", f"{plain.address}/pod/one:1")
        assert podman.json("image", "inspect", f"{plain.address}/pod/one:1")[0]["Digest"] == name
        podman("push", "--tls-verify=false", f"{plain.address}/pod/one:1", f"{plain.address}/pod/two:1")
        podman("rmi", "--all", "--force")
        podman("pull", "--tls-verify=false", f"{plain.address}/pod/two:1")
    assert client("GET", "/v2/pod/two/tags/list").json["tags"] == ["1"]
    client.close()


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.overlay
def test_dockerd_pulls_and_pushes(plain: Serving, tmp_path: pathlib.Path) -> None:
    peers.need(peers.Docker.missing())
    client = Client(plain.address)
    name = push(client, "dock/one", "1", mediatypes.DOCKER_MANIFEST)
    at = f"{plain.address}/dock"
    with traces.tidy(str(tmp_path)), peers.Docker(str(tmp_path / "docker"), driver="vfs") as docker:
        assert name in docker("pull", f"{at}/one:1").stdout
        docker("tag", f"{at}/one:1", f"{at}/two:1")
        pushed = docker("push", f"{at}/two:1").stdout
        again = client("HEAD", "/v2/dock/two/manifests/1").headers["Docker-Content-Digest"]
        assert again in pushed
        assert "Mounted from dock/one" in pushed
        assert "Layer already exists" in docker("push", f"{at}/two:1").stdout
        docker("rmi", f"{at}/one:1", f"{at}/two:1")
        assert again in docker("pull", f"{at}/two:1").stdout
    one, two = (client("GET", f"/v2/dock/{name}/manifests/1").json for name in ("one", "two"))
    assert (one["config"], one["layers"]) == (two["config"], two["layers"])
    client.close()
