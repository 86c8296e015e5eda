"""A request to a registry, as a value."""

from collections.abc import Mapping
from typing import NamedTuple

Body = bytes | memoryview
Scopes = frozenset[str]
"""What a token must be good for: `repository:<path>:pull`."""


class Request(NamedTuple):
    """What is asked of a registry; its body can be sent again."""

    method: str
    url: str
    scopes: Scopes = frozenset()
    headers: Mapping[str, str] = {}
    body: Body | None = None
