"""What is known of the compressed forms of layers, and of the repositories that have them.

Docker's two folders say which blob unpacks to which layer, and where it was seen; ours says of a blob what a
manifest has to say of it too. All of this is hints: it is neither synced nor collected, whoever uses it verifies
what comes of it, and what cannot be read counts as not known.
"""

import contextlib
import hmac
import os
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from ..decoding import NOT_JSON
from ..oci import codec, digest
from ..oci.digest import Digest
from ..oci.manifest import Descriptor
from .paths import Paths

MOST = 50
"""Docker's bound: sources that are remembered of a layer."""

_LIMIT = 1 << 20
_Value = TypeVar("_Value")


class Origin(msgspec.Struct, frozen=True):
    """A blob, a repository that has it, and for one that was pushed a seal of who pushed it.

    Attributes:
        digest: of the blob.
        repository: with its domain: `docker.io/library/busybox`.
        seal: of digest, repository and credentials; see `seal`. Empty for one that was pulled.
    """

    digest: Digest = msgspec.field(name="Digest")
    repository: str = msgspec.field(name="SourceRepository")
    seal: str = msgspec.field(name="HMAC", default="")


class Form(msgspec.Struct, frozen=True, omit_defaults=True):
    """A compressed form of a layer; `maker` says how it was made, if that was here: `isal 1.7.2 level 1`."""

    descriptor: Descriptor
    maker: str = ""


class Distribution:
    """The hints of a store. Writers hold the store's lock.

    Args:
        paths: of the images.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def diff_id(self, blob: Digest) -> Digest | None:
        """Return the layer that a blob unpacks to."""
        with contextlib.suppress(OSError, digest.InvalidDigest), open(self._paths.diff_id(blob), "rb") as file:
            return digest.parse(file.read(200).decode("ascii", "replace"))
        return None

    def origins(self, diff_id: Digest) -> list[Origin]:
        """Return where blobs of a layer were seen, the latest last."""
        return _read(self._paths.origins(diff_id), list[Origin]) or []

    def forms(self, diff_id: Digest) -> list[Form]:
        """Return the compressed forms of a layer, the latest last."""
        return _read(self._paths.forms(diff_id), list[Form]) or []

    def add(self, diff_id: Digest, origin: Origin, form: Form) -> None:
        """Note that a repository has a blob of a layer; it becomes the latest."""
        _write(self._paths.diff_id(origin.digest), diff_id.encode())
        others = [known for known in self.origins(diff_id) if known != origin]
        _write(self._paths.origins(diff_id), msgspec.json.encode([*others, origin][-MOST:]))
        self.add_form(diff_id, form)

    def add_form(self, diff_id: Digest, form: Form) -> None:
        """Note a compressed form of a layer; how it was made is not forgotten."""
        known = self.forms(diff_id)
        if not form.maker:
            same = (other for other in known if other.descriptor.digest == form.descriptor.digest)
            form = next(same, form)
        others = [other for other in known if other.descriptor.digest != form.descriptor.digest]
        if not known or known[-1] != form:
            _write(self._paths.forms(diff_id), msgspec.json.encode([*others, form][-MOST:]))

    def remove(self, diff_id: Digest, origin: Origin) -> None:
        """Forget that a repository has a blob: it has it no more."""
        known = self.origins(diff_id)
        if origin in known:
            left = [other for other in known if other != origin]
            _write(self._paths.origins(diff_id), msgspec.json.encode(left))


def seal(blob: Digest, repository: str, credentials: Mapping[str, str]) -> str:
    """Return the mark of credentials on an origin, from which they cannot be found out.

    Args:
        blob: its digest.
        repository: with its domain.
        credentials: `username`, `password`, `identitytoken` and the like; those that are empty do not count.
    """
    names = ("username", "password", "auth", "identitytoken", "registrytoken")
    known = {name: credentials[name] for name in names if credentials.get(name)}
    key = digest.of(codec.as_go(codec.encode(known).decode()).encode()).encode()
    return hmac.new(key, f"{blob}{repository}".encode(), "sha256").hexdigest()


def _read(path: str, kind: type[_Value]) -> _Value | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_LIMIT), type=kind)
    except (OSError, *NOT_JSON):
        return None


def _write(path: str, data: bytes) -> None:
    """Write a hint, whole or not at all."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if file.read(len(data) + 1) == data:
            return
    os.makedirs(folder, 0o755, exist_ok=True)
    temporary = os.path.join(folder, f".tmp-{name}{os.urandom(4).hex()}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
