"""The configuration file, YAML or TOML, and the settings that it means; see `sections` for what it may say."""

import re

import msgspec

from ..errors import InvalidArgument
from . import warning
from .sections import REFUSED, File, Folder, HttpTls, Storage, Target, Token
from .settings import Endpoint, Issuer, Settings, Tls, TokenAccess

_LIMIT = 1 << 20
_OFF: tuple[object, ...] = (False, {}, [], {"enabled": False})
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


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
        InvalidArgument: it is neither YAML nor TOML, or asks for what is not offered.
        msgspec.ValidationError: a value is not what its place asks for.
    """
    import tomllib  # noqa: PLC0415 - only where there is a file

    import yaml  # noqa: PLC0415

    try:
        found = tomllib.loads(data.decode()) if toml else yaml.safe_load(data)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(" ".join(str(error).split())) from error
    for name in REFUSED:
        _refuse(found, name)
    return msgspec.convert(found or {}, File)


def _refuse(sections: object, name: str) -> None:
    """Take a name that is switched off from its section.

    Raises:
        InvalidArgument: it is not switched off.
    """
    *above, last = name.split(".")
    for each in above:
        sections = sections.get(each) if isinstance(sections, dict) else None
    if isinstance(sections, dict) and sections.pop(last, False) not in _OFF:
        raise InvalidArgument(f"{name} is not offered: {REFUSED[name]}")


def settings(file: File) -> Settings:
    """Return what a file means.

    Raises:
        InvalidArgument: a duration is none, or a header or a warning cannot be sent.
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
        max_tags=file.tags.maxtags,
        idle=seconds(own.idle),
        upload_time=seconds(own.uploadtime),
        drain=seconds(http.draintimeout),
        workers=own.workers,
        headers={name: _header(name, values) for name, values in http.headers.items()},
        warnings=warning.checked(own.warnings),
        tls=_tls(http.tls) if http.tls else None,
        htpasswd=file.auth.htpasswd.path if file.auth.htpasswd else "",
        realm=file.auth.htpasswd.realm if file.auth.htpasswd else "Registry",
        token=_token(file.auth.token),
        issuer=Issuer(own.issuer.rights, int(seconds(own.issuer.lifetime))) if own.issuer else None,
        access_log=not file.log.accesslog.disabled,
        log_delay=seconds(own.logdelay),
        log_level=file.log.level,
        debug_address=http.debug.addr,
        metrics=http.debug.prometheus.path if http.debug.prometheus.enabled else "",
        purge=purging.enabled,
        purge_age=seconds(purging.age),
        purge_interval=seconds(purging.interval),
        purge_dry=purging.dryrun,
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


def _header(name: str, values: list[str]) -> str:
    text = ", ".join(values)
    if not name.replace("-", "").isalnum() or not name.isascii() or not text.isprintable():
        raise InvalidArgument(f"http.headers has {name!r}: {text!r}, which is no header")
    return text


def _tls(tls: HttpTls) -> Tls:
    return Tls(tls.certificate, tls.key, tuple(tls.clientcas), tls.minimumtls)


def _token(token: Token | None) -> TokenAccess | None:
    if token is None:
        return None
    realm = token.autoredirectpath if token.autoredirect else token.realm
    algorithms = tuple(token.signingalgorithms)
    return TokenAccess(realm, token.service, token.issuer, token.jwks, token.rootcertbundle, algorithms)


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
