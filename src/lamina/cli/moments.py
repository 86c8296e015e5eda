"""Instants as docker's options take them."""

import time

from ..errors import InvalidArgument, LaminaError


def moment(text: str, option: str) -> int:
    """Return the instant that a time, a number of seconds since 1970, or a duration before now says."""
    if not text:
        return 0
    from ..dockerfile import duration
    from ..oci import times

    try:
        return int(float(text) * 1e9)
    except ValueError:
        pass
    try:
        return time.time_ns() - duration.nanoseconds(text)
    except LaminaError:
        pass
    full = text if "T" in text else f"{text}T00:00:00"
    try:
        return times.parse_rfc3339(full if full[-1:] == "Z" or full[-6:-5] in ("+", "-") else f"{full}Z")
    except LaminaError as error:
        raise InvalidArgument(
            f'invalid value for "{option}": failed to parse value as time or duration: {text}'
        ) from error
