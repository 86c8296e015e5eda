"""Volumes: directories that outlive containers, in the layout of Docker's local driver.

A volume is there whole or not: it is made in a temporary folder and renamed, and goes the same way. A container's
record is written before its volumes are made, so that nobody removes them meanwhile; those without a name are claimed
until it is whole.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeVar

import msgspec

from .. import sealed
from ..decoding import NOT_JSON
from ..errors import Conflict, InvalidArgument, NotFound, NotSupported
from ..files import fsync, syncfs
from ..lock import Lease, claims
from ..oci import times
from ..runtime.values import Bind
from ..store.journal import VOLUME as VOLUMES
from ..store.store import Store
from ..tar.root import NotBelow, Root, clean
from .mounts import TMPFS, VOLUME, Point, check_source
from .paths import DATA, OF_DOCKER, VolumePaths
from .records import UNUSED, Records

T = TypeVar("T")
Tree = AbstractContextManager[Root]
"""A tree, to be entered."""

_LIMIT = 1 << 20


class VolumeNotFound(NotFound):
    """There is no volume of a name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name}: no such volume")


class VolumeInUse(Conflict):
    """Containers have a volume; the message names them."""


class InvalidVolume(InvalidArgument):
    """A volume cannot be what it is asked to be."""


class Volume(msgspec.Struct, frozen=True):
    """A volume.

    Attributes:
        name: unique in the store.
        path: of its files.
        created: RFC 3339.
        labels: None where none were given.
        options: of Docker's local driver.
        anonymous: whether it was made for one container, without a name.
        problem: why its labels, and whether it is anonymous, cannot be known; empty where they can.
    """

    name: str
    path: str
    created: str
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    anonymous: bool = False
    problem: str = ""


class _Facts(msgspec.Struct, frozen=True):
    created: str = ""
    labels: dict[str, str] | None = None
    anonymous: bool = False


class _Options(msgspec.Struct, frozen=True):
    """Docker's opts.json."""

    type: str = msgspec.field(name="MountType", default="")
    o: str = msgspec.field(name="MountOpts", default="")
    device: str = msgspec.field(name="MountDevice", default="")


class _DockerPoint(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="Name", default="")


class _DockerContainer(msgspec.Struct, frozen=True):
    """The part of dockerd's own record of a container that matters here."""

    points: dict[str, _DockerPoint] | None = msgspec.field(name="MountPoints", default=None)


