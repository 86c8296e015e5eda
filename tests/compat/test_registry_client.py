"""Images that lamina copies to docker-registry, for skopeo and dockerd; and what those pushed, for lamina."""

import os
import pathlib
from collections.abc import Iterator

import pytest
from bench.images import Image
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Docker, skopeo
from tests.registry.distribution import PASSWORD, USER, Distribution

pytestmark = [pytest.mark.docker, pytest.mark.skopeo, pytest.mark.root]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    peers.need(Distribution.missing())
    with Distribution(str(tmp_path_factory.mktemp("registry") / "root"), locked=True) as registry:
        yield registry


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory, tiny: Image) -> Iterator[Docker]:
    peers.need(Docker.missing())
    with Docker(os.path.join(tmp_path_factory.mktemp("docker"), "store")) as docker:
        docker("load", "-q", "-i", tiny.path)
        yield docker


@pytest.fixture
def lamina(tmp_path: pathlib.Path, registry: Distribution) -> Lamina:
    """A lamina that is logged in."""
    lamina = Lamina(str(tmp_path / "store"), env={"DOCKER_CONFIG": str(tmp_path / "config")})
    lamina("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
    return lamina


def test_what_lamina_copies_is_read_by_skopeo_and_dockerd(
    lamina: Lamina, registry: Distribution, docker: Docker, tiny: Image, tmp_path: pathlib.Path
) -> None:
    peers.need(skopeo.missing())
    name = f"{registry.host}/from/lamina:1"
    digest = lamina("copy", "-q", f"docker-archive:{tiny.path}", f"docker://{name}").stdout.strip()
    who = ["--tls-verify=false", "--creds", f"{USER}:{PASSWORD}"]
    assert skopeo.json("inspect", *who, f"docker://{name}")["Digest"] == digest
    docker("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
    assert f"Digest: {digest}" in docker("pull", name).stdout
    assert docker.run(name, "echo", "hello").stdout == "hello\n"
    archive = str(tmp_path / "out.tar")
    lamina("copy", "-q", f"docker://{name}", f"docker-archive:{archive}:back:1")
    assert "Loaded image: back:1" in docker("load", "-i", archive).stdout
    assert docker("images", "-q", "back:1").stdout == docker("images", "-q", name).stdout


def test_what_dockerd_pushed_is_read_by_lamina(
    lamina: Lamina, registry: Distribution, docker: Docker, tmp_path: pathlib.Path
) -> None:
    name = f"{registry.host}/from/docker:1"
    docker("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
    docker("tag", "tiny:1", name)
    pushed = docker("push", name).stdout
    digest = lamina("digest", name).stdout.strip()
    assert f"digest: {digest}" in pushed
    assert lamina("tags", f"{registry.host}/from/docker").stdout == "1\n"
    layout = str(tmp_path / "layout")
    for _ in range(2):
        assert lamina("copy", f"docker://{name}", f"oci:{layout}:1").stdout == f"{digest}\n"
    again = f"{registry.host}/from/layout:1"
    lamina("copy", "-q", f"oci:{layout}:1", f"docker://{again}")
    assert f"Digest: {digest}" in docker("pull", again).stdout
    copied = lamina("copy", f"docker://{name}", f"docker://{registry.host}/else/where:1")
    assert copied.stderr.count("Mounted") == len(copied.stderr.splitlines()) == 2


def test_tags_and_deletes(lamina: Lamina, registry: Distribution, tiny: Image) -> None:
    peers.need(skopeo.missing())
    name = f"{registry.host}/deleted/tiny"
    lamina("copy", "-q", f"docker-archive:{tiny.path}", f"docker://{name}:1")
    who = ["--tls-verify=false", "--creds", f"{USER}:{PASSWORD}"]
    assert skopeo.json("list-tags", *who, f"docker://{name}")["Tags"] == ["1"]
    skopeo("delete", *who, f"docker://{name}:1")
    gone = lamina("digest", f"{name}:1", check=False)
    assert (gone.returncode, gone.stderr) == (1, f"Error: manifest for {name}:1 not found\n")
