"""Clients of registries, all used alike: dockerd, podman, skopeo, and lamina.

Each trusts the tests' authority, which SSL_CERT_FILE names in place of the system's.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from bench.images import Image
from tests.cli.place import Lamina
from tests.compat.doors import Door
from tests.peers import Docker, Podman, Result, Tool
from tests.registry.distribution import PASSWORD, USER

from lamina.oci import digest


class Copy(NamedTuple):
    """What a place has of an image: the digests of its manifest, of its config, and of its layers' tars."""

    manifest: str
    config: str
    layers: tuple[str, ...]


class Client(Protocol):
    """What the tests want from a client. Commands that fail raise `tests.peers.Failed`."""

    def login(self, door: Door, password: str) -> Result:
        """Log USER in; a result with an exit status if that fails."""
        ...

    def logout(self, door: Door) -> None:
        """Forget the password."""
        ...

    def push(self, image: Image, name: str, door: Door) -> str:
        """Push the image of an archive under a name there; return the manifest's digest, as the client tells it."""
        ...

    def pull(self, name: str, door: Door, *, platform: str = "") -> Copy:
        """Pull an image, of an index that of a platform, to where nothing of it was; tell what came."""
        ...


class Maker(Client, Protocol):
    """A client that makes indexes."""

    def index(self, name: str, images: Mapping[str, str]) -> str:
        """Push an index, plain, of images that are there, by their architectures; return the digest that it tells."""
        ...


class ByDocker:
    """dockerd, which trusts what it was started with."""

    def __init__(self, docker: Docker) -> None:
        self.docker = docker

    def login(self, door: Door, password: str) -> Result:
        return self.docker("login", "-u", USER, "--password-stdin", door.host, input=password, check=False)

    def logout(self, door: Door) -> None:
        self.docker("logout", door.host)

    def push(self, image: Image, name: str, door: Door) -> str:
        self.docker("load", "-q", "-i", image.path)
        self.docker("tag", image.reference, name)
        try:
            pushed = self.docker("push", name).stdout
        finally:
            self.docker("rmi", image.reference, name)
        return _found(r"digest: (\S+) size:", pushed)

    def pull(self, name: str, door: Door, *, platform: str = "") -> Copy:
        assert not self.docker("images", "-aq").stdout
        told = _found(r"Digest: (\S+)", self.docker("pull", *_platform(platform), name).stdout)
        try:
            row = self.docker.json("image", "inspect", name)[0]
        finally:
            self.docker("rmi", name)
        assert row["RepoDigests"] == [f"{name.rpartition(':')[0]}@{told}"]
        return Copy(told, row["Id"], tuple(row["RootFS"]["Layers"]))

    def index(self, name: str, images: Mapping[str, str]) -> str:
        self.docker("manifest", "create", "--insecure", name, *images.values())
        for architecture, image in images.items():
            self.docker("manifest", "annotate", "--os", "linux", "--arch", architecture, name, image)
        return self.docker("manifest", "push", "--insecure", "--purge", name).stdout.strip()


class ByPodman:
    """Podman over a store of its own."""

    def __init__(self, podman: Podman, authority: str) -> None:
        self.podman = podman
        self._env = {"SSL_CERT_FILE": authority}

    def login(self, door: Door, password: str) -> Result:
        words = ("login", "-u", USER, "--password-stdin", *_verify(door), door.host)
        return self.podman(*words, input=password, env=self._env, check=False)

    def logout(self, door: Door) -> None:
        self.podman("logout", door.host)

    def push(self, image: Image, name: str, door: Door) -> str:
        told = os.path.join(self.podman.root, "tmp", "digest")
        self.podman("load", "-q", "-i", image.path)
        self.podman("tag", image.reference, name)
        try:
            self.podman("push", "--digestfile", told, *_verify(door), name, env=self._env)
        finally:
            self.podman("rmi", "--all", "--force")
        return _read(told)

    def pull(self, name: str, door: Door, *, platform: str = "") -> Copy:
        assert not self.podman("images", "-aq").stdout
        self.podman("pull", "-q", *_platform(platform), *_verify(door), name, env=self._env)
        try:
            row = self.podman.json("image", "inspect", name)[0]
        finally:
            self.podman("rmi", "--all", "--force")
        return Copy(row["Digest"], f"sha256:{row['Id']}", tuple(row["RootFS"]["Layers"]))

    def index(self, name: str, images: Mapping[str, str]) -> str:
        told = os.path.join(self.podman.root, "tmp", "digest")
        self.podman("manifest", "create", "list")
        try:
            for image in images.values():
                self.podman("manifest", "add", "--tls-verify=false", "list", f"docker://{image}")
            self.podman("manifest", "push", "--tls-verify=false", "--digestfile", told, "list", f"docker://{name}")
        finally:
            self.podman("manifest", "rm", "list")
        return _read(told)