class Volumes:
    """The volumes of a store."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records
        self._paths = VolumePaths(store.paths.volumes, store.paths.volume_facts)

    def path(self, name: str) -> str:
        """Return where a volume's files are."""
        return self._paths.data(name)

    def exists(self, name: str) -> bool:
        """Tell whether there is a volume."""
        return bool(_pattern().fullmatch(name)) and os.path.isdir(self._paths.data(name))

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all volumes."""
        with contextlib.suppress(FileNotFoundError):
            yield from (name for name in sorted(os.listdir(self._paths.home)) if self.exists(name))

    def get(self, name: str) -> Volume:
        """Return what a volume is.

        Raises:
            VolumeNotFound: there is none.
        """
        if not self.exists(name):
            raise VolumeNotFound(name)
        try:
            info = os.stat(self._paths.data(name))
        except FileNotFoundError as error:
            raise VolumeNotFound(name) from error
        try:
            facts, problem = sealed.read(self._paths.facts(name), _Facts), ""
        except FileNotFoundError:
            facts, problem = _Facts(), ""  # one that dockerd made has none
        except sealed.Damaged as error:
            facts, problem = _Facts(), str(error)
        found = _read(self._paths.options(name), _Options)
        options = {key: value for key, value in msgspec.structs.asdict(found).items() if value} if found else None
        created = facts.created or times.rfc3339(int(info.st_ctime) * 10**9)
        return Volume(name, self.path(name), created, facts.labels, options, facts.anonymous, problem)

    def create(
        self, lease: Lease, name: str = "", labels: Mapping[str, str] | None = None, *, anonymous: bool = False
    ) -> str:
        """Make a volume, unless there is one of the name; return its name.

        Raises:
            InvalidVolume: it cannot have that name.
        """
        name = name or os.urandom(32).hex()
        check(name)
        if self.exists(name):
            return name
        facts = _Facts(
            times.rfc3339(int(times.parse_rfc3339(times.now()) // 10**9) * 10**9), _labels(labels), anonymous
        )
        with self._store.temporary_folder(lease) as folder:
            new = os.path.join(folder, name)
            os.mkdir(new, 0o701)
            os.mkdir(os.path.join(new, DATA), 0o755)
            os.chmod(os.path.join(new, DATA), 0o755)
            fsync(new)
            with self._store.lock():
                if self.exists(name):
                    return name
                _make_folder(self._paths.home, 0o701)
                _make_folder(self._paths.facts_home, 0o700)
                sealed.write(self._paths.facts(name), facts)
                os.rename(new, self._paths.folder(name))
        fsync(self._paths.home)
        self._tell("create", name)
        return name

    def _tell(self, action: str, name: str, **more: str) -> None:
        self._store.journal.note(VOLUMES, action, name, {"driver": "local", **more})

    def tell_mounted(self, container: str, points: Iterable[Point]) -> None:
        """Note the events of volumes that a container's process has now."""
        for point in points:
            if point.kind == VOLUME:
                place = {"container": container, "destination": point.destination, "propagation": point.propagation}
                self._tell("mount", point.name, **place, **{"read/write": str(not point.readonly).lower()})

    def tell_unmounted(self, container: str, points: Iterable[Point]) -> None:
        """Note those of volumes that it has no more."""
        for point in points:
            if point.kind == VOLUME:
                self._tell("unmount", point.name, container=container)

    def provide(self, lease: Lease, points: Iterable[Point]) -> None:
        """Have the volumes that a container is to have, whose record is there already, so that nobody removes them.

        Those without a name are claimed: they go after a crash, unless the container has come to be by then.

        Raises:
            InvalidVolume: one cannot have its name.
            NotSupported: one has options of Docker's driver, which has to mount it.
        """
        wanted = list(points)
        self.claim(lease, wanted)
        for point in wanted:
            if point.kind == VOLUME:
                self.create(lease, point.name, point.labels, anonymous=point.anonymous)
                if self.get(point.name).options:
                    what = f"volume {point.name} has options of Docker's local driver"
                    raise NotSupported(f"{what}: only dockerd can mount it")

    def fill(self, lease: Lease, container: str, points: Iterable[Point], tree: Callable[[], Tree]) -> None:
        """Copy what an image has at the places of volumes into those that are empty.

        The directory's owner, mode and attributes come along, also where it is empty.

        Args:
            lease: of the caller.
            container: whose volumes they are.
            points: its mounts.
            tree: opens the container's tree; it is called only if there is something to fill.

        Raises:
            InvalidVolume: the image has a file there.
        """
        empty = [one for one in points if one.kind == VOLUME and one.copies and not os.listdir(self.path(one.name))]
        if empty:
            with tree() as root:
                for point in empty:
                    self._fill(lease, container, point, root)

    def _fill(self, lease: Lease, container: str, point: Point, tree: Root) -> None:
        with self._store.temporary_folder(lease) as folder:
            new = os.path.join(folder, DATA)
            os.mkdir(new)
            if not _copy_out(tree, point.destination, new):
                return
            syncfs(folder)
            with self._store.lock():
                self._take_over(new, point.name, container)

    def _take_over(self, new: str, name: str, container: str) -> None:
        """Put filled files in the place of an empty volume's; at once, if no other container has the volume."""
        if os.listdir(self.path(name)):
            return  # somebody was faster
        if self.users(name) == [container]:
            os.rename(new, self.path(name))
            fsync(self._paths.folder(name))
            return
        with Root(new) as source, Root(self.path(name)) as target:
            _copy(source, target)

    @contextlib.contextmanager
    def scratch(self, lease: Lease, places: Iterable[str], tree: Callable[[], Tree]) -> Iterator[tuple[Bind, ...]]:
        """Make directories that are gone after a block, filled from a tree; yield how they are mounted.

        A step of a build sees the image's volumes so: what it changes below them is in no layer.
        """
        with self._store.temporary_folder(lease) as folder:
            found: list[Bind] = []
            for number, place in enumerate(sorted(places)):
                new = os.path.join(folder, str(number))
                os.mkdir(new, 0o755)
                with tree() as root:
                    _copy_out(root, place, new)
                found.append(Bind(new, place, recursive=False))
            yield tuple(found)

    def users(self, name: str) -> list[str]:
        """Return the ids of the containers that have a volume: half made and half removed ones, and a dockerd's."""
        return self.all_users().get(name, [])

    def all_users(self) -> dict[str, list[str]]:
        """Return the same of all volumes that any has, by name."""
        found: dict[str, list[str]] = {}
        ours = ((container, {one.name for one in points}) for container, points in self._records.mounted())
        for container, names in (*ours, *self._of_docker()):
            for name in names - {""}:
                found.setdefault(name, []).append(container)
        return found

    def _of_docker(self) -> Iterator[tuple[str, set[str]]]:
        """Yield the containers of a dockerd on the same root, and the names of their volumes."""
        home = self._store.paths.docker_containers
        for container in os.listdir(home) if os.path.isdir(home) else ():
            found = _read(os.path.join(home, container, "config.v2.json"), _DockerContainer)
            if found:
                yield container, {point.name for point in (found.points or {}).values()}

    def binds(self, points: Iterable[Point]) -> tuple[Bind, ...]:
        """Return how the volumes and directories of a container are mounted; directories that are missing are made.

        Raises:
            VolumeNotFound: a volume is gone.
            InvalidMount: what must be there is not.
        """
        return tuple(self._bind(point) for point in points if point.kind != TMPFS)

    def _bind(self, point: Point) -> Bind:
        if point.kind == VOLUME:
            return Bind(self.get(point.name).path, point.destination, point.readonly)
        check_source(point)
        if not os.path.lexists(point.source):
            os.makedirs(point.source, exist_ok=True)
        return Bind(point.source, point.destination, point.readonly, point.recursive, point.propagation)

    def remove(self, lease: Lease, name: str) -> None:
        """Remove a volume and its files.

        Raises:
            VolumeNotFound: there is none.
            VolumeInUse: a container has it.
        """
        if not self.exists(name):
            raise VolumeNotFound(name)
        with self._store.temporary_folder(lease) as folder:
            with self._store.lock():
                if users := self.users(name):
                    raise VolumeInUse(f"remove {name}: volume is in use - [{', '.join(users)}]")
                lease.add(UNUSED, name)
                try:
                    os.rename(self._paths.folder(name), os.path.join(folder, name))
                except FileNotFoundError as error:
                    raise VolumeNotFound(name) from error
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._paths.facts(name))
            if os.path.isdir(self._paths.home):
                fsync(self._paths.home)
        lease.drop(UNUSED, name)
        self._tell("destroy", name)

    def remove_unused(self, lease: Lease, names: Iterable[str]) -> None:
        """Remove those of some volumes that are there and that no container has."""
        for name in names:
            with contextlib.suppress(VolumeNotFound, VolumeInUse):
                self.remove(lease, name)
            lease.drop(UNUSED, name)

    def claim(self, lease: Lease, points: Iterable[Point]) -> list[str]:
        """Say that the volumes without a name go with their container; return them."""
        names = [point.name for point in points if point.anonymous]
        for name in names:
            lease.add(UNUSED, name)
        return names

    def keep(self, lease: Lease, points: Iterable[Point]) -> None:
        """Say that they stay."""
        for point in points:
            if point.anonymous:
                lease.drop(UNUSED, point.name)

    def size(self, name: str) -> int:
        """Return the bytes of a volume's files, each counted once however many names it has."""
        seen: set[int] = set()
        total = 0
        with Root(self.path(name)) as root:
            for _, _, _, info in root.walk():
                if info.st_ino not in seen and not stat.S_ISDIR(info.st_mode):
                    seen.add(info.st_ino)
                    total += info.st_size
        return total

    def check(self) -> Iterator[str]:
        """Yield what is wrong with volumes, a line each: those that containers have must be there."""
        claimed = claims(self._store.paths.leases)
        for container, points in self._records.mounted():
            for point in points:
                if point.kind == VOLUME and not self.exists(point.name) and (UNUSED, point.name) not in claimed:
                    yield f"container {container[:12]}: its volume {point.name} is missing"
        for name in self:
            with contextlib.suppress(FileNotFoundError):
                try:
                    sealed.read(self._paths.facts(name), _Facts)
                except sealed.Damaged as error:
                    yield str(error)
        yield from (f"{path} is no volume" for path in self._damaged())

    def mend(self, lease: Lease, aside: Callable[[str], None]) -> Iterator[str]:
        """Put right what is wrong with volumes; yield what was done, a line each."""
        for path in self._damaged():
            aside(path)
            yield f"quarantined {path}: it is no volume"
        for name in self:
            with contextlib.suppress(FileNotFoundError):
                try:
                    sealed.read(self._paths.facts(name), _Facts)
                except sealed.Damaged as error:
                    aside(self._paths.facts(name))
                    yield f"volume {name}: {error}; what it said is no longer known"
        claimed = claims(self._store.paths.leases)
        for container, points in self._records.mounted():
            for point in points:
                if point.kind == VOLUME and not self.exists(point.name) and (UNUSED, point.name) not in claimed:
                    self.create(lease, point.name, point.labels, anonymous=point.anonymous)
                    yield f"made volume {point.name} of container {container[:12]} anew: it is empty"

    def _damaged(self) -> Iterator[str]:
        """Yield the paths of what has a volume's name in the folder of volumes, and is none."""
        home = self._paths.home
        for name in sorted(os.listdir(home)) if os.path.isdir(home) else ():
            if name not in OF_DOCKER and _pattern().fullmatch(name) and not self.exists(name):
                yield self._paths.folder(name)


