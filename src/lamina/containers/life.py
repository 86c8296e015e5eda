"""Containers made, run and removed; and what is done about those whose runner was killed."""

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from .. import pids
from ..errors import Conflict, LaminaError, PermissionDenied
from ..layers.layers import LAYER, Layer
from ..lock import Lease, live_claims
from ..mount import detached
from ..oci import digest, times
from ..oci.digest import Digest
from ..runtime import bundle, choice, etc, foreground, groups, health, initial, monitor, remains, users
from ..runtime.children import Streams
from ..runtime.values import Process
from ..store import journal
from ..store.store import Store
from ..tar.root import Root, clean
from . import grants, mounts, settings
from .naming import suggest
from .records import (
    CLAIMS,
    CONTAINER,
    CREATED,
    EXITED,
    FROZEN,
    LIVE,
    PAUSED,
    RENAMED,
    RUNNING,
    RUNS,
    UNUSED,
    ContainerNotFound,
    Record,
    Records,
    State,
    is_lost,
)
from .settings import Wish
from .volumes import Volumes

if TYPE_CHECKING:
    from ..tar.changes import Change

_PATIENCE = 0.01  # seconds between looks at whether a killed container's runner has let go

KILLED = 137
"""The exit status of a container whose runner was killed."""


class ContainerRuns(Conflict):
    """A container's process runs; it must not for what was asked."""