class BySkopeo:
    """Skopeo, with a file for its passwords; what it pulls goes to a folder."""

    def __init__(self, folder: pathlib.Path, authority: str) -> None:
        self._folder = folder
        env = {"SSL_CERT_FILE": authority, "REGISTRY_AUTH_FILE": str(folder / "auth.json"), "TMPDIR": str(folder)}
        self.skopeo = Tool("skopeo", "--insecure-policy", env=env)

    def login(self, door: Door, password: str) -> Result:
        words = ("login", "-u", USER, "--password-stdin", *_verify(door), door.host)
        return self.skopeo(*words, input=password, check=False)

    def logout(self, door: Door) -> None:
        self.skopeo("logout", door.host)

    def push(self, image: Image, name: str, door: Door) -> str:
        told = str(self._folder / "digest")
        how = ("--digestfile", told, *(() if door.secure else ("--dest-tls-verify=false",)))
        self.skopeo("copy", *how, f"docker-archive:{image.path}", f"docker://{name}")
        return _read(told)

    def pull(self, name: str, door: Door, *, platform: str = "") -> Copy:
        place = self._folder / "pulled"
        how = () if door.secure else ("--src-tls-verify=false",)
        chosen = ("--override-arch", platform.partition("/")[2]) if platform else ()
        try:
            self.skopeo(*chosen, "copy", *how, f"docker://{name}", f"dir:{place}")
            raw = (place / "manifest.json").read_bytes()
            config = json.loads(raw)["config"]["digest"]
            layers = json.loads((place / digest.encoded(config)).read_bytes())["rootfs"]["diff_ids"]
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return Copy(digest.of(raw), config, tuple(layers))


class ByLamina:
    """Lamina, which pushes from one store and pulls to another."""

    def __init__(self, folder: pathlib.Path, authority: str) -> None:
        nothing = str(folder / "none")
        env = {
            "DOCKER_CONFIG": str(folder / "config"),
            "SSL_CERT_FILE": authority,
            "LAMINA_CERTS_D": nothing,
            "LAMINA_DAEMON_JSON": nothing,
        }
        self.lamina, self._other = (Lamina(str(folder / name), env=env) for name in ("first", "second"))

    def login(self, door: Door, password: str) -> Result:
        return self.lamina("login", "-u", USER, "--password-stdin", door.host, input=password, check=False)

    def logout(self, door: Door) -> None:
        self.lamina("logout", door.host)

    def push(self, image: Image, name: str, door: Door) -> str:
        self.lamina("load", "-q", "-i", image.path)
        self.lamina("tag", image.reference, name)
        return _found(r"digest: (\S+) size:", self.lamina("push", name).stdout)

    def pull(self, name: str, door: Door, *, platform: str = "") -> Copy:
        assert not self._other("images", "-q").stdout
        told = _found(r"Digest: (\S+)", self._other("pull", *_platform(platform), name).stdout)
        try:
            row = self._other.json("image", "inspect", name)[0]
        finally:
            self._other("rmi", name)
        return Copy(told, row["Id"], tuple(row["RootFS"]["Layers"]))

    def index(self, name: str, images: Mapping[str, str]) -> str:
        self.lamina("manifest", "create", name, *images.values())
        return self.lamina("manifest", "push", "--purge", name).stdout.strip()


@contextlib.contextmanager
def known(client: Client, door: Door) -> Iterator[None]:
    """Have a client logged in while the block runs, where there is need."""
    if not door.locked:
        yield
        return
    done = client.login(door, PASSWORD)
    assert not done.returncode, done.stderr
    try:
        yield
    finally:
        client.logout(door)


def stored(door: Door, repository: str, tag: str) -> Copy:
    """Read what a registry has of an image from its folder, which is distribution's for both."""
    manifest = tagged(door, repository, tag)
    value = json.loads(blob(door, manifest))
    for row in value["layers"]:
        assert len(blob(door, row["digest"])) == row["size"]
    config = value["config"]["digest"]
    return Copy(manifest, config, tuple(json.loads(blob(door, config))["rootfs"]["diff_ids"]))


def tagged(door: Door, repository: str, tag: str) -> str:
    """Return the digest that a registry has under a tag."""
    place = door.storage / "docker/registry/v2/repositories" / repository
    return (place / "_manifests/tags" / tag / "current/link").read_text()


def blob(door: Door, name: str) -> bytes:
    """Return the bytes that a registry has of a digest."""
    algorithm, encoded = name.split(":")
    data = (door.storage / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data").read_bytes()
    assert digest.of(data) == name
    return data


def _platform(platform: str) -> Sequence[str]:
    return ("--platform", platform) if platform else ()


def _verify(door: Door) -> Sequence[str]:
    return () if door.secure else ("--tls-verify=false",)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
