"""An index of two platforms, made by docker, podman or lamina: all pull each of its images, and all of it is copied."""

import json
import pathlib

import pytest
from tests import samples, tars
from tests.compat.clients import ByLamina, BySkopeo, Client, Maker, blob, stored, tagged
from tests.compat.doors import Door
from tests.samples import Sample

pytestmark = [pytest.mark.docker, pytest.mark.podman, pytest.mark.skopeo, pytest.mark.root]

ARCHITECTURES = ("amd64", "arm64")
MAKERS = {
    "docker": ("by_docker", ("lamina", "plain"), "v2s2"),
    "podman": ("by_podman", ("lamina", "plain"), "oci"),
    "lamina": ("by_lamina", ("lamina", "plain"), "oci"),
    "lamina-docker-registry": ("by_lamina", ("docker-registry", "plain"), "oci"),
}
"""Who makes an index in which registry, and the format of its images: of Docker's, it is Docker's manifest list."""


@pytest.fixture
def images(by_skopeo: BySkopeo, door: Door, form: str, tmp_path: pathlib.Path) -> dict[str, str]:
    """Names of images in a registry, by their architectures."""
    names = {}
    for architecture in ARCHITECTURES:
        layer = tars.tar(tars.file("made-for", architecture.encode()))
        archive = tmp_path / architecture
        archive.write_bytes(samples.docker_archive(Sample([layer], ["app:1"], {"architecture": architecture})))
        names[architecture] = f"{door.host}/many:{architecture}"
        how = ("--format", form, "--dest-tls-verify=false")
        by_skopeo.skopeo("copy", *how, f"docker-archive:{archive}", f"docker://{names[architecture]}")
    return names


@pytest.mark.parametrize(("client", "door", "form"), MAKERS.values(), indirect=["client", "door"], ids=list(MAKERS))
def test_an_index_is_read_by_all(
    client: Maker,
    door: Door,
    images: dict[str, str],
    clients: dict[str, Client],
    by_skopeo: BySkopeo,
    by_lamina: ByLamina,
) -> None:
    name = f"{door.host}/many:all"
    told = client.index(name, images)
    assert tagged(door, "many", "all") == told
    rows = json.loads(blob(door, told))["manifests"]
    found = {row["platform"]["architecture"]: row["digest"] for row in rows}
    assert found == {architecture: tagged(door, "many", architecture) for architecture in ARCHITECTURES}
    for architecture in ARCHITECTURES:
        _, *expected = stored(door, "many", architecture)
        for who, reader in clients.items():
            _, *pulled = reader.pull(name, door, platform=f"linux/{architecture}")
            assert (who, pulled) == (who, expected)
    how = ("--src-tls-verify=false", "--dest-tls-verify=false")
    by_skopeo.skopeo("copy", "--all", *how, f"docker://{name}", f"docker://{door.host}/copied:skopeo")
    by_lamina.lamina("copy", "--all", f"docker://{name}", f"docker://{door.host}/copied:lamina")
    assert {tagged(door, "copied", who) for who in ("skopeo", "lamina")} == {told}
