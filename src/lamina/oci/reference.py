"""References: what a person types to name an image, and the full name that it stands for.

    reference   name [":" tag] ["@" digest]
    name        [domain "/"] path
    busybox               docker.io/library/busybox
    me/app:1              docker.io/me/app:1
    localhost:5000/x@sha256:...

The rules are those of distribution's reference package, with Docker's defaults: a first component is a domain
if it has a dot, a colon or an upper-case letter, or is `localhost`.
"""

import re
from functools import cache

import msgspec

from ..errors import InvalidArgument
from . import digest
from .digest import Digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"
_MAX_NAME = 255


class InvalidReference(InvalidArgument):
    """A text does not name an image."""

    def __init__(self, text: str, why: str = "") -> None:
        detail = f": {why}" if why else ""
        super().__init__(f"invalid reference format: {text[:300]!r}{detail}")


class Reference(msgspec.Struct, frozen=True):
    """A full image name; `tag` and `digest` are empty where the text had none."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository with its domain: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: `busybox`; whole where the short form would read as something else."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        rest = self.path.removeprefix(_OFFICIAL)
        short = rest if "/" not in rest else self.path
        first, slash, _ = short.partition("/")
        return self.name if slash and _is_domain(first) else short

    @property
    def familiar(self) -> str:
        """The whole reference as people write it: `busybox:1`."""
        return self.familiar_name + self._suffix

    def __str__(self) -> str:
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> "Reference":
        """Return the reference with the tag `latest` if it has neither tag nor digest."""
        if self.tag or self.digest:
            return self
        return Reference(self.domain, self.path, DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Return the reference that `text` stands for.

    Raises:
        InvalidReference: it breaks the grammar; the message says where.
    """
    if digest.is_hex(text) and len(text) == 64:
        raise InvalidReference(text, "cannot specify 64-byte hexadecimal strings")
    rest, at, content = text.partition("@")
    if at:
        _require_digest(text, content)
    rest, tag = _split_tag(rest)
    domain, path = _split_domain(rest)
    if len(domain) + 1 + len(path) > _MAX_NAME:
        raise InvalidReference(text, f"repository name must not be longer than {_MAX_NAME} characters")
    if not is_path(path.lower()) or not _domain().fullmatch(domain):
        raise InvalidReference(text)
    if path != path.lower():
        raise InvalidReference(text, f"repository name ({path}) must be lowercase")
    if tag is not None and not is_tag(tag):
        raise InvalidReference(text, "a tag has up to 128 of the characters A-Z a-z 0-9 _ . -")
    return Reference(domain, path, tag or "", content)


def is_host(text: str) -> bool:
    """Tell whether a text may be a domain, with a port or without."""
    return bool(_domain().fullmatch(text))


def is_path(text: str) -> bool:
    """Tell whether a text is a repository's name within its registry; of any length."""
    return bool(_path().fullmatch(text))


def is_tag(text: str) -> bool:
    """Tell whether a text is a tag."""
    return bool(_tag().fullmatch(text))


def _require_digest(text: str, content: str) -> None:
    try:
        digest.parse(content)
    except digest.InvalidDigest as error:
        raise InvalidReference(text, str(error)) from error


def _split_tag(text: str) -> tuple[str, str | None]:
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and _is_domain(first):
        domain, path = first, rest
    else:
        domain, path = DEFAULT_DOMAIN, text
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return domain, path


def _is_domain(first: str) -> bool:
    """Tell whether the first component of a name is a registry's."""
    return first == "localhost" or first != first.lower() or "." in first or ":" in first


@cache
def _path() -> re.Pattern[str]:
    part = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    return re.compile(rf"{part}(?:/{part})*")


@cache
def _domain() -> re.Pattern[str]:
    part = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    return re.compile(rf"(?:{part}(?:\.{part})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")


@cache
def _tag() -> re.Pattern[str]:
    return re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def of_digest(name: str, content: Digest) -> str:
    """Return the familiar digest reference of a repository: `busybox@sha256:...`."""
    return f"{name}@{content}"
