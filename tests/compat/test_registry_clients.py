"""What docker, podman and skopeo do with our registry besides pushing and pulling, and what it refuses them."""

import gzip
import json
import os
import pathlib
import shutil

import pytest
from bench.images import Image
from tests import peers, tars
from tests.compat.clients import ByDocker, ByPodman, BySkopeo, blob, known, stored, tagged
from tests.compat.doors import WAYS, Door, Pair, ours
from tests.peers import Failed, Result, Tool
from tests.registry.client import image
from tests.registry.distribution import PASSWORD, USER
from tests.registry.serving import serving

from lamina.oci import digest

RIGHTS = {USER: {"team/*": ["pull", "push"]}, "": {"open/*": ["pull"]}, "*": {"open/*": ["pull"]}}


@pytest.mark.skopeo
@pytest.mark.parametrize("door", [("lamina", way) for way in WAYS], indirect=True, ids=WAYS)
def test_skopeo_inspects_copies_lists_and_deletes(
    door: Door, by_skopeo: BySkopeo, tiny: Image, tmp_path: pathlib.Path
) -> None:
    skopeo, at, layout = by_skopeo.skopeo, f"docker://{door.host}/sko", f"oci:{tmp_path}/layout:1"
    how, source, target = ([] if door.secure else [f"--{side}tls-verify=false"] for side in ("", "src-", "dest-"))
    with known(by_skopeo, door):
        skopeo("copy", *target, "--format", "oci", f"docker-archive:{tiny.path}", f"{at}/one:1")
        name = tagged(door, "sko/one", "1")
        found = skopeo.json("inspect", *how, f"{at}/one:1")
        assert (found["Digest"], found["Architecture"], found["RepoTags"]) == (name, "amd64", ["1"])
        assert skopeo("inspect", "--raw", *how, f"{at}/one:1").stdout.encode() == blob(door, name)
        skopeo("copy", *source, f"{at}/one:1", layout)
        skopeo("copy", *target, layout, f"{at}/one:2")
        skopeo("copy", *target, layout, f"{at}/two:1")
        skopeo("copy", *source, *target, f"{at}/two:1", f"{at}/three:1")
        assert stored(door, "sko/two", "1") == stored(door, "sko/three", "1") == stored(door, "sko/one", "1")
        assert skopeo.json("list-tags", *how, f"{at}/one")["Tags"] == ["1", "2"]
        skopeo("delete", *how, f"{at}/one:1")
        assert skopeo.json("list-tags", *how, f"{at}/one")["Tags"] == []
        assert "manifest unknown" in skopeo("inspect", *how, f"{at}/one:2", check=False).stderr
        assert skopeo.json("inspect", *how, f"{at}/two:1")["Digest"] == name


