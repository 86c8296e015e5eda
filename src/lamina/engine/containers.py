"""What containers there are, who uses which image, and a container's changes as an image."""

import contextlib
import os
import stat
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from ..archive.imports import import_tar
from ..containers import health
from ..containers.commits import Base, Statement, commit
from ..containers.life import Containers
from ..containers.records import LIVE, Record, State
from ..decoding import NOT_JSON
from ..errors import LaminaError
from ..events import Problem, Report
from ..oci import config, digest, reference, times
from ..oci.digest import Digest
from ..store.store import Store
from ..streams import Reader
from .removal import User

_LIMIT = 16 << 20


class ContainerSummary(msgspec.Struct, frozen=True):
    """One container of a list.

    Attributes:
        record: what it is.
        state: what became of it.
        size: bytes that it wrote; None where they were not asked for.
        base_size: bytes of its image's layers, likewise.
        health: `starting`, `healthy`, `unhealthy`; empty for one without a check, or that never ran.
        image: its image as the user named it, or the beginning of the id where that is no name of it any more.
    """

    record: Record
    state: State
    size: int | None = None
    base_size: int | None = None
    image: str = ""
    health: str = ""


def containers(all_containers: Containers, report: Report, *, sizes: bool) -> list[ContainerSummary]:
    """Return all containers, the newest first."""
    found: list[ContainerSummary] = []
    names: dict[str, Digest] | None = None
    for container in all_containers.records:
        try:
            record = all_containers.records.get(container)
            size, below = size_of(all_containers, container) if sizes else (None, None)
        except LaminaError as error:
            if all_containers.records.exists(container):
                report(Problem(str(error)))
            continue
        if names is None:
            names = _names(all_containers.store)
        image = _image(record, names)
        how = health.state(all_containers, record)
        state = all_containers.state(container)
        found.append(ContainerSummary(record, state, size, below, image, how.status if how else ""))
    return sorted(found, key=lambda one: one.record.created, reverse=True)


def _names(store: Store) -> dict[str, Digest]:
    """Return the names of all images; none where they cannot be read."""
    try:
        return store.references.all()
    except LaminaError:
        return {}


def _image(record: Record, names: dict[str, Digest]) -> str:
    """Return a container's image as its user named it, or the beginning of its id where that means it no more."""
    if record.image_id.removeprefix("sha256:").startswith(record.image.removeprefix("sha256:")):
        return record.image
    named = names.get(reference.parse(record.image).tagged().familiar) if names else record.image_id
    return record.image if named == record.image_id else digest.short(record.image_id)


def size_of(all_containers: Containers, container: str) -> tuple[int, int]:
    """Return the bytes of what a container wrote, and of its image's layers."""
    store = all_containers.store
    seen: set[int] = set()
    size = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(all_containers.records.hold(container))
        writable = store.mounts.get(container)
        root = stack.enter_context(store.mounts.open(writable))
        for _, _, _, info in root.walk():
            if info.st_ino not in seen and not stat.S_ISDIR(info.st_mode):
                seen.add(info.st_ino)
                size += info.st_size
    return size, sum(layer.size for layer in store.layers.chain(writable.parent))


def users(all_containers: Containers) -> Iterator[User]:
    """Yield which image each container was made from, also a dockerd's containers on the same root."""
    for container in all_containers.records:
        try:
            record = all_containers.records.get(container)
        except LaminaError:
            continue
        yield User(container, record.image_id, all_containers.state(container).status in LIVE)
    folder = all_containers.store.paths.docker_containers
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            with open(os.path.join(folder, name, "config.v2.json"), "rb") as file:
                found = msgspec.json.decode(file.read(_LIMIT), type=_DockerContainer)
        except (OSError, *NOT_JSON):
            continue
        yield User(found.id, found.image, False)  # no dockerd runs while we change its store


class _DockerContainer(msgspec.Struct):
    """The part of dockerd's own record of a container that matters here."""

    id: str = msgspec.field(name="ID")
    image: Digest = msgspec.field(name="Image")


class Wording(msgspec.Struct, frozen=True):
    """What a commit says: a name for the image (none if empty), and texts for its history."""

    name: str = ""
    message: str = ""
    author: str = ""
    changes: tuple[str, ...] = ()


def commit_container(all_containers: Containers, record: Record, wording: Wording, *, pause: bool) -> Digest:
    """Make an image of what a container changed; with `pause`, its processes are frozen meanwhile."""
    from ..build.configure import changes  # noqa: PLC0415 - the Dockerfile's language, only for --change
    from ..containers.detached import at_rest  # noqa: PLC0415 - and what runs

    store = all_containers.store
    name = reference.parse(wording.name).tagged() if wording.name else None
    run = replace(
        record.config,
        hostname="",
        domainname="",
        attach_stdin=False,
        attach_stdout=False,
        attach_stderr=False,
        tty=False,
        open_stdin=False,
        stdin_once=False,
    )
    statement = Statement(
        run=changes(wording.changes, run) if wording.changes else run,
        step=record.config,
        created_by=" ".join(record.config.cmd or []),
        comment=wording.message,
        author=wording.author,
        created=times.now(),
    )
    with store.writing() as lease, all_containers.records.hold(record.id), contextlib.ExitStack() as stack:
        if pause:
            stack.enter_context(at_rest(all_containers, lease, record))
        base = Base(record.image_id, store.images.get(record.image_id))
        image_id = commit(store, lease, record.id, base, statement, [name] if name else []).image_id
        named = name.familiar if name else ""
        all_containers.note(record, "commit", comment=wording.message, imageID=image_id, imageRef=named)
        return image_id


def import_image(store: Store, file: Reader, wording: Wording) -> Digest:
    """Make an image of one layer from a tar of a tree."""
    from ..build.configure import changes  # noqa: PLC0415 - the Dockerfile's language, only for --change

    name = reference.parse(wording.name).tagged() if wording.name else None
    run = changes(wording.changes, config.RunConfig()) if wording.changes else config.RunConfig()
    comment = wording.message or "Imported from -"
    return import_tar(store, file, run, comment, times.now(), [name] if name else [])
