"""Files and folders that are on disk when a call returns: bytes, names, and every folder made on the way."""

import contextlib
import os
from collections.abc import Iterable, Sequence

_TRIES = 8


def place(files: Sequence[tuple[str, bytes]]) -> None:
    """Put files at their paths, in this order, each whole; folders are made as needed.

    All bytes are on disk before the first name is seen, and all names when the call returns. A failure leaves no
    temporary file.
    """
    for attempt in range(_TRIES):
        with contextlib.ExitStack() as stack:
            try:
                temporaries = [(_temporary(path, data, stack), path) for path, data in files]
                for temporary, path in temporaries:
                    os.rename(temporary, path)
                sync({os.path.dirname(path) for path, _ in files})
                return
            except FileNotFoundError:  # another one removed a folder meanwhile
                if attempt == _TRIES - 1:
                    raise


def _temporary(path: str, data: bytes, stack: contextlib.ExitStack) -> str:
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:
        make(folder)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    stack.callback(unlink, temporary)
    try:
        write(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    return temporary


def make(folder: str) -> None:
    """Make a folder and those above it; each that is new is on disk in the one above it."""
    missing: list[str] = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o777)
        sync([os.path.dirname(path)])  # also if another one made it: its own call may not have come so far


def sync(folders: Iterable[str]) -> None:
    """Make the names in folders durable; a folder that is gone has none."""
    for folder in folders:
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def unlink(path: str) -> None:
    """Remove a file that may be gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def rmdir(path: str) -> None:
    """Remove a folder that may be gone, or in use again."""
    with contextlib.suppress(OSError):
        os.rmdir(path)