class Containers:
    """The containers of a store.

    Args:
        store: where their files are.
        run_root: a folder that is emptied when the machine starts.
        runtime: the OCI runtime; empty for the first that works.

    Whoever opens the store adds `recover` to its `recoverers`.
    """

    def __init__(self, store: Store, run_root: str, runtime: str = "") -> None:
        self.store = store
        self.records = Records(store.paths.containers)
        self.volumes = Volumes(store, self.records)
        self.run_root = run_root
        self._wanted_runtime = runtime

    @functools.cached_property
    def runtime(self) -> str:
        """The path of the OCI runtime.

        Raises:
            NoRuntime: none works here.
            PermissionDenied: without root nothing can be run yet.
        """
        if os.geteuid():
            raise PermissionDenied("running a process in a container needs root")
        os.makedirs(self.run_root, 0o711, exist_ok=True)
        return choice.choose(self.run_root, self._wanted_runtime)

    def _runtime_if_any(self) -> str:
        try:
            return self.runtime
        except LaminaError:
            return ""

    def create(self, image_id: Digest, image_name: str, wish: Wish) -> Record:
        """Make a container; it is there whole, or not at all.

        Raises:
            NameTaken: another container has the name.
            InvalidSetting: it cannot be what it is asked to be.
        """
        settings.check(wish)
        with (
            self.store.writing() as lease,
            self._created(lease, image_id, image_name, wish, durable=True) as record,
        ):
            return record

    def run(
        self,
        image_id: Digest,
        image_name: str,
        wish: Wish,
        streams: Streams,
        started: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Make a container and run it to its end; return its exit status.

        With `wish.auto_remove` it is gone afterwards, also after a crash; else it stays as it ended.

        Raises:
            StartFailed: its program could not be started.
            NoRuntime: no OCI runtime works here.
        """
        settings.check(wish)
        _ = self.runtime  # say early that there is none
        with self.store.writing() as lease:
            record: Record | None = None
            try:
                with self._created(lease, image_id, image_name, wish, durable=not wish.auto_remove) as record:
                    return self._run(lease, record, streams, started)
            finally:
                if wish.auto_remove and record is not None:
                    self._remove(lease, record.id)

    def note(self, record: Record, action: str, **more: str) -> None:
        """Note an event of a container, with its labels, its image and its name."""
        attributes = {**(record.config.labels or {}), "image": record.image, "name": record.name, **more}
        self.store.journal.note(journal.CONTAINER, action, record.id, attributes)

    def note_start(self, record: Record) -> None:
        """Note that a container's process runs."""
        self.volumes.tell_mounted(record.id, record.mounts)
        self.note(record, "start")

    def _begun(self, record: Record) -> None:
        """Do what comes when a process runs in the foreground; we watch it."""
        self.note_start(record)
        if record.config.healthcheck:
            from .probing import begin  # noqa: PLC0415 - what needs this module

            begin(self, record, pids.of(os.getpid()))

    def note_end(self, record: Record, state: State) -> None:
        """Note that it has ended."""
        if state.oom_killed:
            self.note(record, "oom")
        self.note(record, "die", exitCode=str(state.exit_code))
        self.volumes.tell_unmounted(record.id, record.mounts)

    def place(self) -> tuple[str, str, str, str]:
        """Return what another process needs to open the same: root, driver, run root, runtime."""
        return self.store.paths.root, self.store.driver_name, self.run_root, self.runtime

    def preparation(self, record: Record) -> Callable[[Root], Process]:
        """Return what says, with a container's tree at hand, what it runs."""
        return functools.partial(self.surroundings, record)

    def state(self, container: str) -> State:
        """Return a container's state; one whose runner or conmon was killed has ended."""
        state = self.records.state(container)
        if is_lost(state) and self.is_watched(container):
            return msgspec.structs.replace(state, status=RUNNING, exit_code=0)
        if state.status not in LIVE or self.is_watched(container):
            return state
        state = self.records.state(container)  # it may have ended while we looked
        if state.status not in LIVE or self.is_watched(container):
            return state
        status = monitor.exit_status(self.run_root, container)
        return msgspec.structs.replace(state, status=EXITED, exit_code=KILLED if status is None else status)

    def is_watched(self, container: str) -> bool:
        """Tell whether there is somebody who will note a container's end."""
        found = self.records.monitor(container)
        return bool(found and found.is_alive) or (RUNS, container) in live_claims(self.store.paths.leases)

    def remove(self, record: Record, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container and its files; with `force` its process is killed.

        With `volumes`, and for one that goes with its process, also its volumes without a name that no other has.

        Raises:
            ContainerRuns: its process runs.
        """
        with self.store.writing() as lease:
            if self._try_to_remove(lease, record, force=force, volumes=volumes):
                return
            with contextlib.suppress(ContainerNotFound):  # its runner, which we waited for, has removed it
                while not self._try_to_remove(lease, record, force=force, volumes=volumes, again=True):
                    time.sleep(_PATIENCE)

    def _try_to_remove(self, lease: Lease, record: Record, *, force: bool, volumes: bool, again: bool = False) -> bool:
        """Remove a container if nobody uses it; return whether it is done. Only the first kill is an event."""
        state = self.state(record.id)
        if state.status in LIVE:
            if not force:
                raise ContainerRuns(
                    f'cannot remove container "/{record.name}": container is {state.status}: '
                    "stop the container before removing"
                )
            self.kill(record.id, signal.SIGKILL, stop=True, quiet=again)
            if state.status == PAUSED or is_lost(state):
                bundle.tell(self.runtime, self.run_root, record.id, "resume", record.id)
            return False  # whoever watches it notes its end first
        with self.records.hold(record.id, alone=True, wait=False) as is_ours:
            if is_ours:
                if volumes:
                    self.volumes.claim(lease, record.mounts)  # first: a crash then takes the container without asking
                lease.add(CONTAINER, record.id)
                self._remove_held(lease, record.id, volumes=volumes)
            return is_ours

    def kill(self, container: str, number: int, *, stop: bool = False, quiet: bool = False) -> None:
        """Send a signal to a container's process.

        Args:
            container: its id.
            number: of the signal.
            stop: it is not to be started again by itself.
            quiet: it is no event.
        """
        if stop and self.records.monitor(container):
            with self.records.starting(container):
                state = self.records.state(container)
                status = RUNNING if is_lost(state) else state.status
                self.records.set_state(container, msgspec.structs.replace(state, status=status, stopped=True))
        if not quiet and self.process(container):
            with contextlib.suppress(LaminaError):  # told first: its end may be noted by somebody else at once
                self.note(self.records.get(container), "kill", signal=str(number))
        bundle.kill(self.runtime, self.run_root, container, number)

    def process(self, container: str) -> int:
        """Return the id of a container's first process as the host sees it, 0 if none runs."""
        return bundle.process(self.run_root, container)

    @contextlib.contextmanager
    def tree(self, record: Record) -> Iterator[Root]:
        """Open a container's whole tree, to read and to write: as its process sees it, if that runs."""
        with self.records.hold(record.id), contextlib.ExitStack() as stack:
            pid = self.process(record.id) if self.state(record.id).status in LIVE else 0
            yield stack.enter_context(Root(f"/proc/{pid}/root") if pid else self.files(record.id))

    def changes(self, record: Record) -> Iterator["Change"]:
        """Yield what a container changed of its image, parents of changes first."""
        with self.records.hold(record.id):
            writable = self.store.mounts.get(record.id)
            parent = self.store.layers.get(writable.parent) if writable.parent else None
            yield from self.store.mounts.changes(writable, parent)

    @contextlib.contextmanager
    def temporary(self, lease: Lease, parent: Layer | None, *, places: bool) -> Iterator[str]:
        """Make a writable layer for the length of a block; yield its id.

        Args:
            lease: keeps it from being collected.
            parent: what it stands on.
            places: whether a process is to run in it, which needs some places to be there.
        """
        container = os.urandom(32).hex()
        lease.add(CONTAINER, container)
        self.store.mounts.create(lease, container, parent, initial.fill if places else None, durable=False)
        try:
            os.mkdir(self.records.folder(container), 0o700)
            yield container
        finally:
            self.store.mounts.remove(lease, container)
            self.records.remove(container)
            lease.drop(CONTAINER, container)

    @contextlib.contextmanager
    def files(self, container: str) -> Iterator[Root]:
        """Open the whole tree of a writable layer, to read and to write."""
        fd = detached(self.store.mounts.mount(self.store.mounts.get(container)))
        try:
            with Root(fd) as root:
                yield root
        finally:
            os.close(fd)

    def execute(
        self,
        container: str,
        prepare: Callable[[Root], Process],
        streams: Streams,
        started: Callable[[int], None] = lambda _: None,
        begun: Callable[[], None] | None = None,
    ) -> foreground.Ended:
        """Run a process in a writable layer to its end; see `foreground.run`."""
        mount = self.store.mounts.mount(self.store.mounts.get(container))
        try:
            return foreground.run(self.runtime, self.run_root, container, mount, prepare, streams, started, begun)
        except OSError:  # what keeps it from cleaning up is not to keep what ran
            remains.clear(self._runtime_if_any(), self.run_root, container)
            raise

    def recover(self, lease: Lease, dead: set[tuple[str, str]]) -> None:
        """End what ran for dead owners, and remove what was to go with them; the same for dead conmons."""
        for kind, container in dead:
            if kind == RENAMED:
                self.records.tidy_names(container)
            elif kind == FROZEN:
                remains.interrupt("pause", container)
                self.thaw(container)
            elif kind in CLAIMS:
                self.clear(container)
        for kind, container in dead:
            if kind == CONTAINER and not self._is_to_stay(container):
                self._remove(lease, container)
        for container in self.records.unmonitored():
            self._recover_one(lease, container)
        self.volumes.remove_unused(lease, [name for kind, name in dead if kind == UNUSED])

    def _is_to_stay(self, container: str) -> bool:
        """Tell whether a container is whole: a loss of power may have brought back the claim that it is half made."""
        try:
            return not self.records.get(container).host.auto_remove
        except LaminaError:
            return False

    def _recover_one(self, lease: Lease, container: str) -> None:
        """Note the end of a container whose conmon is gone."""
        try:
            with self.records.starting(container):
                found = self.records.monitor(container)
                if found and found.is_alive:
                    return
                self.clear(container)
                auto_remove = self.records.get(container).host.auto_remove
        except ContainerNotFound:
            self.clear(container)
            return
        if auto_remove:
            self.discard(lease, container)

    def clear(self, container: str) -> None:
        """End what runs of a container whose runner or conmon is gone, and note its end."""
        status = monitor.exit_status(self.run_root, container)
        oom_killed = groups.out_of_memory(bundle.GROUP + container)
        remains.clear(self._runtime_if_any(), self.run_root, container)
        state = self.records.state(container)
        if state.status in LIVE:
            ended = KILLED if status is None else status
            state = msgspec.structs.replace(
                state, status=EXITED, finished=times.now(), exit_code=ended, oom_killed=oom_killed
            )
            with contextlib.suppress(OSError):
                self.records.set_state(container, state)
            with contextlib.suppress(LaminaError):
                self.note_end(self.records.get(container), state)
        self.records.set_monitor(container, None)

    def thaw(self, container: str) -> None:
        """Let a container's frozen processes go on; one that is not frozen, or is gone, is no error."""
        with contextlib.suppress(ContainerNotFound), self.records.starting(container):
            bundle.tell(self._runtime_if_any(), self.run_root, container, "resume", container)
            state = self.records.state(container)
            if state.status == PAUSED:
                self.records.set_state(container, msgspec.structs.replace(state, status=RUNNING))
                with contextlib.suppress(LaminaError):
                    self.note(self.records.get(container), "unpause")

    @contextlib.contextmanager
    def _created(
        self, lease: Lease, image_id: Digest, image_name: str, wish: Wish, *, durable: bool
    ) -> Iterator[Record]:
        """Make a container, and keep it from being removed for the length of a block."""
        image = self.store.images.get(image_id)
        container = os.urandom(32).hex()
        record = Record(
            container,
            wish.name.removeprefix("/") or suggest(),
            times.now(),
            image_id,
            image_name,
            run := settings.settle(wish, image.run, image_name, container),
            settings.host(wish),
            settings.points(wish, run),
        )
        lease.add(CONTAINER, container)
        chain_ids = digest.chains(image.diff_ids)
        present = self.store.rely_on(lease, chain_ids)
        if len(present) != len(chain_ids):
            self.store.layers.get(chain_ids[len(present)])  # says that it is missing
        with contextlib.ExitStack() as stack:
            with self.store.lock():
                self.store.images.get(image_id)  # still there: from here on the container keeps it
                stack.enter_context(self.records.added(record))
            parent = present[-1] if present else None
            self.store.mounts.create(lease, container, parent, initial.fill, durable=durable)
            self.volumes.provide(lease, record.mounts)
            self.volumes.fill(lease, container, record.mounts, lambda: self.files(container))
            self.records.complete(container)
            self.note(record, "create")
            if not wish.auto_remove:
                lease.drop(CONTAINER, container)
                self.volumes.keep(lease, record.mounts)
            yield record

    def _run(self, lease: Lease, record: Record, streams: Streams, started: Callable[[int], None]) -> int:
        lease.add(RUNS, record.id)
        begun = times.now()
        self.records.set_state(record.id, State(RUNNING, started=begun))
        prepare = self.preparation(record)
        ended: State | None = None
        self.note(record, "attach")
        try:
            end = self.execute(record.id, prepare, streams, started, functools.partial(self._begun, record))
            ended = State(EXITED, begun, times.now(), end.status, oom_killed=end.oom_killed)
        except LaminaError as failure:
            ended = State(CREATED, exit_code=failure.exit_status, error=str(failure))  # it never ran
            raise
        finally:
            ended = ended or State(EXITED, begun, times.now(), KILLED)
            self.records.set_state(record.id, ended)
            lease.drop(RUNS, record.id)
            if ended.status == EXITED:
                with contextlib.suppress(LaminaError):  # it may have another name by now
                    self.note_end(self.records.get(record.id), ended)
        return end.status

    def surroundings(self, record: Record, root: Root) -> Process:
        """Say what a container runs, with its tree at hand."""
        run = record.config
        user = users.find(root, run.user)
        cwd = run.working_dir or "/"
        root.directory(clean(os.fsencode(cwd)), make=True)
        names = grants.names(record.host)
        files = etc.write(self.records.folder(record.id), run.hostname, record.host.network, names)
        process = Process(
            tuple(record.command),
            settings.environment(run, user.home),
            cwd,
            user,
            run.tty,
            run.hostname,
            record.host.network,
            record.host.readonly,
            (*files, *self.volumes.binds(record.mounts)),
            run.domainname,
            tmpfs=mounts.tmpfs(record.mounts),
        )
        return grants.granted(process, record.host, root)

    def discard(self, lease: Lease, container: str) -> None:
        """Remove all of a container that has ended; the lease notes that it is to go."""
        lease.add(CONTAINER, container)
        self._remove(lease, container)

    def _remove(self, lease: Lease, container: str) -> None:
        """Remove all of a container; the lease has claimed it. What is gone already is no error."""
        try:
            with self.records.hold(container, alone=True):
                self._remove_held(lease, container, damaged=True)
        except ContainerNotFound:
            self._remove_held(lease, container, damaged=True)  # what is left of one whose folder is gone

    def _remove_held(self, lease: Lease, container: str, *, volumes: bool = False, damaged: bool = False) -> None:
        try:
            record: Record | None = self.records.get(container)
        except LaminaError:
            record = None
        tops = self._tops(container)
        for top in tops:
            lease.add(LAYER, digest.encoded(top))  # else nobody would delete it, if its image goes meanwhile
        unnamed = self.volumes.claim(lease, record.mounts) if record and (volumes or record.host.auto_remove) else []
        with self.store.lock():
            self.records.hide(container, durable=not (record and record.host.auto_remove))
        self.store.mounts.remove(lease, container, damaged=damaged)
        self.records.remove(container)
        health.remove(self.run_root, container)
        self.volumes.remove_unused(lease, unnamed)
        if record is None or record.image_id not in self.store.images:
            self.store.release(lease, tops)
        if record:
            self.note(record, "destroy")
        lease.drop(CONTAINER, container)

    def _tops(self, container: str) -> list[Digest]:
        with contextlib.suppress(LaminaError):
            parent = self.store.mounts.get(container).parent
            return [parent] if parent else []
        return []
