"""All verbs on one object. Each is a few lines here, and has its own module below."""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from ..containers.paths import Paths
from ..errors import LaminaError
from ..events import Report, ignore
from ..oci import reference
from ..oci.digest import Digest
from ..oci.reference import InvalidReference
from ..store import frame
from ..store.names import find, name_image
from ..store.store import Store
from ..streams import Reader, Writer

if TYPE_CHECKING:
    from ..archive import load as loading
    from ..archive import save as saving
    from ..build.builder import Options
    from ..build.inputs import Inputs
    from ..containers.files import Place
    from ..containers.inside import Inside
    from ..containers.life import Containers
    from ..containers.logs import Entry, Wanted
    from ..containers.records import Record
    from ..containers.settings import Wish
    from ..lock import Lease
    from ..remote.client import Client
    from ..runtime.attach import Attachment
    from ..runtime.children import Streams
    from ..store.journal import Event
    from ..tar.changes import Change
    from ..tar.root import Root
    from ..transfer.kept import Kept
    from ..transfer.outgoing import Compression
    from ..transfer.places import Connect
    from ..transfer.policy import Policy
    from ..transfer.pull import Pulled
    from ..transfer.push import Pushed
    from .browsing import FileInfo
    from .containers import ContainerSummary, Wording
    from .editing import Edit
    from .finding import Found
    from .forest import Position
    from .listing import HistoryRow, ImageSummary
    from .pruning import Conditions, Pruned, PrunedImages
    from .removal import Removed
    from .usage import Usage
    from .volumes import VolumeSummary


