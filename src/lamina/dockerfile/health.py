"""HEALTHCHECK: what to run, how often, and how long to wait."""

from . import duration, words
from .instructions import Healthcheck
from .mistakes import quoted
from .statement import Statement


def read(at: Statement, given: dict[str, str]) -> Healthcheck:
    """Return a health check.

    Raises:
        Malformed: it is not used like this.
    """
    kind, rest = words.cut(at.rest)
    if not kind:
        raise at.error("HEALTHCHECK requires at least one argument")
    if kind.upper() == "NONE":
        if rest or given:
            raise at.error("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(at.line, at.source, ("NONE",))
    if kind.upper() != "CMD":
        raise at.error(f"Unknown type {quoted(kind.upper())} in HEALTHCHECK (try CMD)")
    return Healthcheck(
        at.line,
        at.source,
        _test(at, rest),
        interval=_time(at, given, "interval"),
        timeout=_time(at, given, "timeout"),
        start_period=_time(at, given, "start-period"),
        start_interval=_time(at, given, "start-interval"),
        retries=_retries(at, given.get("retries", "")),
    )


def _test(at: Statement, rest: str) -> tuple[str, ...]:
    array = at.array(rest)
    test = ("CMD-SHELL", rest) if array is None else ("CMD", *array)
    if not rest or array == ():
        raise at.error("Missing command after HEALTHCHECK CMD")
    return test


def _time(at: Statement, given: dict[str, str], name: str) -> int:
    """Return nanoseconds; 0 where the flag is not given, or empty."""
    text = given.get(name, "")
    try:
        found = duration.nanoseconds(text) if text else 0
    except duration.BadDuration as error:
        raise at.error(f"HEALTHCHECK --{name}: {error}") from error
    if found and found < duration.MILLISECOND:
        raise at.error(f"Interval {quoted(name)} cannot be less than 1ms")
    return found


def _retries(at: Statement, text: str) -> int:
    if not text:
        return 0
    digits = text.lstrip("+-")
    if not (digits.isascii() and digits.isdigit()) or len(text) - len(digits) > 1 or len(digits) > 10:
        raise at.error(f"HEALTHCHECK --retries: {quoted(text)} is no number")
    number = int(text)
    if number < 0:
        raise at.error(f"--retries cannot be negative ({number})")
    if number >= 1 << 31:
        raise at.error(f"HEALTHCHECK --retries: {number} is too large")
    return number
