"""Small files that tell when they are damaged: a JSON value in one line, and its SHA-256 in the next."""

import hashlib
from typing import Any, TypeVar

import msgspec

from .decoding import NOT_JSON
from .errors import DataLoss
from .files import is_want, replace

T = TypeVar("T")

_LIMIT = 16 << 20


class Damaged(DataLoss):
    """A file is not as it was written."""


def write(path: str, value: Any) -> None:
    """Put a value at `path`, for its owner's eyes, in one durable step."""
    replace(path, seal(msgspec.json.encode(value)), 0o600)


def read(path: str, kind: type[T]) -> T:
    """Return the value at `path`.

    Raises:
        FileNotFoundError: there is none; also NotADirectoryError.
        OSError: this process has no descriptor or memory left, which says nothing of the file.
        Damaged: it is not what was written.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        if is_want(error):
            raise
        raise Damaged(f"{path} is damaged: {error.strerror}") from error
    text = data.partition(b"\n")[0]
    if data != seal(text):
        raise Damaged(f"{path} is damaged: it is not what was written")
    try:
        return msgspec.json.decode(text, type=kind)
    except NOT_JSON as error:
        raise Damaged(f"{path} is damaged: {error}") from error


def seal(text: bytes) -> bytes:
    """Return what stands in the file of a JSON text."""
    return b"%b\n%b\n" % (text, hashlib.sha256(text).hexdigest().encode())
