"""Images out of a file, into the store: `docker load`."""

import contextlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ..compression import Corrupt, decompressed, detect
from ..content.contract import Source
from ..content.layout import INDEX
from ..errors import LaminaError
from ..events import Report
from ..lock import Lease
from ..oci import digest, platform, reference
from ..oci.digest import Digest
from ..oci.manifest import Manifest
from ..store.install import install, keep
from ..store.names import tell
from ..store.store import Store
from ..tar.header import InvalidTar
from .docker import MANIFEST, DockerArchive, InvalidArchive, Item
from .members import Folder, Members, Tarball
from .oci import OciArchive

_PROCESSES = 2
"""Those that unpack at a time. The largest layer of an image, and the disk, leave more of them little to do."""


class Loaded(NamedTuple):
    """One image that was loaded, and the names it got, in their familiar form."""

    image_id: Digest
    names: list[str]


@contextlib.contextmanager
def opened(store: Store, file: BinaryIO, where: str) -> Iterator[Members]:
    """Open the files of an archive: one that cannot be sought, is compressed, or no real file, is spooled first.

    Raises:
        InvalidArchive: it is no tar.
    """
    with contextlib.ExitStack() as stack:
        try:
            if not (_is_real(file) and file.seekable()) or detect(_head(file)):
                file = stack.enter_context(store.spool(decompressed(file)))
            members = Tarball(file, where)
        except (InvalidTar, Corrupt) as error:
            raise InvalidArchive(f"{where} is no archive of images: {error}") from error
        yield members


def _is_real(file: BinaryIO) -> bool:
    """Tell whether a file has a descriptor."""
    try:
        return file.fileno() >= 0
    except OSError:
        return False


def _head(file: BinaryIO) -> bytes:
    head = file.read(8)
    file.seek(0)
    return head


def load(store: Store, file: BinaryIO, where: str, report: Report, wanted: str = "") -> list[Loaded]:
    """Load all images of an archive: `docker save`'s, or an OCI layout in a tar, compressed or not.

    Each image is whole or absent; those loaded before a failure stay.

    Args:
        store: where to.
        file: the archive, open to read; it need not be seekable.
        where: its name, for messages.
        report: hears of every layer.
        wanted: the platform to choose from an index; empty for the host's.

    Raises:
        InvalidArchive: the file holds no images.
        DigestMismatch: a layer is not the one that its image names.
    """
    with opened(store, file, where) as members:
        return load_members(store, members, report, wanted)


def load_folder(store: Store, path: str, report: Report, wanted: str = "") -> list[Loaded]:
    """Load all images of an unpacked archive; see `load`."""
    members = Folder(path)
    try:
        return load_members(store, members, report, wanted)
    finally:
        members.close()


def load_members(store: Store, members: Members, report: Report, wanted: str = "") -> list[Loaded]:
    """Load all images among some files; see `load`."""
    if MANIFEST in members:
        return _load_docker(store, DockerArchive(members), report)
    if INDEX in members:
        chosen = platform.parse(wanted) if wanted else platform.host()
        return _load_oci(store, OciArchive(members), chosen, report)
    raise InvalidArchive(f"invalid archive: {members.where} has neither {MANIFEST} nor {INDEX}")


def _load_docker(store: Store, source: DockerArchive, report: Report) -> list[Loaded]:
    loaded: list[Loaded] = []
    items = source.items()
    with store.writing() as lease:
        for item in items:
            manifest = source.manifest(item)
            names = [reference.parse(text).tagged() for text in item.repo_tags or []]
            loaded.append(_installed(store, lease, source, manifest, names, report))
        _restore_parents(store, items, loaded)
    return loaded


def _load_oci(store: Store, source: OciArchive, wanted: platform.Platform, report: Report) -> list[Loaded]:
    loaded: list[Loaded] = []
    with store.writing() as lease:
        for found in source.images(wanted):
            for document in found.documents:
                keep(store, source, document)
            names = [reference.parse(found.name)] if found.name else []
            loaded.append(_installed(store, lease, source, found.manifest, names, report))
    return loaded


def _installed(
    store: Store,
    lease: Lease,
    source: Source,
    manifest: Manifest,
    names: list[reference.Reference],
    report: Report,
) -> Loaded:
    image_id = install(store, lease, source, manifest, report, _PROCESSES, names).image_id
    tell(store, "load", image_id)
    return Loaded(image_id, [name.familiar for name in names])


def _restore_parents(store: Store, items: list[Item], loaded: list[Loaded]) -> None:
    """Note again which image was built on which, where the archive says so and the layers agree."""
    for item, image in zip(items, loaded, strict=True):
        with contextlib.suppress(LaminaError):
            parent = digest.parse(item.parent)
            layers, below = (store.images.summary(found).diff_ids for found in (image.image_id, parent))
            if layers[: len(below)] == below and parent != image.image_id:
                with store.lock():
                    if image.image_id in store.images and parent in store.images:
                        store.images.set_parent(image.image_id, parent)