@pytest.mark.skopeo
def test_a_host_s_own_authority(by_skopeo: BySkopeo, pair: Pair, tmp_path: pathlib.Path) -> None:
    """The blob is larger than what is sent at once."""
    source, back, trusted = (tmp_path / name for name in ("source", "back", "trusted"))
    large = gzip.compress(tars.tar(tars.file("large", os.urandom(3_000_000))), mtime=0)
    rootfs = {"type": "layers", "diff_ids": [digest.of(gzip.decompress(large))]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    source.mkdir()
    for data in (config, large):
        (source / digest.encoded(digest.of(data))).write_bytes(data)
    (source / "manifest.json").write_text(json.dumps(image(config, large)))
    (source / "version").write_text("Directory Transport Version: 1.1\n")
    trusted.mkdir()
    shutil.copy(pair[0], trusted / "ca.crt")
    with ours(tmp_path, "tls", pair) as door:
        at, unknown = f"docker://{door.host}/safe:1", {"SSL_CERT_FILE": "/dev/null"}
        refused = by_skopeo.skopeo("copy", f"dir:{source}", at, env=unknown, check=False)
        assert "certificate signed by unknown authority" in refused.stderr
        by_skopeo.skopeo("copy", "--dest-cert-dir", str(trusted), f"dir:{source}", at, env=unknown)
        by_skopeo.skopeo("copy", "--src-cert-dir", str(trusted), at, f"dir:{back}", env=unknown)
    sent, came = ({path.name: path.read_bytes() for path in place.iterdir()} for place in (source, back))
    assert sent == came


@pytest.mark.skopeo
def test_tokens_are_good_for_what_they_say(by_skopeo: BySkopeo, tiny: Image, tmp_path: pathlib.Path) -> None:
    with serving(tmp_path, htpasswd={USER: PASSWORD}, rights=RIGHTS) as registry:
        at, user = f"docker://{registry.address}", ("--dest-creds", f"{USER}:{PASSWORD}")

        def copy(*words: str) -> Result:
            return by_skopeo.skopeo(
                "copy", "--dest-tls-verify=false", f"docker-archive:{tiny.path}", *words, check=False
            )

        def inspect(*words: str) -> Result:
            return by_skopeo.skopeo("inspect", "--tls-verify=false", *words, check=False)

        assert not copy(*user, f"{at}/team/one:1").returncode
        assert not inspect("--creds", f"{USER}:{PASSWORD}", f"{at}/team/one:1").returncode
        denied = "requested access to the resource is denied"
        assert denied in copy(f"{at}/team/one:2").stderr
        assert denied in copy(*user, f"{at}/open/one:1").stderr
        assert denied in inspect(f"{at}/team/one:1").stderr
        assert "manifest unknown" in inspect(f"{at}/open/one:1").stderr


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.parametrize("door", [("lamina", "plain"), ("lamina", "tokens")], indirect=True, ids=["plain", "tokens"])
def test_dockerd_mounts_layers_and_finds_them(door: Door, by_docker: ByDocker, tiny: Image) -> None:
    docker, one, two = by_docker.docker, f"{door.host}/dock/one:1", f"{door.host}/dock/two:1"
    with known(by_docker, door):
        docker("load", "-q", "-i", tiny.path)
        docker("tag", tiny.reference, one)
        docker("tag", tiny.reference, two)
        assert "Pushed" in docker("push", one).stdout
        assert "Mounted from dock/one" in docker("push", two).stdout
        assert "Layer already exists" in docker("push", two).stdout
        docker("rmi", tiny.reference, one, two)
        assert stored(door, "dock/one", "1") == stored(door, "dock/two", "1") == by_docker.pull(two, door)


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.parametrize("door", [("lamina", way) for way in WAYS], indirect=True, ids=WAYS)
def test_containerd_pushes_and_pulls(door: Door, by_docker: ByDocker, pair: Pair, tiny: Image) -> None:
    ctr = Tool("ctr", "--address", by_docker.docker.containerd, "--namespace", "tests")
    peers.need(ctr.missing())
    name, own = f"{door.host}/team/containerd:1", f"docker.io/library/{tiny.reference}"
    how = ["--tlscacert", pair[0]] if door.secure else ["--plain-http"]
    user = ["--user", f"{USER}:{PASSWORD}"] if door.locked else []
    ctr("image", "import", "--no-unpack", tiny.path)
    ctr("image", "tag", own, name)
    try:
        if door.locked:
            for wrong in ([], ["--user", f"{USER}:wrong"]):
                with pytest.raises(Failed, match=r"401 Unauthorized|authorization failed"):
                    ctr("image", "push", *how, *wrong, name)
        ctr("image", "push", *how, *user, name)
    finally:
        ctr("image", "rm", "--sync", own, name)
    assert not ctr("content", "ls", "-q").stdout
    found = stored(door, "team/containerd", "1")
    assert (found.config, found.layers) == (tiny.id, tuple(layer.diff_id for layer in tiny.layers))
    ctr("content", "fetch", *how, *user, name)
    came = set(ctr("content", "ls", "-q").stdout.split())
    ctr("image", "rm", "--sync", name)
    layers = json.loads(blob(door, found.manifest))["layers"]
    assert came == {found.manifest, found.config, *(layer["digest"] for layer in layers)}


@pytest.mark.docker
@pytest.mark.podman
@pytest.mark.skopeo
@pytest.mark.root
class TestRefusals:
    """What is switched off is told as such; what is not, is done."""

    def test_read_only(
        self, by_docker: ByDocker, by_podman: ByPodman, by_skopeo: BySkopeo, tiny: Image, tmp_path: pathlib.Path
    ) -> None:
        with ours(tmp_path, "plain", ("", "")) as door:
            by_skopeo.push(tiny, f"{door.host}/app:1", door)
            found = stored(door, "app", "1")
        with serving(tmp_path, "--read-only", storage=str(door.storage), delete=True) as registry:
            door = door._replace(host=registry.address)
            name, other = f"{door.host}/app:1", f"{door.host}/app:2"
            for client in (by_docker, by_skopeo):  # podman says the same, after it has tried for three seconds
                with pytest.raises(Failed, match="unsupported: the registry is read-only at present"):
                    client.push(tiny, other, door)
            assert [client.pull(name, door) for client in (by_docker, by_podman, by_skopeo)] == [found] * 3
            refused = by_skopeo.skopeo("delete", "--tls-verify=false", f"docker://{name}", check=False)
            assert refused.returncode
            assert "the registry is read-only at present" in refused.stderr
        assert stored(door, "app", "1") == found

    def test_no_deletion(self, by_skopeo: BySkopeo, tiny: Image, tmp_path: pathlib.Path) -> None:
        with serving(tmp_path) as registry:
            door = Door(registry.address, secure=False, locked=False, storage=registry.storage)
            name = f"{door.host}/app:1"
            by_skopeo.push(tiny, name, door)
            refused = by_skopeo.skopeo("delete", "--tls-verify=false", f"docker://{name}", check=False)
            assert refused.returncode
            assert "deletion is switched off" in refused.stderr
            assert by_skopeo.pull(name, door) == stored(door, "app", "1")
