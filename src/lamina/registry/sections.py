"""What a configuration file may say: CNCF distribution's names, and below `lamina` what lamina alone has.

What distribution has and lamina does without is passed over where nobody misses it (`Any`: caches, hooks of the log,
the health of other things), and refused where it would not be done although it was asked for (`REFUSED`).
"""

from typing import Any, Literal

import msgspec

REFUSED = {
    "auth.silly": "it lets everybody in who asks",
    "compatibility.schema1": "manifests of schema 1 are not taken: push the image anew",
    "http.h2c": "the registry speaks HTTP/1.1; leave HTTP/2 to a proxy before it",
    "http.tls.ciphersuites": "those of TLS 1.2 and 1.3 that OpenSSL deems secure are offered",
    "http.tls.clientauth": "with clientcas a client must show a certificate of theirs; without, it is asked for none",
    "http.tls.letsencrypt": "name certificate and key, and let the ACME client restart the registry",
    "middleware": "nothing stands between the registry and its storage",
    "notifications.events.includereferences": "an event has the URL of its manifest, which says what it refers to",
    "policy": "what may be pushed is a matter of rights",
    "proxy": "the registry is no cache of another one",
    "storage.azure": "the registry keeps all in a folder",
    "storage.gcs": "the registry keeps all in a folder",
    "storage.s3": "the registry keeps all in a folder",
    "validation.manifests": "a manifest's URLs and platforms are not looked at",
}
"""What distribution has and lamina has not, and why, or what to do instead."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping of the file; a name that it does not have is an error."""


class Switch(Section, frozen=True):
    """Something on or off."""

    enabled: bool = False


class AccessLog(Section, frozen=True):
    """`log.accesslog`."""

    disabled: bool = False


class Log(Section, frozen=True):
    """`log`."""

    accesslog: AccessLog = AccessLog()
    level: Literal["error", "warn", "info", "debug"] = "info"
    formatter: Any = None
    fields: Any = None
    hooks: Any = None
    reportcaller: Any = None


class Folder(Section, frozen=True):
    """`storage.filesystem`."""

    rootdirectory: str = "/var/lib/registry"
    maxthreads: int = 0


class Purging(Section, frozen=True):
    """`storage.maintenance.uploadpurging`."""

    enabled: bool = True
    age: str = "168h"
    interval: str = "24h"
    dryrun: bool = False


class Maintenance(Section, frozen=True):
    """`storage.maintenance`."""

    uploadpurging: Purging = Purging()
    readonly: Switch = Switch()


class Storage(Section, frozen=True):
    """`storage`."""

    filesystem: Folder | None = None
    inmemory: Any = msgspec.UNSET  # null is how distribution writes it
    delete: Switch = Switch()
    maintenance: Maintenance = Maintenance()
    cache: Any = None
    redirect: Any = None
    tag: Any = None


class Htpasswd(Section, frozen=True):
    """`auth.htpasswd`."""

    path: str
    realm: str = "Registry"


class Token(Section, frozen=True):
    """`auth.token`."""

    realm: str
    service: str
    issuer: str
    jwks: str = ""
    rootcertbundle: str = ""
    autoredirect: bool = False
    autoredirectpath: str = "/auth/token"
    signingalgorithms: list[str] = []


class Auth(Section, frozen=True):
    """`auth`."""

    htpasswd: Htpasswd | None = None
    token: Token | None = None


class HttpTls(Section, frozen=True):
    """`http.tls`."""

    certificate: str
    key: str
    clientcas: list[str] = []
    minimumtls: Literal["tls1.2", "tls1.3"] = "tls1.2"


class Prometheus(Section, frozen=True):
    """`http.debug.prometheus`."""

    enabled: bool = False
    path: str = "/metrics"


class Debug(Section, frozen=True):
    """`http.debug`."""

    addr: str = ""
    prometheus: Prometheus = Prometheus()


class Http(Section, frozen=True):
    """`http`."""

    addr: str = "127.0.0.1:5000"
    net: str = "tcp"
    prefix: str = "/"
    host: str = ""
    secret: str = ""
    relativeurls: Any = None  # URLs are relative in any case, unless there is a host
    draintimeout: str = "60s"
    tls: HttpTls | None = None
    headers: dict[str, list[str]] = {}
    debug: Debug = Debug()
    http2: Any = None


class Ignore(Section, frozen=True):
    """`notifications.endpoints[].ignore`."""

    mediatypes: list[str] = []
    actions: list[str] = []


class Target(Section, frozen=True):
    """`notifications.endpoints[]`."""

    name: str
    url: str
    disabled: bool = False
    headers: dict[str, list[str]] = {}
    timeout: str = "1s"
    threshold: int = 5
    backoff: str = "1s"
    ignoredmediatypes: list[str] = []
    ignore: Ignore = Ignore()


class Notifications(Section, frozen=True):
    """`notifications`."""

    endpoints: list[Target] = []
    events: Any = None


class Validation(Section, frozen=True):
    """`validation`: `disabled` takes manifests that name what the repository has not."""

    disabled: bool = False
    enabled: Any = None


class Catalog(Section, frozen=True):
    """`catalog`."""

    maxentries: int = 1000


class Tags(Section, frozen=True):
    """`tags`."""

    maxtags: int = 1000


class Rights(Section, frozen=True):
    """`lamina.issuer`: who may do what, by user, pattern of repositories, and actions; see `Issuer`."""

    rights: dict[str, dict[str, list[str]]]
    lifetime: str = "5m"


class Own(Section, frozen=True):
    """`lamina`."""

    maxmanifest: int = 4 << 20
    maxblob: int = 0
    maxuploads: int = 0
    idle: str = "60s"
    uploadtime: str = "0s"
    workers: int = 0
    logdelay: str = "50ms"
    warnings: list[str] = []
    issuer: Rights | None = None


class File(Section, frozen=True):
    """The file."""

    version: str | float = "0.1"
    log: Log = Log()
    storage: Storage = Storage()
    auth: Auth = Auth()
    http: Http = Http()
    notifications: Notifications = Notifications()
    validation: Validation = Validation()
    catalog: Catalog = Catalog()
    tags: Tags = Tags()
    health: Any = None
    loglevel: Any = None
    redis: Any = None
    reporting: Any = None
    compatibility: Any = None
    lamina: Own = Own()
