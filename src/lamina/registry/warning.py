"""What clients are told besides their answer (distribution-spec, Warnings), to be shown to their users."""

from collections.abc import Iterable

from ..errors import InvalidArgument

_MOST = 3072  # bytes of those in a configuration; a client gets at most 4096


def header(text: str) -> str:
    """Return a text as the value of a header `Warning`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def checked(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the values for texts of a configuration.

    Raises:
        InvalidArgument: one does not fit into a header, or they are too long together.
    """
    found = tuple(map(header, texts))
    for value in found:
        if not value.isprintable():
            raise InvalidArgument(
                f"the warning {value!r} has characters that cannot be printed: expected one line of text"
            )
    size = sum(len(value.encode()) for value in found)
    if size > _MOST:
        raise InvalidArgument(f"the warnings have {size} bytes together; the limit is {_MOST}")
    return found
