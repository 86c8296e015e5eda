"""`lamina registry serve`."""

import argparse
import sys
from typing import TYPE_CHECKING

from .parser import Parser, number
from .shell import Shell

if TYPE_CHECKING:
    from ..registry.settings import Settings


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina registry serve [OPTIONS]", summary)
    parser.option("--addr", value="string", help="HOST:PORT or unix://PATH to listen on (default 127.0.0.1:5000)")
    parser.values("--auth", value="string", help="Ask for a user and a password: htpasswd=FILE (bcrypt)", parse=_scheme)
    parser.option("--config", value="string", help="Configuration, YAML or TOML, with distribution's names")
    parser.flag("--delete", help="Allow to delete tags, manifests and blobs")
    parser.flag("--read-only", help="Refuse all that writes")
    parser.flag("--sparse", help="Take manifests that name what their repository has not")
    parser.option("--storage", value="string", help="Folder of the registry (default /var/lib/registry)")
    parser.option("--tls-cert", value="string", help="Certificate chain for TLS, PEM")
    parser.option("--tls-key", value="string", help="Key of the certificate, PEM")
    parser.option(
        "--workers",
        value="int",
        help="Processes that serve (default one a processor, at most 4)",
        default=0,
        parse=number,
    )
    parser.arguments(0, 0)
    return parser


def _scheme(text: str) -> tuple[str, str]:
    scheme, equals, path = text.partition("=")
    if scheme != "htpasswd" or not equals or not path:
        raise ValueError("expected htpasswd=FILE; tokens are set up in a configuration")
    return scheme, path


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command: it ends with SIGTERM or SIGINT, when what is under way is finished."""
    from . import registry_parts

    registry_parts.need()
    from ..registry import running

    settings = _settings(options)
    _tell(settings.log_level)
    running.run(settings, lambda address: shell.warn(f"serving {settings.storage} on {address}"), _log)
    return 0


def _tell(level: str) -> None:
    """Let what the registry has to say to its operator go to standard error."""
    import logging
    import time

    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    log = logging.getLogger("lamina.registry")
    log.setLevel(level.upper())
    log.addHandler(handler)
    log.propagate = False


def _log(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


def _settings(options: argparse.Namespace) -> "Settings":
    """Return what the configuration says, and what the options say against it.

    Raises:
        InvalidArgument: they cannot be meant so.
    """
    import msgspec

    from ..errors import InvalidArgument
    from ..registry import configuration
    from ..registry.settings import Settings, Tls

    found = configuration.read(options.config) if options.config else Settings()
    said: dict[str, object] = {
        "address": options.addr,
        "storage": options.storage,
        "delete": options.delete,
        "readonly": options.read_only,
        "sparse": options.sparse,
        "workers": options.workers,
        "htpasswd": options.auth[-1][1] if options.auth else "",
    }
    if bool(options.tls_cert) != bool(options.tls_key):
        raise InvalidArgument("TLS needs both --tls-cert and --tls-key")
    if options.tls_cert:
        said["tls"] = Tls(options.tls_cert, options.tls_key)
    return msgspec.structs.replace(found, **{name: value for name, value in said.items() if value})
