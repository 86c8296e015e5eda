"""What a container is to have at places of its tree: volumes, directories of the host, memory.

`Asked` is a wish, of `--volume` or `--mount`; `Point` is what a container got, as its record keeps it. The rules and
words are Docker's (moby, volume/mounts/linux_parser.go and validate.go, daemon/volumes.go).
"""

import os
from collections.abc import Iterable

import msgspec

from ..errors import InvalidArgument, NotSupported
from ..runtime.values import Tmpfs

BIND, VOLUME, TMPFS = "bind", "volume", "tmpfs"
"""Kinds of mounts."""

_PRIVATE = ("private", "rprivate")
_SLAVE = ("slave", "rslave")
_SHARED = ("shared", "rshared")
_MODES = (
    ("ro", "rw"),
    ("z", "Z"),
    (*_PRIVATE, *_SLAVE, *_SHARED),
    ("nocopy",),
    ("consistent", "cached", "delegated"),
)
"""The words of a mode; of each row it may have one."""


class InvalidMount(InvalidArgument):
    """A mount is malformed, or does not fit the others."""


class Asked(msgspec.Struct, frozen=True):
    """A mount that is wished for.

    Attributes:
        kind: `bind`, `volume` or `tmpfs`.
        target: where, absolute.
        source: a directory or file of the host, or a volume's name; empty for a new volume without a name.
        mode: the words behind the second colon of `--volume`.
        propagation: of mounts below it; empty for Docker's, rprivate.
        must_exist: whether the source must be there; else a directory is made.
        nocopy: whether an empty volume stays empty.
        labels: of the volume, if it is made.
        options: of its driver.
        size: of a tmpfs, in bytes; 0 for as much as the system gives.
        permissions: of a tmpfs.
        has_bind_options: whether any were given, as `has_volume_options` for those of volumes.
    """

    kind: str
    target: str
    source: str = ""
    mode: str = ""
    readonly: bool = False
    propagation: str = ""
    recursive: bool = True
    must_exist: bool = False
    nocopy: bool = False
    labels: dict[str, str] = {}
    driver: str = ""
    options: dict[str, str] = {}
    size: int = 0
    permissions: int | None = None
    consistency: str = ""
    has_bind_options: bool = False
    has_volume_options: bool = False


class Point(msgspec.Struct, frozen=True):
    """A mount of a container.

    Attributes:
        kind: `bind`, `volume` or `tmpfs`.
        destination: where, clean.
        source: the directory or file of the host, for a bind.
        name: of the volume.
        anonymous: whether the volume was made for this container, without a name of its own.
        mode: as `inspect` shows it.
        copies: whether an empty volume is filled from the image.
        must_exist: whether the source must be there; else a directory is made.
        labels: of the volume, if it is made.
    """

    kind: str
    destination: str
    source: str = ""
    name: str = ""
    anonymous: bool = False
    mode: str = ""
    readonly: bool = False
    propagation: str = ""
    recursive: bool = True
    copies: bool = True
    must_exist: bool = False
    labels: dict[str, str] = {}
    size: int = 0
    permissions: int | None = None


def volume(text: str) -> Asked:
    """Return what `source:destination[:mode]` asks for.

    Raises:
        InvalidMount: it is malformed.
        NotSupported: it is valid, and not offered.
    """
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or (len(parts) == 2 and parts[1] and _is_mode(parts[1])):
        raise InvalidMount(f"invalid volume specification: '{text}'")
    source, target, mode = (*parts, "")[:3]
    if not _is_mode(mode):
        raise InvalidMount(f"invalid mode: {mode}")
    words = mode.split(",")
    asked = Asked(
        BIND if source.startswith("/") else VOLUME,
        target,
        source,
        mode,
        readonly="ro" in words,
        propagation=next((word for word in words if word in _MODES[2]), ""),
        nocopy="nocopy" in words,
        has_bind_options=any(word in _MODES[2] for word in words),
        has_volume_options="nocopy" in words,
    )
    try:
        check(asked)
    except InvalidMount as error:
        raise InvalidMount(f"invalid volume specification: '{text}': {error}") from error
    return asked


def check(asked: Asked) -> None:
    """Refuse a mount that cannot be.

    Raises:
        InvalidMount: it is malformed.
        NotSupported: it is valid, and not offered.
    """
    if problem := _problem(asked):
        raise InvalidMount(f'invalid mount config for type "{asked.kind}": {problem}')
    if asked.propagation in _SHARED:
        what = "a container's mounts are never seen outside of it"
        raise NotSupported(f"bind propagation {asked.propagation!r} is not supported: {what}")
    if asked.driver not in ("", "local"):
        raise NotSupported(f"volume driver {asked.driver!r} is not supported: there is local")
    if asked.options:
        raise NotSupported("options of volume drivers are not supported")


