"""What a template may show, what it may raise, and what Go would call the types of it."""

from collections.abc import Mapping
from typing import Final

from ...errors import InvalidArgument

NO_VALUE: Final = "<no value>"
"""What a pipeline without a value prints."""


class TemplateError(InvalidArgument):
    """A template that cannot be parsed, or does not fit the value; `reason` is the text as Go words it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"template parsing error: {reason}")
        self.reason = reason


class TemplateSyntaxError(TemplateError):
    """A template that cannot be parsed; the exit status is that of `docker inspect`."""

    exit_status = 64


class CallError(Exception):
    """A function refuses its arguments; the runner adds where, and raises TemplateError."""


class StringMap(dict[str, object]):
    """Go's `map[string]string`, such as labels: its keys are free, and an absent one is no error but no value."""


def type_name(value: object) -> str:
    """Return the Go type that messages and `%T` show for a value."""
    if value is None:
        return "<nil>"
    if isinstance(value, StringMap):
        return "map[string]string"
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    if isinstance(value, list | tuple):
        return "[]interface {}"
    name = type(value).__name__
    return {"str": "string", "float": "float64"}.get(name, name)


def entries(mapping: Mapping[object, object]) -> list[tuple[str, object]]:
    """Return what a mapping holds in the order of its keys, without methods."""
    found = {str(key): value for key, value in mapping.items() if not callable(value)}
    return [(key, found[key]) for key in sorted(found)]


def truth(value: object) -> bool:
    """Return whether `if` takes a value: neither none, false, zero nor empty."""
    return bool(value)


def to_bytes(text: str) -> bytes:
    """Return the UTF-8 form that Go counts and cuts; bytes kept as surrogate escapes come back as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 text has
        return text.encode("utf-8", "replace")


def from_bytes(data: bytes) -> str:
    """Return the text of bytes; those that are no UTF-8 become surrogate escapes."""
    return data.decode("utf-8", "surrogateescape")