class Engine:
    """The store in a root folder, and what can be done with it; a context manager.

    Args:
        root: the folder; it is made if it is not there. A dockerd's root will do, by turns with the dockerd.
        driver: the storage driver; empty for the one that the root has, or the best that works there.
        report: hears what long verbs do, and what is wrong where a verb can go on; see `events`.
        run_root: a folder that the machine's start empties, for what runs; empty for one below /run.
        runtime: the OCI runtime, by name or path; empty for the first that works.
        connect: makes a client of registries; by default one that nobody knows. Each process that takes part in a
            transfer makes its own.

    Names of images are references or ids, or the beginnings of ids, as Docker takes them; those of containers
    are names or ids, or the beginnings of ids. What few verbs need is imported when they are called.
    """

    def __init__(
        self,
        root: str,
        driver: str = "",
        report: Report = ignore,
        *,
        run_root: str = "",
        runtime: str = "",
        connect: "Connect | None" = None,
    ) -> None:
        self.root = os.path.abspath(root)
        self.report = report
        self._run_root = run_root or os.path.join("/run/lamina", hashlib.sha256(self.root.encode()).hexdigest()[:16])
        self._runtime = runtime
        self._connect = connect or _anonymous
        self._store = Store(self.root, driver)
        self._store.journal.report = report
        self._store.recoverers.append(self._recover)
        self._store.suspects.append(self._is_deserted)

    @functools.cached_property
    def _containers(self) -> "Containers":
        from ..containers.life import Containers  # noqa: PLC0415

        return Containers(self._store, self._run_root, self._runtime)

    def _recover(self, lease: "Lease", claims: set[tuple[str, str]]) -> None:
        """Let the containers of killed processes be taken away, if there are any."""
        from ..containers.records import CLAIMS, UNUSED  # noqa: PLC0415

        if self._is_deserted() or any(kind in (*CLAIMS, UNUSED) for kind, _ in claims):
            self._containers.recover(lease, claims)

    def _is_deserted(self) -> bool:
        """Tell whether there is a container whose conmon is gone."""
        return Paths(self._store.paths.containers).any_monitored() and bool(self._containers.records.unmonitored())

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        """Give up what is held; nothing is, between verbs."""

    def images(self) -> "list[ImageSummary]":
        """Return all images, also intermediate ones of builds, the newest first."""
        from . import listing  # noqa: PLC0415

        return listing.images(self._store, self.report)

    def history(self, name: str) -> "list[HistoryRow]":
        """Return the steps of an image, the newest first.

        Raises:
            ImageNotFound: there is none.
        """
        from . import listing  # noqa: PLC0415

        return listing.history(self._store, name, self.report)

    def image_files(self, name: str, path: str = "/", *, deep: bool = False) -> "Iterator[FileInfo]":
        """Yield what is in a directory of an image; nothing is mounted. See `browsing.names`."""
        from . import browsing  # noqa: PLC0415

        return browsing.names(self._store, name, path, deep=deep)

    def find_files(self, name: str, path: str = "/", words: Sequence[str] = ()) -> "Iterator[Found]":
        """Yield the files of an image below a path for which an expression of find(1) holds; see `finding.find`."""
        from . import finding  # noqa: PLC0415

        return finding.find(self._store, name, path, words)

    def open_file(self, name: str, path: str) -> BinaryIO:
        """Open the content of a file of an image; nothing is mounted. See `browsing.open_file`."""
        from . import browsing  # noqa: PLC0415

        return browsing.open_file(self._store, name, path)

    def copy_files(
        self, name: str, path: str, target: "Place", owner: tuple[int, int] | None = None, *, follow: bool = False
    ) -> None:
        """Copy a file or directory of an image to a place of the host; see `extraction.copy`."""
        from . import extraction  # noqa: PLC0415

        extraction.copy(extraction.source(self._store, name, path, follow=follow), target, owner)

    def archive_files(self, name: str, path: str, *, follow: bool = False) -> Iterator[bytes]:
        """Yield a tar of a file or directory of an image; see `extraction.archive`."""
        from . import extraction  # noqa: PLC0415

        return extraction.archive(extraction.source(self._store, name, path, follow=follow))

    def image_id(self, name: str) -> Digest:
        """Return the id of an image.

        Raises:
            ImageNotFound: there is none.
        """
        return find(self._store, name)

    def inspect_image(self, name: str) -> dict[str, Any]:
        """Return all that is known of an image, in the shape of Docker's API.

        Raises:
            ImageNotFound: there is none.
        """
        from . import inspection  # noqa: PLC0415

        return inspection.image(self._store, find(self._store, name), self.report)

    def tag(self, name: str, new: str) -> None:
        """Give an image another name.

        Raises:
            ImageNotFound: there is none.
            InvalidReference: the new name is malformed, or has a digest.
        """
        target = reference.parse(new).tagged()
        if target.digest:
            raise InvalidReference(new, "cannot tag by digest")
        with self._store.writing():
            name_image(self._store, target, find(self._store, name))

    def remove_image(self, name: str, *, force: bool = False, prune: bool = True) -> "list[Removed]":
        """Remove a name, and the image with its last one; see `removal.remove`."""
        from . import removal  # noqa: PLC0415
        from .containers import users  # noqa: PLC0415

        return removal.remove(self._store, lambda: users(self._containers), name, force=force, prune=prune)

    def load(self, file: BinaryIO, where: str = "archive", platform: str = "") -> "list[loading.Loaded]":
        """Load all images of an archive; see `archive.load.load`."""
        from ..archive import load as loading  # noqa: PLC0415

        return loading.load(self._store, file, where, self.report, platform)

    def load_folder(self, path: str, platform: str = "") -> "list[loading.Loaded]":
        """Load all images of an unpacked archive, such as an OCI layout."""
        from ..archive import load as loading  # noqa: PLC0415

        return loading.load_folder(self._store, path, self.report, platform)

    def save(self, names: Sequence[str], target: Writer) -> None:
        """Write images with all their layers as one archive; a repository without a tag stands for all its tags.

        Raises:
            ImageNotFound: there is none of a name; nothing was written then.
            LayerDamaged: a layer is not what it was; what was written is no archive.
        """
        from ..archive import save as saving  # noqa: PLC0415

        saving.save(self._store, self._wanted(names), target)

    def _wanted(self, names: Sequence[str]) -> "list[saving.Wanted]":
        from ..archive import save as saving  # noqa: PLC0415

        found: dict[Digest, list[reference.Reference]] = {}
        for name in names:
            for image_id, references in self._named(name):
                known = found.setdefault(image_id, [])
                known += [one for one in references if one not in known]
        return [saving.Wanted(image_id, references) for image_id, references in found.items()]

    def _named(self, name: str) -> Iterator[tuple[Digest, list[reference.Reference]]]:
        """Yield what a name stands for: one image, or all tags of a repository."""
        try:
            parsed = reference.parse(name)
        except InvalidReference:
            yield find(self._store, name), []
            return
        every = {text: image_id for text, image_id in self._store.references.all().items() if "@" not in text}
        if not parsed.tag and not parsed.digest:
            tags = [text for text in every if reference.parse(text).name == parsed.name]
            if tags:
                yield from ((every[text], [reference.parse(text)]) for text in tags)
                return
        image_id = find(self._store, name)
        yield image_id, [parsed] if parsed.tag and every.get(parsed.familiar) == image_id else []

    def pull(self, name: str, *, platform: str = "", every: bool = False, into: str = "") -> "list[Pulled]":
        """Bring an image in from its registry, or with `every` all tags of a repository; see `transfer.pull.verb`."""
        from ..transfer import pull  # noqa: PLC0415

        return pull.verb(self._store, self._connect, name, self.report, platform, every=every, into=into)

    def push(self, name: str, *, every: bool = False, compression: "Compression | None" = None) -> "list[Pushed]":
        """Send an image to its registry, or with `every` all tags of a repository; see `transfer.push.verb`."""
        from ..transfer import push  # noqa: PLC0415

        return push.verb(self._store, self._connect, name, self.report, compression, every=every)

    def content(self) -> "list[Kept]":
        """Return what is kept beside the images: documents and layers as registries have them, the latest first."""
        from ..transfer import kept  # noqa: PLC0415

        return kept.listing(self._store)

    def prune_content(self, *, every: bool = False) -> "list[Kept]":
        """Remove what is kept without need; see `transfer.kept.prune`."""
        from ..transfer import kept  # noqa: PLC0415

        with self._store.writing():
            return kept.prune(self._store, every=every)

    def keep_content(self, layers: int | None = None, partial: int | None = None, age: int | None = None) -> "Policy":
        """Set how much is kept beside the images, as far as it is given; return how it is then."""
        from ..transfer import policy  # noqa: PLC0415

        return policy.change(self._store.paths.policy, layers, partial, age)

    def build(self, inputs: "Inputs", options: "Options") -> Digest:
        """Build an image from a Dockerfile; return its id. See `build.builder.build`."""
        from ..build.builder import build  # noqa: PLC0415

        return build(self._store, self._containers, inputs, options, self.report, self._connect)

    @contextlib.contextmanager
    def edit(self, base: str = "", created: int | None = None) -> Iterator["Edit"]:
        """Make an image from Python, on top of another or of nothing; see `editing.Edit`.

        Raises:
            ImageNotFound: there is no such base.
        """
        from .editing import Edit  # noqa: PLC0415

        with self._store.writing() as lease:
            edit = Edit(self._store, lease, find(self._store, base) if base else None, created)
            yield edit
            edit.drop()

    def import_image(self, file: Reader, wording: "Wording") -> Digest:
        """Make an image of one layer from a tar of a tree, compressed or not; return its id.

        Raises:
            InvalidTar: the file is no tar.
        """
        from .containers import import_image  # noqa: PLC0415

        return import_image(self._store, file, wording)

    def forest(self) -> "list[Position]":
        """Return what stands on what: all images, layers and containers; see `forest`."""
        from .forest import forest  # noqa: PLC0415

        return forest(self._store, self.containers(sizes=True), self.report)

    def containers(self, *, sizes: bool = False) -> "list[ContainerSummary]":
        """Return all containers, the newest first; with the bytes that they take, if asked for."""
        from .containers import containers  # noqa: PLC0415

        return containers(self._containers, self.report, sizes=sizes)

    def container(self, name: str) -> "Record":
        """Return what a container is.

        Raises:
            ContainerNotFound: there is none.
        """
        return self._containers.records.find(name)

    def inspect_container(self, name: str, *, sizes: bool = False) -> dict[str, Any]:
        """Return all that is known of a container, in the shape of Docker's API.

        Raises:
            ContainerNotFound: there is none.
        """
        from . import inspection  # noqa: PLC0415

        return inspection.container(self._containers, self.container(name), sizes=sizes)

    def create_container(self, image: str, wish: "Wish") -> str:
        """Make a container of an image; return its id. See `containers.life.Containers.create`."""
        return self._containers.create(find(self._store, image), image, wish).id

    def run_container(
        self, image: str, wish: "Wish", streams: "Streams", started: Callable[[int], None] = lambda _: None
    ) -> int:
        """Make a container and run it to its end; return its exit status. See `containers.life.Containers.run`."""
        return self._containers.run(find(self._store, image), image, wish, streams, started)

    def start_container(self, name: str) -> None:
        """Start a container that goes on by itself; one that runs already stays as it is.

        Raises:
            ContainerNotFound: there is none.
            StartFailed: its program could not be started.
        """
        from ..containers import detached  # noqa: PLC0415

        detached.start(self._containers, self.container(name))

    def start_attached(self, name: str) -> "Attachment":
        """Start a container likewise; return its streams, of which no word is missed. The caller closes them."""
        from ..containers import detached  # noqa: PLC0415

        return detached.start_attached(self._containers, self.container(name))

    def process(self, name: str) -> int:
        """Return the id of a container's first process as the host sees it, 0 if none runs."""
        return self._containers.process(self.container(name).id)

    def stop_container(self, name: str, timeout: float | None = None, signal: str = "") -> None:
        """End a container's process; see `containers.detached.stop`."""
        from ..containers import detached  # noqa: PLC0415

        detached.stop(self._containers, self.container(name), timeout, signal)

    def restart_container(self, name: str, timeout: float | None = None, signal: str = "") -> None:
        """End a container's process and start it anew; see `containers.detached.restart`."""
        from ..containers import detached  # noqa: PLC0415

        detached.restart(self._containers, self.container(name), timeout, signal)

    def kill_container(self, name: str, signal: str = "KILL") -> None:
        """Send a signal to a container's process.

        Raises:
            NotRunning: there is none.
        """
        from ..containers import detached  # noqa: PLC0415

        detached.kill(self._containers, self.container(name), signal)

    def waiting(self, name: str) -> contextlib.AbstractContextManager[Callable[[], int]]:
        """Keep a container from being removed for the length of a block; yield what waits for its process's end.

        That returns the exit status, at once if no process runs.
        """
        from ..containers import detached  # noqa: PLC0415

        return detached.waiting(self._containers, self.container(name))

    def pause_container(self, name: str) -> None:
        """Freeze a container's processes."""
        from ..containers import detached  # noqa: PLC0415

        detached.pause(self._containers, self.container(name))

    def unpause_container(self, name: str) -> None:
        """Let a container's frozen processes go on."""
        from ..containers import detached  # noqa: PLC0415

        detached.unpause(self._containers, self.container(name))

    def rename_container(self, name: str, new: str) -> None:
        """Give a container another name.

        Raises:
            NameTaken: another has that name.
        """
        from ..containers import detached  # noqa: PLC0415

        detached.rename(self._containers, self.container(name), new)

    def attach_container(self, name: str) -> "Attachment":
        """Return the streams of a container that runs; the caller closes them. See `runtime.attach`."""
        from ..containers import detached  # noqa: PLC0415

        return detached.attach(self._containers, self.container(name))

    def execute(
        self,
        name: str,
        wish: "Inside",
        streams: "Streams",
        *,
        detach: bool = False,
        started: Callable[[int], None] = lambda _: None,
    ) -> int:
        """Run one more process in a container that runs; return its exit status. See `containers.inside.run`."""
        from ..containers import inside  # noqa: PLC0415

        return inside.run(self._containers, self.container(name), wish, streams, detach=detach, started=started)

    def processes(self, name: str, words: Sequence[str] = ()) -> str:
        """Return the table of a container's processes, as ps(1) shows it with some options."""
        from ..containers import detached  # noqa: PLC0415

        return detached.processes(self._containers, self.container(name), list(words))

    def logs(self, name: str, wanted: "Wanted", *, follow: bool = False) -> "Iterator[Entry]":
        """Yield what a container that was left to itself has printed; with `follow`, what it prints, to its end."""
        from ..containers import logs  # noqa: PLC0415

        return logs.read(self._containers, self.container(name), wanted, follow=follow)

    def remove_container(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container that does not run; with `force` one that runs is killed.

        With `volumes` also its volumes without a name.

        Raises:
            ContainerNotFound: there is none.
            ContainerRuns: it runs.
        """
        self._containers.remove(self.container(name), force=force, volumes=volumes)

    def volumes(self) -> "list[VolumeSummary]":
        """Return all volumes, by name."""
        from .volumes import summaries  # noqa: PLC0415

        return summaries(self._containers)

    def inspect_volume(self, name: str) -> dict[str, Any]:
        """Return all that is known of a volume, in the shape of Docker's API.

        Raises:
            VolumeNotFound: there is none.
        """
        from .volumes import describe  # noqa: PLC0415

        return describe(self._containers.volumes.get(name))

    def create_volume(self, name: str = "", labels: Mapping[str, str] | None = None) -> str:
        """Make a volume, unless there is one of the name; without a name it gets one. Return the name.

        Raises:
            InvalidVolume: it cannot have that name.
        """
        with self._store.writing() as lease:
            return self._containers.volumes.create(lease, name, labels, anonymous=not name)

    def remove_volume(self, name: str) -> None:
        """Remove a volume and its files.

        Raises:
            VolumeNotFound: there is none.
            VolumeInUse: a container has it.
        """
        with self._store.writing() as lease:
            self._containers.volumes.remove(lease, name)

    def usage(self) -> "Usage":
        """Return what takes how much room, each byte counted once; see `usage`."""
        from .usage import usage  # noqa: PLC0415

        return usage(self._store, self._containers, self.report)

    def prune_containers(self, conditions: "Conditions") -> "Pruned":
        """Remove containers without a process."""
        from . import pruning  # noqa: PLC0415

        return pruning.containers(self._containers, conditions, self.report)

    def prune_images(self, conditions: "Conditions", *, every: bool = False) -> "PrunedImages":
        """Remove images that no container was made from and that have no name; with `every` also those that have."""
        from . import pruning  # noqa: PLC0415

        return pruning.images(self._store, self._containers, conditions, every=every)

    def prune_volumes(self, conditions: "Conditions", *, every: bool = False) -> "Pruned":
        """Remove volumes that no container has: those without a name, with `every` all."""
        from . import pruning  # noqa: PLC0415

        return pruning.volumes(self._containers, conditions, self.report, every=every)

    def diff(self, name: str) -> "Iterator[Change]":
        """Yield what a container changed of its image, parents of changes first.

        Raises:
            ContainerNotFound: there is none.
        """
        return self._containers.changes(self.container(name))

    def commit(self, name: str, wording: "Wording", *, pause: bool = True) -> Digest:
        """Make an image of what a container changed; return its id. Its processes are frozen meanwhile.

        Raises:
            ContainerNotFound: there is none.
            InvalidReference: the image's name is malformed.
        """
        from .containers import commit_container  # noqa: PLC0415

        return commit_container(self._containers, self.container(name), wording, pause=pause)

    @contextlib.contextmanager
    def files(self, name: str, purpose: str = "") -> "Iterator[Root]":
        """Open the whole tree of a container, to read and to write; `containers.files` copies in and out of it.

        Args:
            name: of the container.
            purpose: what is noted as an event when the block has ended well, in Docker's words: `archive-path` (a
                copy out of it), `extract-to-dir` (into it), `export`.

        Raises:
            ContainerNotFound: there is none.
        """
        record = self.container(name)
        with self._containers.tree(record) as root:
            yield root
        if purpose:
            self._containers.note(record, purpose)

    def check(self, *, content: bool = True) -> Iterator[str]:
        """Yield what is wrong with the store, a line each; see `store.check`."""
        from ..containers.check import check as check_containers  # noqa: PLC0415
        from ..store.check import check as check_store  # noqa: PLC0415

        frame_problems = [*frame.check(self._store.paths, self._store.driver_name)]
        yield from frame_problems
        if frame_problems:
            return  # what lies in there cannot be seen
        self._store.recover()
        yield from check_store(self._store, self.report, content=content)
        yield from check_containers(self._containers)

    def repair(self) -> Iterator[str]:
        """Restore what can be restored of the store, move the rest to a quarantine; yield what was done, a line each.

        Raises:
            HeldByDocker: a dockerd has the root.
        """
        from ..containers import mending  # noqa: PLC0415
        from ..store.quarantine import Quarantine  # noqa: PLC0415
        from ..store.repair import mender, repair  # noqa: PLC0415

        store = self._store
        aside = Quarantine(store.paths)
        yield from frame.mend(store.paths, store.driver_name, aside)
        with store.writing() as lease:
            yield from repair(store, lease, self.report, aside, self._image_of)
            yield from mending.mend(self._containers, lease, mender(store, aside), aside)
        if aside.folder:
            yield f"what could not be restored is in {aside.folder}"

    def migrate(self, driver: str) -> int:
        """Give the store another storage driver; return the number of its layers. Open the engine anew then.

        Raises:
            Conflict: there are containers, or the store is in use.
            FailedPrecondition: the driver does not work there.
        """
        from ..store.migration import migrate  # noqa: PLC0415

        with self._store.writing() as lease:
            return migrate(self._store, lease, driver, self.report)

    def _image_of(self, container: str) -> "Digest | None":
        try:
            return self._containers.records.get(container).image_id
        except LaminaError:
            return None

    def events(
        self, *, since: int | None = None, until: int = 0, filters: Mapping[str, Sequence[str]] | None = None
    ) -> "Iterator[Event]":
        """Yield what happens to the store and its containers, as `docker events` does; see `store.journal`.

        Args:
            since: nanoseconds since 1970: begin with what was noted since then; None for only what comes. The last
                few thousand events are kept.
            until: likewise: the end; 0 for none. One that has gone by already ends it with what is kept.
            filters: see `happenings.matching`.

        Raises:
            InvalidArgument: there is no such filter.
        """
        from .happenings import matching  # noqa: PLC0415

        matches = matching(filters or {})
        begin = 0 if since is None and until else since
        return (event for event in self._store.journal.follow(begin, until) if matches(event))

    def info(self) -> dict[str, Any]:
        """Return what Docker's `info` says, as far as it exists without a daemon."""
        from . import inspection  # noqa: PLC0415

        return inspection.system(self._store)


def _anonymous() -> "Client":
    """Return a client that no registry knows."""
    from ..remote.client import Client  # noqa: PLC0415

    return Client()
