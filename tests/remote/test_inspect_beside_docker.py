"""`manifest inspect -v` says what docker says, letter by letter."""

import io
import json
import pathlib

import pytest
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Tool
from tests.registry.distribution import Running
from tests.remote.conftest import repository

from lamina.oci import codec, digest, mediatypes
from lamina.oci.manifest import Descriptor, Index, Manifest
from lamina.oci.platform import Platform
from lamina.remote.client import Client
from lamina.remote.registry import Registry

CONFIG = (
    b'{"architecture":"arm","os":"linux","variant":"v7","os.version":"5","os.features":["x"],"rootfs":{"diff_ids":[]}}'
)


@pytest.fixture
def host(registry: Running, client: Client) -> str:
    """A registry with an image of each kind, and an index over both."""
    place = repository(client, registry.host)
    docker = _image(place, mediatypes.DOCKER_MANIFEST, mediatypes.DOCKER_CONFIG, mediatypes.DOCKER_LAYER_GZIP, "docker")
    oci = _image(place, mediatypes.OCI_MANIFEST, mediatypes.OCI_CONFIG, mediatypes.OCI_LAYER_GZIP, "oci")
    listed = (
        Descriptor(
            docker.media_type, docker.digest, docker.size, platform=Platform("arm64", "linux", "v8", "1", ("y",))
        ),
        Descriptor(oci.media_type, oci.digest, oci.size, platform=Platform("amd64", "linux")),
    )
    raw = codec.encode(Index(2, listed, mediatypes.OCI_INDEX))
    place.publish(Descriptor(mediatypes.OCI_INDEX, digest.of(raw), len(raw)), raw, "index")
    return registry.host


def _image(place: Registry, kind: str, config_kind: str, layer_kind: str, tag: str) -> Descriptor:
    parts = [Descriptor(kind, digest.of(data), len(data)) for kind, data in ((config_kind, CONFIG), (layer_kind, b"x"))]
    for part, data in zip(parts, (CONFIG, b"x"), strict=True):
        place.push(part, io.BytesIO(data))
    raw = codec.encode(Manifest(2, parts[0], (parts[1],), kind, annotations={"a": "<b> & 'c'"}))
    found = Descriptor(kind, digest.of(raw), len(raw))
    place.publish(found, raw, tag)
    return found


def test_verbose(host: str, tmp_path: pathlib.Path) -> None:
    """Clients before 24 know less: no raw manifest, and no OCI. What they tell is the same."""
    peers.need(Tool("docker").missing())
    lamina = Lamina(str(tmp_path / "store"))
    docker = Tool("docker", env={"DOCKER_CONFIG": str(tmp_path), "PATH": peers.PATH})
    is_old = int(docker("--version").stdout.split()[2].partition(".")[0]) < 24
    for tag in ("docker",) if is_old else ("docker", "oci", "index"):
        theirs = docker("manifest", "inspect", "--insecure", "-v", f"{host}/a/b:{tag}").stdout
        ours = lamina("manifest", "inspect", "-v", f"{host}/a/b:{tag}").stdout
        if is_old:
            assert json.loads(theirs).items() <= json.loads(ours).items()
        else:
            assert ours == theirs
