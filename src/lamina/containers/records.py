"""What containers there are: their records, states and names, found by id, beginning of an id, or name."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

import msgspec

from .. import sealed
from ..errors import AlreadyExists, DataLoss, InvalidArgument, LaminaError, NotFound
from ..files import fsync, remove_tree
from ..lock import exclusive, lock_fd
from ..oci import config, digest
from ..oci.digest import Digest
from ..pids import ProcessId
from .host import Host
from .mounts import Point
from .paths import MONITORED, NAMES, Paths

CREATED, RUNNING, PAUSED, RESTARTING, EXITED = "created", "running", "paused", "restarting", "exited"
"""The states of a container."""

LIVE = (RUNNING, PAUSED, RESTARTING)
"""Those of a container that has a process, or will have one again."""

CONTAINER, RUNS, RENAMED, FROZEN = CLAIMS = "container", "runs", "renamed", "frozen"
"""Kinds of claims in a lease: a container that is half made, or goes with its owner; one whose process runs; one that
gets another name; one whose processes are frozen while its owner reads its files."""

UNUSED = "volume"
"""The kind of claim of a volume that goes if no container has it."""


class ContainerNotFound(NotFound):
    """No container has this id or name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such container: {name}")


class NameTaken(AlreadyExists):
    """Another container has the name."""


class Record(msgspec.Struct, frozen=True):
    """A container.

    Attributes:
        id: 64 hex digits.
        name: unique in the store.
        created: RFC 3339.
        image_id: the image that it was made from.
        image: that image as its user named it.
        config: what it runs, settled with its image's config.
        host: what of the host it gets.
        mounts: what it has at which places.
    """

    id: str
    name: str
    created: str
    image_id: Digest
    image: str
    config: config.RunConfig
    host: Host
    mounts: list[Point] = []

    @property
    def command(self) -> list[str]:
        """The program that it runs, and its arguments."""
        return [*(self.config.entrypoint or []), *(self.config.cmd or [])]


class State(msgspec.Struct, frozen=True):
    """What became of a container; times are RFC 3339, empty before they come.

    Attributes:
        status: one of the states above.
        oom_killed: whether it ran out of its memory and the kernel killed a process of it for that.
        stopped: somebody ended it on purpose, so that it is not to be started again by itself.
        restarts: how often it was started again by itself.
    """

    status: str = CREATED
    started: str = ""
    finished: str = ""
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    stopped: bool = False
    restarts: int = 0


LOST = State(EXITED, exit_code=255, error="its state was lost")
"""What is said of a container whose state cannot be read."""


def is_lost(state: State) -> bool:
    """Tell whether a state is what little is known of one that could not be read."""
    return state.error == LOST.error


