"""What the environment says about registries: Docker's files, and where they are."""

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..remote.client import Client
    from ..remote.credentials import Keychain
    from ..remote.dockerconfig import DockerConfig
    from ..remote.drafts import Drafts
    from ..remote.registry import Registry
    from ..remote.settings import Settings
    from .parser import Parser
    from .shell import Shell


def settings(shell: "Shell") -> "Settings":
    """Return how to meet registries."""
    import msgspec

    from ..remote import settings as found

    certificates = shell.environment.get("LAMINA_CERTS_D") or found.CERTIFICATES
    file = found.read(shell.environment.get("LAMINA_DAEMON_JSON") or found.DAEMON, certificates)
    http, https, without = (_either_case(shell, name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"))
    return msgspec.structs.replace(file, proxies=found.Proxies(http, https, tuple(filter(None, without.split(",")))))


def _either_case(shell: "Shell", name: str) -> str:
    return shell.environment.get(name) or shell.environment.get(name.lower(), "")


def keychain(shell: "Shell") -> "DockerConfig":
    """Return what the user has stored."""
    from ..remote.dockerconfig import DockerConfig

    home = shell.environment.get("HOME") or os.path.expanduser("~")
    folder = shell.environment.get("DOCKER_CONFIG") or os.path.join(home, ".docker")
    return DockerConfig(os.path.join(folder, "config.json"), shell.environment)


def known(shell: "Shell") -> "Keychain":
    """Return what the user has stored, or else has stored with podman."""
    from ..remote.credentials import Several
    from ..remote.dockerconfig import DockerConfig

    path = shell.environment.get("REGISTRY_AUTH_FILE", "")
    if not path and (folder := shell.environment.get("XDG_RUNTIME_DIR")):
        path = os.path.join(folder, "containers", "auth.json")
    ours = keychain(shell)
    return Several(ours, DockerConfig(path, shell.environment, podman=True)) if path else ours


@contextmanager
def client(shell: "Shell", insecure: str = "") -> "Iterator[Client]":
    """Open connections to registries, as the user; one registry more may be insecure."""
    import msgspec

    from ..events import Problem
    from ..remote.client import Client

    how = settings(shell)
    if insecure:
        how = msgspec.structs.replace(how, insecure=(*how.insecure, insecure))
    with Client(how, known(shell), lambda text: shell.report(Problem(text))) as found:
        yield found


@contextmanager
def repository(shell: "Shell", text: str, *, insecure: bool = False) -> "Iterator[tuple[Registry, str]]":
    """Open the repository of an image, as the user; yield it, and the digest or the tag that is meant there."""
    from ..oci import reference
    from ..remote.registry import Registry

    named = reference.parse(text).tagged()
    with client(shell, named.domain if insecure else "") as found:
        yield Registry(named, found), named.digest or named.tag


def insecure(parser: "Parser") -> None:
    """Add the option that lets a command's registry be insecure."""
    parser.flag("--insecure", help="Allow communication with an insecure registry")


def drafts(shell: "Shell") -> "Drafts":
    """Return the user's indexes in the making."""
    from ..remote.drafts import Drafts

    return Drafts(os.path.join(os.path.dirname(keychain(shell).path), "lamina-manifests"))


def host_of(text: str) -> str:
    """Return the registry that a person means: `docker.io` where nothing is given; a URL's host.

    Raises:
        InvalidReference: it is no host.
    """
    from ..oci import reference

    host = text.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if not host or host in ("index.docker.io", "registry-1.docker.io", reference.DEFAULT_DOMAIN):
        return reference.DEFAULT_DOMAIN
    if not reference.is_host(host):
        raise reference.InvalidReference(text, "it is no registry's host, nor host:port")
    return host
