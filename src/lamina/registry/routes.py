"""A path to what it names (distribution-spec, Endpoints). Nothing is decoded but the reference at its end."""

from typing import NamedTuple
from urllib.parse import unquote

from . import names
from .codes import NameInvalid


class Route(NamedTuple):
    """What a path names: a kind, a repository, and a tag, a digest or an upload's id as it stands there."""

    kind: str
    name: str = ""
    reference: str = ""


_WHOLE = {
    "/": "alive",
    "/v2/": "base",
    "/v2": "base",
    "/v2/_catalog": "catalog",
    "/v2/_oci/ext/discover": "extensions",
    "/auth/token": "token",
}


def parse(path: str) -> Route | None:
    """Return what a path without its query names; None if there is no such endpoint.

    Raises:
        NameInvalid: the repository's name breaks the grammar.
    """
    if path in _WHOLE:
        return Route(_WHOLE[path])
    if not path.startswith("/v2/"):
        return None
    head, _, last = path[4:].rpartition("/")
    head, _, kind = head.rpartition("/")
    if kind in ("manifests", "blobs", "referrers"):
        if (kind, last) == ("blobs", "uploads"):
            return Route("uploads", _name(head))
        return Route(kind, _name(head), unquote(last))
    if kind == "uploads" and head.endswith("/blobs"):
        name = _name(head.removesuffix("/blobs"))
        return Route("upload", name, last) if last else Route("uploads", name)
    if (kind, last) == ("tags", "list"):
        return Route("tags", _name(head))
    return None


def _name(text: str) -> str:
    if not text:
        raise NameInvalid("the path names no repository")
    return names.repository(text)