class Records:
    """The containers of a store. Writers hold the store's lock."""

    def __init__(self, home: str) -> None:
        self._paths = Paths(home)

    def folder(self, container: str) -> str:
        """Return the folder of a container."""
        return self._paths.folder(container)

    @contextlib.contextmanager
    def hold(self, container: str, *, alone: bool = False, wait: bool = True) -> Iterator[bool]:
        """Keep a container from being removed, or, alone, from being used, for the length of a block.

        Args:
            container: its id.
            alone: exclude all others; else only those who ask for that.
            wait: wait for those who exclude us.

        Yields:
            True, or without `wait` False when another one holds it.

        Raises:
            ContainerNotFound: it is gone.
        """
        try:
            fd = os.open(self._paths.folder(container), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ContainerNotFound(container) from error
        try:
            held = lock_fd(fd, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, wait=wait)
            if not os.fstat(fd).st_nlink:
                raise ContainerNotFound(container)
            yield held
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def added(self, record: Record) -> Iterator[None]:
        """Enter a new container, and hold it for the length of a block; nobody sees it before `complete`.

        Raises:
            NameTaken: another has its name.
        """
        os.makedirs(self._paths.names, 0o700, exist_ok=True)
        os.makedirs(self._paths.folder(record.id), 0o700, exist_ok=True)
        with self.hold(record.id):
            self.set_state(record.id, State())
            sealed.write(self._paths.incomplete(record.id), record)
            self._take_name(record)  # last: what is left of a container says which name it had
            yield

    def complete(self, container: str) -> None:
        """Let a new container be seen."""
        os.rename(self._paths.incomplete(container), self._paths.record(container))
        fsync(self._paths.folder(container))

    def _take_name(self, record: Record) -> None:
        link = self._paths.name(record.name)
        holder = _readlink(link)
        if holder and (self.exists(holder) or self._is_held(holder)):
            raise NameTaken(
                f'Conflict. The container name "/{record.name}" is already in use by container "{holder}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)  # of a container that was never completed
        os.symlink(record.id, link)

    def _is_held(self, container: str) -> bool:
        try:
            with self.hold(container, alone=True, wait=False) as is_ours:
                return not is_ours
        except ContainerNotFound:
            return False

    def get(self, container: str) -> Record:
        """Return a container by its whole id.

        Raises:
            ContainerNotFound: there is none.
            sealed.Damaged: its record cannot be read.
        """
        return _read(self._paths.record(container), container)

    def mounted(self) -> Iterator[tuple[str, list[Point]]]:
        """Yield what each container has mounted, also those that are being made or removed."""
        for container in sorted(os.listdir(self._paths.home)):
            for path in (self._paths.record(container), self._paths.incomplete(container)):
                with contextlib.suppress(NotFound, DataLoss):
                    yield container, _read(path, container).mounts
                    break

    def state(self, container: str) -> State:
        """Return what is written of a container's state; `life.Containers.state` knows whether it still holds."""
        try:
            return sealed.read(self._paths.state(container), State)
        except (FileNotFoundError, NotADirectoryError, sealed.Damaged):
            return LOST

    def set_state(self, container: str, state: State) -> None:
        """Write a container's state."""
        sealed.write(self._paths.state(container), state)

    def log(self, container: str) -> str:
        """Return the file with what a container's process printed; it may not be there."""
        return self._paths.log(container)

    @contextlib.contextmanager
    def starting(self, container: str) -> Iterator[None]:
        """Exclude others that would start a container's process, or note its end, for the length of a block.

        Raises:
            ContainerNotFound: it is gone.
        """
        try:
            with exclusive(self._paths.life(container)):
                yield
        except FileNotFoundError as error:
            if os.path.isdir(self._paths.folder(container)):
                raise
            raise ContainerNotFound(container) from error

    def monitor(self, container: str) -> ProcessId | None:
        """Return the conmon that a container was left to, None if it was to none."""
        try:
            return sealed.read(self._paths.monitor(container), ProcessId)
        except (FileNotFoundError, NotADirectoryError, sealed.Damaged):
            return None

    def set_monitor(self, container: str, monitor: ProcessId | None) -> None:
        """Note, or forget, the conmon that a container is left to."""
        if monitor is not None:
            os.makedirs(self._paths.monitored, 0o700, exist_ok=True)
            sealed.write(self._paths.monitor(container), monitor)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._paths.monitor(container))

    def unmonitored(self) -> list[str]:
        """Return the containers that were left to a conmon which is gone."""
        found = os.listdir(self._paths.monitored) if os.path.isdir(self._paths.monitored) else []
        monitors = ((name, self.monitor(name)) for name in sorted(found) if digest.is_hex(name))
        return [name for name, monitor in monitors if monitor is None or not monitor.is_alive]

    def rename(self, container: str, name: str) -> None:
        """Give a container another name.

        Raises:
            NameTaken: another has that name.
        """
        new = msgspec.structs.replace(self.get(container), name=name)
        self._take_name(new)
        sealed.write(self._paths.record(container), new)
        self._keep_name(container, name)

    def tidy_names(self, container: str) -> None:
        """Take away the names that a renamed container has no more, or did not get."""
        try:
            name = self.get(container).name
        except LaminaError:
            return  # one that goes takes its name along
        self._keep_name(container, name)

    def _keep_name(self, container: str, name: str) -> None:
        """Take away all names of a container but one."""
        for other in os.listdir(self._paths.names):
            if other != name and _readlink(self._paths.name(other)) == container:
                os.unlink(self._paths.name(other))

    def __iter__(self) -> Iterator[str]:
        names = sorted(os.listdir(self._paths.home))
        yield from (name for name in names if self.exists(name))

    def exists(self, container: str) -> bool:
        """Tell whether there is a container of an id."""
        return os.path.exists(self._paths.record(container))

    def strays(self) -> Iterator[tuple[str, str]]:
        """Yield folders without a record, and names without a container: what, and the id that it is of."""
        for name in sorted(os.listdir(self._paths.home)):
            if name not in (NAMES, MONITORED) and not self.exists(name):
                yield name, name
        for name in sorted(os.listdir(self._paths.names)) if os.path.isdir(self._paths.names) else ():
            holder = _readlink(self._paths.name(name))
            if not holder or not self._has_name(holder, name):
                yield f"{NAMES}/{name}", holder

    def _has_name(self, container: str, name: str) -> bool:
        """Tell whether a container has a name; one whose record cannot be read may have."""
        try:
            return self.get(container).name == name
        except NotFound:
            return False
        except DataLoss:
            return True

    def check(self, container: str) -> Iterator[str]:
        """Yield what is wrong with what is written of a container, a line each."""
        try:
            record = self.get(container)
            if _readlink(self._paths.name(record.name)) != container:
                yield f"container {container[:12]} is not found by its name {record.name}"
            sealed.read(self._paths.state(container), State)
        except FileNotFoundError:
            yield f"the state of container {container[:12]} is missing"
        except ContainerNotFound:
            return
        except DataLoss as error:
            yield str(error)
        yield from (f"{path} is a folder" for path in self._folders(container))

    def mend(self, container: str, aside: Callable[[str], None]) -> Iterator[str]:
        """Put right what is written of a container whose record can be read; yield what was done, a line each."""
        for path in self._folders(container):
            aside(path)
            yield f"quarantined {path}: it was a folder"
        try:
            sealed.read(self._paths.state(container), State)
        except (FileNotFoundError, DataLoss):
            self.set_state(container, LOST)
            yield f"container {container[:12]}: its state is lost, it counts as ended with exit status {LOST.exit_code}"
        name = self.get(container).name
        if _readlink(self._paths.name(name)) != container:
            if os.path.lexists(self._paths.name(name)):
                aside(self._paths.name(name))
            os.makedirs(self._paths.names, 0o700, exist_ok=True)
            os.symlink(container, self._paths.name(name))
            yield f"container {container[:12]}: found by its name {name} again"

    def _folders(self, container: str) -> list[str]:
        """Return the paths of a container's files where a folder is."""
        return [path for path in self._paths.files(container) if os.path.isdir(path) and not os.path.islink(path)]

    def path(self, stray: str) -> str:
        """Return the path of what `strays` yields."""
        return os.path.join(self._paths.home, stray)

    def find(self, text: str) -> Record:
        """Return the container of a name, an id, or the beginning of one.

        Raises:
            ContainerNotFound: there is none.
            InvalidArgument: the ids of several begin so.
        """
        name = text.removeprefix("/")
        if "/" in name or name in ("", ".", ".."):
            raise ContainerNotFound(text)
        if self.exists(name):
            return self.get(name)
        if holder := _readlink(self._paths.name(name)):
            return self.get(holder)
        found = [known for known in self if known.startswith(text)] if digest.is_hex(text) else []
        if len(found) > 1:
            raise InvalidArgument(f"container id {text!r} is ambiguous: {', '.join(one[:12] for one in found[:3])}")
        if not found:
            raise ContainerNotFound(text)
        return self.get(found[0])

    def hide(self, container: str, *, durable: bool = True) -> None:
        """Take a container out of sight, and its name from it; what is gone already is no error.

        With `durable` it stays so, also if the power goes.
        """
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._paths.record(container), self._paths.incomplete(container))
            if durable:
                fsync(self._paths.folder(container))
        try:
            link = self._paths.name(_read(self._paths.incomplete(container), container).name)
            if _readlink(link) == container:
                os.unlink(link)
        except NotFound:
            pass
        except DataLoss:
            self._keep_name(container, "")

    def remove(self, container: str) -> None:
        """Forget a container that is out of sight; what is gone already is no error."""
        remove_tree(self._paths.folder(container))


def _read(path: str, container: str) -> Record:
    try:
        return sealed.read(path, Record)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ContainerNotFound(container) from error


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
