"""What a build is given: a Dockerfile, and the files that it may copy.

folder   stream      Dockerfile                        context
yes      -           in the folder, or any other file  the folder
yes      Dockerfile  the stream                        the folder
-        Dockerfile  the stream                        none
-        a tar       in the tar                        what the tar holds
"""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from ..compression import decompressed, peek
from ..containers.files import Merge
from ..lock import Lease
from ..store.store import Store
from ..streams import Reader, read_small
from ..tar.apply import apply
from ..tar.header import BLOCK, has_checksum
from ..tar.reader import Reader as TarReader
from ..tar.root import Breakout, Root
from .contents import Contents
from .context import LIMIT, Context, NoDockerfile, ignore_of, open_folder, read_file

DEFAULT = "Dockerfile"


class Inputs(msgspec.Struct, frozen=True):
    """Where the Dockerfile and the context come from; see the table above.

    Attributes:
        folder: the context; empty for none, or for what the stream holds.
        stream: a Dockerfile or a tar; None where both are in files.
        dockerfile: path of the Dockerfile, relative to the context's root unless absolute; empty for `Dockerfile`.
    """

    folder: str = ""
    stream: BinaryIO | None = None
    dockerfile: str = ""


class Opened(NamedTuple):
    """A Dockerfile's bytes, its name for messages, and the context."""

    dockerfile: bytes
    name: str
    context: Context


@contextlib.contextmanager
def opened(inputs: Inputs, store: Store, lease: Lease) -> Iterator[Opened]:
    """Open what a build is given.

    Raises:
        NoDockerfile: it is not there.
        InvalidArgument: the context cannot be read.
        InvalidTar: the stream begins as a tar, and is none.
    """
    if inputs.folder:
        where = os.path.abspath(inputs.folder)
        with open_folder(inputs.folder) as root, Contents(store.paths.contexts, where) as contents:
            yield _in_folder(inputs, root, where, contents)
        return
    assert inputs.stream is not None, "neither a folder nor a stream"
    with store.temporary_folder(lease) as path, Root(path) as root:
        head, stream = peek(decompressed(inputs.stream), BLOCK)
        if len(head) == BLOCK and has_checksum(head):
            apply(TarReader(stream), root, Merge())
            yield _in_tar(inputs.dockerfile or DEFAULT, root)
        else:
            yield Opened(_read(stream), DEFAULT, Context(root, "no context: the Dockerfile came from stdin"))


def _in_folder(inputs: Inputs, root: Root, where: str, contents: Contents) -> Opened:
    if inputs.stream is not None:
        return Opened(_read(inputs.stream), DEFAULT, Context(root, where, ignore_of(root, ""), contents))
    name = inputs.dockerfile or _default(where)
    path = os.path.join(where, name)
    try:
        with open(path, "rb") as file:
            data = _read(file)
    except OSError as error:
        raise NoDockerfile(
            f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
            f"{path}: {(error.strerror or str(error)).lower()}"
        ) from error
    inside = os.path.relpath(path, where)
    ignore = ignore_of(root, "" if inside.startswith("..") else inside)
    shown = os.path.basename(name) if os.path.isabs(name) else name
    return Opened(data, shown, Context(root, where, ignore, contents))


def _default(folder: str) -> str:
    """Return the name of the Dockerfile; in small letters only where it is written so."""
    small = DEFAULT.lower()
    is_small = not os.path.lexists(os.path.join(folder, DEFAULT)) and os.path.lexists(os.path.join(folder, small))
    return small if is_small else DEFAULT


def _in_tar(name: str, root: Root) -> Opened:
    try:
        data = read_file(root, name)
    except Breakout:
        data = None
    if data is None:
        raise NoDockerfile(f"Cannot locate specified Dockerfile: {name} is not in the context")
    return Opened(data, name, Context(root, "the context from stdin", ignore_of(root, name)))


def _read(stream: Reader) -> bytes:
    return read_small(stream, LIMIT, "the Dockerfile")
