"""What COPY and ADD take from a tree, and the checksum by which the cache knows it.

The checksum is of what a copy would make: names below the source, types, modes, sizes, links, attributes and
contents; of times nothing, of owners only where they are kept, of modes only where `--chmod` does not set them.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ..containers.files import FileNotFound, Place
from ..dockerfile import glob
from ..errors import InvalidArgument, NotFound
from ..tar.pack import entry
from ..tar.root import Breakout, clean
from .context import Context, Found


class SourceNotFound(NotFound):
    """There is nothing to copy."""


class OutsideContext(InvalidArgument):
    """A path leads out of the build context."""


class Selected(NamedTuple):
    """One file or directory to copy: where it is in the tree, links followed, and the name it was asked by."""

    path: bytes
    info: os.stat_result
    name: bytes

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.info.st_mode)


def select(context: Context, texts: tuple[str, ...], keyword: str) -> list[Selected]:
    """Return what some words of an instruction name, wildcards resolved.

    Raises:
        SourceNotFound: a word names nothing, or only what is ignored.
        OutsideContext: a word leads above the context.
    """
    found: list[Selected] = []
    for text in texts:
        if glob.is_pattern(text):
            found += _matching(context, text)
        else:
            found.append(_single(context, text, keyword))
    if not found:
        raise SourceNotFound(f"{keyword} failed: no source files were specified")
    return found


def _single(context: Context, text: str, keyword: str) -> Selected:
    try:
        path = clean(os.fsencode(text))
    except Breakout as error:
        raise OutsideContext(
            f"{keyword} failed: forbidden path outside the build context: {text} ({context.where})"
        ) from error
    place = Place(context.root, text, context.where, follow=True)
    try:
        info = place.require()
    except FileNotFound as error:
        raise _absent(text, keyword) from error
    if context.excludes(path) and not (stat.S_ISDIR(info.st_mode) and any(True for _ in context.walk(place.path))):
        raise _absent(text, keyword)
    return Selected(place.path, info, path.rpartition(b"/")[2])


def _absent(text: str, keyword: str) -> SourceNotFound:
    return SourceNotFound(
        f"{keyword} failed: file not found in build context or excluded by .dockerignore: "
        f"stat {text}: file does not exist"
    )


def _matching(context: Context, pattern: str) -> Iterator[Selected]:
    wanted = os.path.normpath(pattern.lstrip("/"))
    for found in context.walk():
        if glob.match(wanted, os.fsdecode(found.path)):
            place = Place(context.root, os.fsdecode(found.path), context.where, follow=True)
            if place.info is not None:
                yield Selected(place.path, place.info, found.name)


class Keeps(NamedTuple):
    """Which metadata of a source a copy keeps."""

    owner: bool
    mode: bool


def checksum(context: Context, one: Selected, keeps: Keeps) -> str:
    """Return what stands for a source: `file:<hex>` or `dir:<hex>`."""
    if not one.is_directory:
        folder, name = context.root.parent(one.path)
        return f"file:{_file(context, Found(one.path, folder, name, one.info), one.name, keeps)}"
    sums = [_file(context, found, found.path[len(one.path) :].lstrip(b"/"), keeps) for found in context.walk(one.path)]
    return f"dir:{hashlib.sha256(','.join(sums).encode()).hexdigest()}"


def _file(context: Context, found: Found, shown: bytes, keeps: Keeps) -> str:
    path, folder, name, info = found
    if stat.S_ISSOCK(info.st_mode):
        return ""
    member = entry(shown, info, folder, name)
    content = context.content(folder, name, path, info).hex() if stat.S_ISREG(info.st_mode) else None
    facts = [
        member.name.hex(),
        member.type.decode("latin-1"),
        member.mode if keeps.mode else None,
        [member.uid, member.gid] if keeps.owner else None,
        member.size,
        member.linkname.hex(),
        [member.major, member.minor],
        sorted((key.hex(), value.hex()) for key, value in member.xattrs.items()),
        content,
    ]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
