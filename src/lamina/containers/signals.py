"""Signals by name and number, as a container's config spells them."""

import signal

from ..errors import InvalidArgument

_LAST = 64


class InvalidSignal(InvalidArgument):
    """There is no such signal."""


def number(text: str) -> int:
    """Return the number of `15`, `TERM`, `sigterm`, `SIGRTMIN+3`.

    Raises:
        InvalidSignal: there is none.
    """
    if text.isascii() and text.isdigit() and 0 < int(text[:4]) <= _LAST:
        return int(text[:4])
    name, plus, offset = text.upper().removeprefix("SIG").partition("+")
    name, minus, offset = (name, plus, offset) if plus else name.partition("-")
    found = getattr(signal.Signals, f"SIG{name}", 0)
    if plus or minus:
        if name != ("RTMIN" if plus else "RTMAX") or offset not in map(str, range(1, 31)):
            found = 0
        else:
            found += int(offset) if plus else -int(offset)
    if not found or found > _LAST:
        raise InvalidSignal(f"Invalid signal: {text}")
    return int(found)
