"""What may be set about registries, in the words of Docker's daemon.json.

    {"registry-mirrors": ["https://mirror.example"], "insecure-registries": ["10.0.0.0/8", "host:5000"]}

Other keys of the file are the daemon's affair and are passed over.
"""

import msgspec

from ..oci import codec

CERTIFICATES = "/etc/docker/certs.d"
DAEMON = "/etc/docker/daemon.json"


class Proxies(msgspec.Struct, frozen=True):
    """The proxies for hosts of each scheme, as URLs, and those that are reached without."""

    http: str = ""
    https: str = ""
    without: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Proxies(...)"  # a URL may have a password

    __str__ = __repr__


class Settings(msgspec.Struct, frozen=True):
    """How to meet registries.

    Attributes:
        insecure: hosts, `host:port`s and networks that may be met over plain HTTP or without a valid certificate;
            those of this machine may always.
        mirrors: URLs that are asked before docker.io, in this order, for what is read.
        certificates: the folder with `<host:port>/{*.crt,*.cert,*.key}`.
        proxies: by which proxies hosts are reached.
        attempts: how often something is tried that may go better next time.
        patience: the longest wait before the next try, in seconds.
        connect_timeout: seconds until a connection must be there.
        read_timeout: seconds within which something must arrive.
        document_timeout: seconds within which a manifest or a list must have arrived whole.
        piece: bytes of a blob that are sent, and kept in memory, at a time.
    """

    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    certificates: str = CERTIFICATES
    proxies: Proxies = Proxies()
    attempts: int = 5
    patience: float = 60.0
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    document_timeout: float = 120.0
    piece: int = 8 << 20


class _Daemon(msgspec.Struct, rename="kebab"):
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()


def read(path: str = DAEMON, certificates: str = CERTIFICATES) -> Settings:
    """Return the settings of a daemon.json; without the file, the defaults.

    Raises:
        InvalidDocument: it is malformed.
    """
    try:
        with open(path, "rb") as file:
            found = codec.decode(file.read(codec.LIMIT + 1), _Daemon, path)
    except FileNotFoundError:
        found = _Daemon()
    return Settings(found.insecure_registries, found.registry_mirrors, certificates)
