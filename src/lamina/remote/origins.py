"""Where a registry is: its address, whether plain HTTP will do, and the certificates it is known by.

    docker.io        https://registry-1.docker.io, after the mirrors
    127.0.0.1:5000   plain HTTP, or HTTPS where it does not speak that
    host:5000        HTTPS; if it is named insecure, without a valid certificate or, at last, plain

Certificates are in the folders that Docker reads: `<certs.d>/<host:port>/*.crt` are authorities, besides the system's;
`*.cert` with `*.key` of the same name are ours.
"""

import ipaddress
import os
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import FailedPrecondition, InvalidArgument
from ..oci.reference import DEFAULT_DOMAIN
from .settings import Settings

_HUB = "registry-1.docker.io"


class CertificateInvalid(FailedPrecondition):
    """A file of certificates cannot be used."""


class Origin(NamedTuple):
    """Who answers: credentials and tokens belong to one of these, and go to no other."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


_PORTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """One registry that may be asked: its address, with `https` where the scheme is still to be found out."""

    host: str
    schemes: tuple[str, ...]
    mirror: bool = False


def of_url(url: str) -> Origin:
    """Return whose a URL is.

    Raises:
        InvalidArgument: it is no URL of http or https.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or not url.isprintable() or " " in url:
        raise InvalidArgument(f"invalid URL {url[:200]!r}: expected http:// or https:// and a host")
    return Origin(parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port)


def places(domain: str, settings: Settings) -> list[Place]:
    """Return who may be asked for what a domain has, in order; the last one is the registry itself."""
    if domain != DEFAULT_DOMAIN:
        return [Place(domain, schemes(domain, settings))]
    return [*(_mirror(url, settings) for url in settings.mirrors), Place(_HUB, ("https",))]


def _mirror(url: str, settings: Settings) -> Place:
    origin = of_url(url)
    host = urlsplit(url).netloc.rpartition("@")[2]
    if urlsplit(url).path.strip("/"):
        raise InvalidArgument(f"invalid mirror {url!r}: a mirror has no path")
    if origin.scheme == "http" and not is_insecure(host, settings):
        raise InvalidArgument(f"mirror {url} is plain HTTP: name {host} in insecure-registries to allow that")
    return Place(host, (origin.scheme,), mirror=True)


def schemes(host: str, settings: Settings) -> tuple[str, ...]:
    """Return how a host may be spoken to, in the order to try."""
    if is_local(_bare(host)):
        return ("http", "https")
    return ("https", "http") if is_insecure(host, settings) else ("https",)


def is_insecure(host: str, settings: Settings) -> bool:
    """Tell whether a host may be met without anybody vouching for it: this machine's, and those named."""
    bare = _bare(host)
    if is_local(bare) or host in settings.insecure or bare in settings.insecure:
        return True
    networks = [text for text in settings.insecure if "/" in text]
    return bool(networks) and any(_within(address, networks) for address in _addresses(bare))


def is_local(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _within(address: str, networks: list[str]) -> bool:
    try:
        return any(ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False) for text in networks)
    except ValueError as error:
        raise InvalidArgument(f"insecure-registries: {error}") from error


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def _bare(host: str) -> str:
    """Return a host without its port."""
    return urlsplit(f"//{host}").hostname or host


def context(host: str, settings: Settings) -> ssl.SSLContext:
    """Return what TLS with a host goes by.

    Raises:
        CertificateInvalid: a file in the host's folder of certificates is unusable; the message names it.
    """
    folder = os.path.join(settings.certificates, host) if settings.certificates else ""
    names = sorted(os.listdir(folder)) if folder and os.path.isdir(folder) else []
    authorities = [name for name in names if name.endswith(".crt")]
    if is_insecure(host, settings) and not authorities:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which costs nothing beside reading all authorities
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    else:
        found = ssl.create_default_context()
    for name in names:
        path = os.path.join(folder, name)
        key = path.removesuffix(".cert") + ".key"
        try:
            if name in authorities:
                found.load_verify_locations(path)
            elif name.endswith(".cert"):
                if not os.path.exists(key):
                    raise CertificateInvalid(f"{path} needs a key beside it: {os.path.basename(key)}")
                found.load_cert_chain(path, key)
        except (ssl.SSLError, OSError) as error:
            raise CertificateInvalid(f"{path} cannot be used: {error}") from error
    return found
