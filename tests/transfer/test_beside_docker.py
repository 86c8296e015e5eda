"""Beside Debian's dockerd: the same files after the same pull, and each goes on with what the other has noted."""

import os
import pathlib
from collections.abc import Callable

import pytest
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Docker, Podman
from tests.registry.distribution import PASSWORD, USER, Distribution, Running

pytestmark = [pytest.mark.root, pytest.mark.docker]

Stores = Callable[[str], Lamina]


@pytest.fixture
def name(first: Lamina, registry: Running) -> str:
    """An image that lamina has pushed."""
    peers.need(Docker.missing())
    name = f"{registry.host}/x/site:2"
    first("system", "migrate", "--quiet", "--to", "overlay2")
    first("tag", "site:2", name)
    first("push", name)
    return name


def test_a_pull_writes_what_dockerd_writes(store: Stores, name: str, tmp_path: pathlib.Path) -> None:
    second = store("second")
    second("--storage-driver", "overlay2", "pull", name)
    with Docker(str(tmp_path / "docker")) as docker:
        said = docker("pull", name).stdout
    theirs, ours = (_files(f"{root}/image/overlay2/distribution") for root in (docker.root, second.root))
    assert ours == theirs
    assert len(theirs) == 4 + 2 * 3
    theirs, ours = (_files(f"{root}/image/overlay2/repositories.json") for root in (docker.root, second.root))
    assert ours == theirs
    assert sorted(_told(said)) == sorted(_told(store("third")("pull", name).stdout))


def test_dockerd_goes_on_with_what_lamina_has_pushed(first: Lamina, name: str) -> None:
    digest = first.json("inspect", name)[0]["RepoDigests"]
    other = name.replace("/x/", "/y/")
    with Docker(first.root) as docker:
        again = docker("push", name).stdout
        assert again.count("Layer already exists") == 3
        docker("tag", name, other)
        assert docker("push", other).stdout.count("Mounted from x/site") == 3
        assert docker.json("inspect", name)[0]["RepoDigests"] == [*digest, digest[0].replace("/x/", "/y/")]
    assert first("push", other).stdout.count("Layer already exists") == 3


def test_a_push_is_sealed_as_dockerd_seals_it(first: Lamina, tmp_path: pathlib.Path) -> None:
    """dockerd notes a layer anew where the seal is not of the credentials that it has itself."""
    peers.need(Docker.missing(), Distribution.missing())
    with Distribution(str(tmp_path / "registry"), locked=True) as registry:
        name = f"{registry.host}/x/site:2"
        first("system", "migrate", "--quiet", "--to", "overlay2")
        first("tag", "site:2", name)
        first("login", "-u", USER, "--password-stdin", registry.host, input=PASSWORD)
        first("push", name)
        noted = f"{first.root}/image/overlay2/distribution/v2metadata-by-diffid"
        ours = _files(noted)
        with Docker(first.root) as docker:
            how = {"DOCKER_CONFIG": first.env["DOCKER_CONFIG"]}
            assert docker("push", name, env=how).stdout.count("Layer already exists") == 3
        assert _files(noted) == ours


def test_what_dockerd_has_pushed_comes_back(
    store: Stores, registry: Running, first: Lamina, tmp_path: pathlib.Path
) -> None:
    peers.need(Docker.missing())
    name = f"{registry.host}/x/site:2"
    with open(tmp_path / "site.tar", "wb") as file:
        first("save", "site:2", output=file)
    with Docker(str(tmp_path / "docker")) as docker:
        docker("load", "-i", str(tmp_path / "site.tar"))
        docker("tag", "site:2", name)
        docker("push", name)
        theirs = docker.json("inspect", name)[0]
    second = store("second")
    second("pull", name)
    ours = second.json("inspect", name)[0]
    assert [ours[key] for key in ("Id", "RepoDigests", "RootFS")] == [
        theirs[key] for key in ("Id", "RepoDigests", "RootFS")
    ]
    assert f"{ours['RepoDigests'][0].partition('@')[2]} size" in second("push", name).stdout


@pytest.mark.podman
def test_podman_pulls_what_lamina_has_pushed(name: str, first: Lamina, tmp_path: pathlib.Path) -> None:
    peers.need(Podman.missing())
    for compression in ("gzip", "zstd"):
        first("push", "--compression", compression, name)
        with Podman(str(tmp_path / compression)) as podman:
            podman("pull", "-q", "--tls-verify=false", name)
            assert f"sha256:{podman.json('inspect', name)[0]['Id']}" == first.json("inspect", name)[0]["Id"]


def _files(path: str) -> dict[str, tuple[int, str]]:
    """Return mode and content of a file, or of all below a folder."""
    if os.path.isfile(path):
        return {"": (os.stat(path).st_mode, pathlib.Path(path).read_text())}
    found: dict[str, tuple[int, str]] = {}
    for folder, _, names in os.walk(path):
        if folder != path:
            found[os.path.relpath(folder, path)] = (os.stat(folder).st_mode, "")
        for file in names:
            where = os.path.join(folder, file)
            found[os.path.relpath(where, path)] = (os.stat(where).st_mode, pathlib.Path(where).read_text())
    return found


def _told(text: str) -> list[str]:
    """Return what docker's output has in common with ours: of a layer, what it ends with."""
    passing = ("Pulling fs layer", "Verifying Checksum", "Download complete", "Waiting")
    return [line for line in text.splitlines() if not line.endswith(passing)]