def check(name: str) -> None:
    """Refuse what no volume can be called.

    Raises:
        InvalidVolume: it is so.
    """
    if len(name) == 1:
        what = "volume name is too short, names should be at least two alphanumeric characters"
        raise InvalidVolume(f"create {name}: {what}")
    if not _pattern().fullmatch(name):
        allowed = 'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'
        remedy = "If you intended to pass a host directory, use absolute path"
        raise InvalidVolume(
            f'create {name}: "{name}" includes invalid characters for a local volume name, {allowed}. {remedy}'
        )


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def _copy_out(tree: Root, place: str, new: str) -> bool:
    """Copy what a directory of a tree holds into a new one, which becomes like it; return whether there is one.

    Raises:
        InvalidVolume: there is a file.
    """
    try:
        fd = tree.directory(clean(os.fsencode(place)))
    except FileNotFoundError:
        return False
    except NotBelow as error:
        raise InvalidVolume(f"cannot mount volume over existing file, file exists {place}") from error
    with Root(f"/proc/self/fd/{fd}") as source, Root(new) as target:
        _copy(source, target)
    return True


def _copy(source: Root, target: Root) -> None:
    from ..snapshot.copying import Copier, copy_metadata  # noqa: PLC0415 - few containers fill a volume

    Copier(target).tree(source, b"", b"")
    copy_metadata(source.fd, b".", os.fstat(source.fd), target.fd, b".")


def _labels(labels: Mapping[str, str] | None) -> dict[str, str] | None:
    return dict(labels) if labels else None


def _make_folder(path: str, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode)


def _read(path: str, kind: type[T]) -> T | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_LIMIT), type=kind)
    except (OSError, *NOT_JSON):
        return None
