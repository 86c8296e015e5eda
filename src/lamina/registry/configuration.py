"""The configuration file: YAML or TOML, with CNCF distribution's names where the meaning is the same.

What lamina alone has stands below `lamina`. What distribution has and lamina does without is passed over (caches, the
health of other things, redirects); a name that neither knows is an error.
"""

import re
from typing import Any

import msgspec

from ..errors import InvalidArgument
from .settings import Endpoint, Issuer, Settings, Tls, TokenAccess

_LIMIT = 1 << 20
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping of the file; a name that it does not have is an error."""


class Switch(Section, frozen=True):
    """Something on or off."""

    enabled: bool = False


class Log(Section, frozen=True):
    """`log`."""

    accesslog: dict[str, bool] = {}
    level: str = "info"
    formatter: str = "json"
    fields: dict[str, Any] = {}
    hooks: Any = None


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
    minimumtls: str = ""


class Debug(Section, frozen=True):
    """`http.debug`."""

    addr: str = ""
    prometheus: dict[str, Any] = {}


class Http(Section, frozen=True):
    """`http`."""

    addr: str = "127.0.0.1:5000"
    net: str = "tcp"
    prefix: str = "/"
    host: str = ""
    secret: str = ""
    relativeurls: bool = False
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
    manifests: Any = None


class Catalog(Section, frozen=True):
    """`catalog`, and `tags` alike."""

    maxentries: int = 1000


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
    health: Any = None
    lamina: Own = Own()


def read(path: str) -> Settings:
    """Return the settings of a file; one that ends in `.toml` is TOML, any other YAML.

    Raises:
        InvalidArgument: it cannot be read, or says what cannot be meant; the message says where.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT)
        return settings(parse(data, toml=path.endswith(".toml")))
    except (OSError, msgspec.ValidationError, InvalidArgument) as error:
        raise InvalidArgument(f"the configuration {path} cannot be used: {error}") from error


def parse(data: bytes, *, toml: bool) -> File:
    """Return the sections of a text.

    Raises:
        InvalidArgument: it is neither YAML nor TOML.
        msgspec.ValidationError: a value is not what its place asks for.
    """
    import tomllib  # noqa: PLC0415 - only where there is a file

    import yaml  # noqa: PLC0415

    try:
        found = tomllib.loads(data.decode()) if toml else yaml.safe_load(data)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(" ".join(str(error).split())) from error
    return msgspec.convert(found or {}, File)


def settings(file: File) -> Settings:
    """Return what a file means.

    Raises:
        InvalidArgument: a duration is none.
    """
    http, own, purging = file.http, file.lamina, file.storage.maintenance.uploadpurging
    return Settings(
        address=f"unix://{http.addr}" if http.net == "unix" else http.addr,
        storage=_folder(file.storage),
        host=http.host.rstrip("/"),
        prefix=http.prefix if http.prefix.endswith("/") else http.prefix + "/",
        secret=http.secret,
        delete=file.storage.delete.enabled,
        readonly=file.storage.maintenance.readonly.enabled,
        sparse=file.validation.disabled,
        max_manifest=own.maxmanifest,
        max_blob=own.maxblob,
        max_uploads=own.maxuploads,
        max_page=file.catalog.maxentries,
        idle=seconds(own.idle),
        upload_time=seconds(own.uploadtime),
        drain=seconds(http.draintimeout),
        workers=own.workers,
        headers={name: ", ".join(values) for name, values in http.headers.items()},
        tls=Tls(http.tls.certificate, http.tls.key, tuple(http.tls.clientcas)) if http.tls else None,
        htpasswd=file.auth.htpasswd.path if file.auth.htpasswd else "",
        realm=file.auth.htpasswd.realm if file.auth.htpasswd else "Registry",
        token=_token(file.auth.token),
        issuer=Issuer(own.issuer.rights, int(seconds(own.issuer.lifetime))) if own.issuer else None,
        access_log=not file.log.accesslog.get("disabled", False),
        debug_address=http.debug.addr,
        metrics=bool(http.debug.prometheus.get("enabled", False)),
        purge=purging.enabled,
        purge_age=seconds(purging.age),
        purge_interval=seconds(purging.interval),
        endpoints=tuple(_endpoint(target) for target in file.notifications.endpoints if not target.disabled),
    )


def seconds(text: str) -> float:
    """Return the seconds of a Go duration: `1h30m`.

    Raises:
        InvalidArgument: it is none.
    """
    if text == "0":
        return 0.0
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(f"{text!r} is no duration: expected numbers with units, as in 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _folder(storage: Storage) -> str:
    if storage.filesystem is None and storage.inmemory is not msgspec.UNSET:
        return ":memory:"
    return (storage.filesystem or Folder()).rootdirectory


def _token(token: Token | None) -> TokenAccess | None:
    if token is None:
        return None
    return TokenAccess(token.realm, token.service, token.issuer, token.jwks, token.rootcertbundle)


def _endpoint(target: Target) -> Endpoint:
    return Endpoint(
        target.name,
        target.url,
        target.headers,
        seconds(target.timeout),
        target.threshold,
        seconds(target.backoff),
        (*target.ignoredmediatypes, *target.ignore.mediatypes),
        tuple(target.ignore.actions),
    )