def _problem(asked: Asked) -> str:
    if asked.kind not in (BIND, VOLUME, TMPFS):
        return "mount type unknown"
    if not asked.target:
        return "field Target must not be empty"
    if os.path.normpath(asked.target).lstrip("/") in ("", "."):
        return "invalid specification: destination can't be '/'"
    if not asked.target.startswith("/"):
        return _not_absolute(asked.target)
    return {BIND: _bind_problem, VOLUME: _volume_problem, TMPFS: _tmpfs_problem}[asked.kind](asked)


def _bind_problem(asked: Asked) -> str:
    if not asked.source:
        return "field Source must not be empty"
    if asked.has_volume_options:
        return "field VolumeOptions must not be specified"
    if asked.propagation and asked.propagation not in _MODES[2]:
        return f"invalid propagation mode: {asked.propagation}"
    if not asked.source.startswith("/"):
        return _not_absolute(asked.source)
    if asked.must_exist and not os.path.lexists(asked.source):
        return f"bind source path does not exist: {asked.source}"
    return ""


def _volume_problem(asked: Asked) -> str:
    if asked.has_bind_options:
        return "field BindOptions must not be specified"
    if not asked.source and asked.readonly:
        return "must not set ReadOnly mode when using anonymous volumes"
    return ""


def _tmpfs_problem(asked: Asked) -> str:
    return "field Source must not be specified" if asked.source else ""


def _not_absolute(path: str) -> str:
    return f"invalid mount path: '{path}' mount path must be absolute"


def _is_mode(text: str) -> bool:
    words = text.split(",") if text else []
    known = [word for row in _MODES for word in row]
    return all(word in known for word in words) and all(sum(word in row for word in words) < 2 for row in _MODES)


def points(wanted: Iterable[Asked], image: Iterable[str], taken: Iterable[str] = ()) -> list[Point]:
    """Return what a container gets: what is asked for, and a new volume at every other place that is to have one.

    Args:
        wanted: in any order.
        image: places of the image's VOLUMEs, and of `--volume` without a source.
        taken: places that something else is mounted at.

    Raises:
        InvalidMount: two are at one place.
    """
    found: dict[str, Point] = {}
    busy = {os.path.normpath(place) for place in taken}
    for asked in wanted:
        place = _clean(asked.target)
        if place in found or place in busy:
            raise InvalidMount(f"Duplicate mount point: {place}")
        found[place] = _point(asked, place)
    for text in image:
        check(Asked(VOLUME, text))
        place = _clean(text)
        if place not in found and place not in busy:
            found[place] = Point(VOLUME, place, name=_new_name(), anonymous=True)
    return list(found.values())


def _point(asked: Asked, place: str) -> Point:
    is_volume = asked.kind == VOLUME
    return Point(
        asked.kind,
        place,
        source=os.path.normpath(asked.source) if asked.kind == BIND else "",
        name=(asked.source or _new_name()) if is_volume else "",
        anonymous=is_volume and not asked.source,
        mode=asked.mode or ("z" if is_volume else ""),
        readonly=asked.readonly,
        propagation=(asked.propagation or "rprivate") if asked.kind == BIND else "",
        recursive=asked.recursive,
        copies=is_volume and not asked.nocopy,
        must_exist=asked.must_exist,
        labels=asked.labels,
        size=asked.size,
        permissions=asked.permissions,
    )


def check_source(point: Point) -> None:
    """Refuse a bind whose source is not as it must be.

    Raises:
        InvalidMount: it is missing, or its file system does not tell others of its mounts.
    """
    if point.must_exist and not os.path.lexists(point.source):
        raise InvalidMount(f'invalid mount config for type "bind": bind source path does not exist: {point.source}')
    if point.propagation in _SLAVE:
        place, is_shared = _mount_of(os.path.realpath(point.source))
        if not is_shared:
            raise InvalidMount(f"path {point.source} is mounted on {place} but it is not a shared or slave mount")


def _mount_of(path: str) -> tuple[str, bool]:
    """Return where the file system of a path is mounted, and whether it is a shared or slave mount (proc(5))."""
    found, is_shared = "/", False
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.partition(" - ")[0].split()
            place = fields[4].encode().decode("unicode_escape") if "\\" in fields[4] else fields[4]
            if len(place) >= len(found) and os.path.commonpath([place, path]) == place:
                found, is_shared = place, any(word.startswith(("shared:", "master:")) for word in fields[6:])
    return found, is_shared


def tmpfs(points: Iterable[Point]) -> tuple[Tmpfs, ...]:
    """Return the file systems in memory among some mounts."""
    return tuple(Tmpfs(point.destination, _options(point)) for point in points if point.kind == TMPFS)


def _options(point: Point) -> tuple[str, ...]:
    options = ["noexec", "nosuid", "nodev", "rprivate"]
    options += ["ro"] if point.readonly else []
    options += [f"size={point.size}"] if point.size else []
    options += [f"mode={point.permissions:o}"] if point.permissions is not None else []
    return tuple(options)


def _clean(path: str) -> str:
    return "/" + os.path.normpath(path).lstrip("/")


def _new_name() -> str:
    return os.urandom(32).hex()
