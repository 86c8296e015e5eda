"""What a registry may be told; see `configuration` for where it comes from."""

import msgspec


class Tls(msgspec.Struct, frozen=True):
    """Where the server's certificate chain and key are, PEM; whose clients' certificates are asked for, if any.

    `minimum` is `tls1.2` or `tls1.3`.
    """

    certificate: str
    key: str
    client_authorities: tuple[str, ...] = ()
    minimum: str = "tls1.2"


class TokenAccess(msgspec.Struct, frozen=True):
    """Bearer tokens of an issuer: what clients are told, and the keys (JWK set, or PEM) that tokens are signed with.

    A `realm` that is a path is on the host that the client has called. Without `algorithms`, all that are offered do.
    """

    realm: str
    service: str
    issuer: str
    jwks: str = ""
    certificates: str = ""
    algorithms: tuple[str, ...] = ()


class Issuer(msgspec.Struct, frozen=True):
    """Bearer tokens of our own: how long they are good for, and who may do what.

    `rights` maps a user's name, or `*` for anybody and `` for nobody in particular, to patterns of repositories and
    the actions there: `{"ann": {"team/*": ["pull", "push"]}}`.
    """

    rights: dict[str, dict[str, list[str]]]
    seconds: int = 300


class Endpoint(msgspec.Struct, frozen=True):
    """Where notifications go."""

    name: str
    url: str
    headers: dict[str, list[str]] = {}
    timeout: float = 1.0
    threshold: int = 5
    backoff: float = 1.0
    ignored_media_types: tuple[str, ...] = ()
    ignored_actions: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True):
    """A registry's settings. Times are in seconds, sizes in bytes; 0 is no limit, or a worker for each processor.

    `metrics` is the path where they are, if anywhere.
    """

    address: str = "127.0.0.1:5000"
    storage: str = "/var/lib/registry"
    host: str = ""
    prefix: str = "/"
    secret: str = ""
    delete: bool = False
    readonly: bool = False
    sparse: bool = False
    max_manifest: int = 4 << 20
    max_blob: int = 0
    max_uploads: int = 0
    max_page: int = 1000
    max_tags: int = 1000
    idle: float = 60.0
    upload_time: float = 0.0
    drain: float = 60.0
    workers: int = 0
    headers: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    tls: Tls | None = None
    htpasswd: str = ""
    realm: str = "Registry"
    token: TokenAccess | None = None
    issuer: Issuer | None = None
    access_log: bool = True
    log_delay: float = 0.05
    log_level: str = "info"
    debug_address: str = ""
    metrics: str = ""
    purge_age: float = 168 * 3600.0
    purge_interval: float = 24 * 3600.0
    purge: bool = True
    purge_dry: bool = False
    endpoints: tuple[Endpoint, ...] = ()
