"""Small files that tell when they are damaged: a JSON value in one line, and its SHA-256 in the next."""

import errno
import hashlib
from typing import Any, TypeVar

import msgspec

from .errors import DataLoss
from .files import replace

T = TypeVar("T")

_LIMIT = 16 << 20


class Damaged(DataLoss):
    """A file is not as it was written."""


def write(path: str, value: Any) -> None:
    """Put a value at `path`, for its owner's eyes, in one durable step."""
    text = msgspec.json.encode(value)
    replace(path, text + b"\n" + _seal(text) + b"\n", 0o600)


def read(path: str, kind: type[T]) -> T:
    """Return the value at `path`.

    Raises:
        FileNotFoundError: there is none; also NotADirectoryError.
        OSError: this process has no descriptor or memory left, which says nothing of the file.
        Damaged: it is not what was written.
    """
    try:
        with open(path, "rb") as file:
            text, _, seal = file.read(_LIMIT).partition(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        raise Damaged(f"{path} is damaged: {error.strerror}") from error
    if seal != _seal(text) + b"\n":
        raise Damaged(f"{path} is damaged: it is not what was written")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}") from error


def _seal(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()
