"""What a registry's answer means when it is an error (distribution-spec, Error Codes)."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ..content.contract import ContentNotFound
from ..errors import DataLoss, LaminaError, NotSupported, PermissionDenied, ResourceExhausted, Unavailable
from ..streams import Reader

_MOST = 64 << 10
"""Bytes of an error's text that are read."""


class RegistryUnavailable(Unavailable):
    """A registry cannot be reached, or cannot answer now."""


class Unreachable(RegistryUnavailable):
    """No connection to a host could be made, neither now nor before: to try again has little sense."""


class Broken(RegistryUnavailable):
    """A connection ended in the middle of an answer."""


class TooManyRequests(RegistryUnavailable):
    """A registry asks for a longer wait than we have patience for."""

    http_status = 429


class Unauthorized(PermissionDenied):
    """A registry does not know who we are."""

    http_status = 401


class AccessDenied(PermissionDenied):
    """A registry knows who we are, and says no."""


class Refused(LaminaError):
    """A registry does not take what we send."""

    http_status = 400


class InvalidAnswer(DataLoss):
    """A registry's answer is not what the specification says; asking again would not help."""

    http_status = 502


class MirrorLied(DataLoss):
    """A mirror has other bytes under a digest. It is not asked again: the same content, opened anew, is another's."""

    http_status = 502


class Answered(Protocol):
    """An answer, as far as an error needs it."""

    status: int
    headers: Mapping[str, str]

    def read(self, size: int = -1, /) -> bytes:
        """Return a piece of the body."""
        ...


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


def error(answer: Answered, what: str) -> LaminaError:
    """Return the error that an answer is; `what` says what was asked of whom, and begins the message."""
    code, said = _said(answer)
    if answer.status == 404 and not said:
        return ContentNotFound(f"{what} not found")
    said = said or f"the registry answered {answer.status}"
    if answer.status == 401 or code == "UNAUTHORIZED":
        return Unauthorized(f"access to {what} needs 'lamina login': {said}")
    if answer.status == 403 or code == "DENIED":
        return AccessDenied(f"access denied for {what}, it does not exist or may require 'lamina login': {said}")
    if answer.status == 404:
        return ContentNotFound(f"{what} not found: {said}")
    text = f"{what}: {said}"
    if answer.status == 405:
        return NotSupported(text)
    if answer.status in (413, 507):
        return ResourceExhausted(text)
    if answer.status == 429:
        return TooManyRequests(text)
    if answer.status >= 500 or answer.status == 408:
        return RegistryUnavailable(text)
    return Refused(text) if answer.status >= 400 else InvalidAnswer(f"{text}, which is not expected here")


def _said(answer: Answered) -> tuple[str, str]:
    """Return the code and the words of an answer, as they may stand in a message."""
    try:
        raw = read_some(answer, _MOST)
        first = msgspec.json.decode(raw, type=_Errors).errors[0]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError, RegistryUnavailable):
        return "", ""
    code, message = printable(first.code)[:64], printable(first.message)[:300]
    return code, f"{code.lower().replace('_', ' ')}: {message}" if code and message else message or code


def read_some(source: Reader, most: int) -> bytes:
    """Return the first bytes of a body."""
    parts: list[bytes] = []
    while most > 0 and (data := source.read(most)):
        parts.append(data)
        most -= len(data)
    return b"".join(parts)


def printable(text: str) -> str:
    """Return a stranger's text in one line that moves no cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()
