"""Read-only layers: a tar comes in, gets its ids, and can be had back byte for byte.

A layer comes in by three steps. `prepare` unpacks the stream into a new tree of the driver and records what the
tree does not hold; `place` puts the tree on its parent, which must be there by then; `publish` makes everything
durable and gives it its name, all at once. A reader sees a whole layer or none.

What is under way is named in a lease, so that after a crash `recover` finds it. The caller's lock excludes other
publishers and deleters only while names change hands.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from ..errors import DataLoss, NotFound
from ..files import fsync, is_want, open_regular, remove_tree, syncfs
from ..lock import Lease
from ..mount import detached
from ..oci import digest
from ..oci.digest import Digest
from ..readahead import Ahead
from ..snapshot.driver import Driver
from ..streams import CRC64, DigestMismatch, Hashed, Pieces, Reader, Verified, chunks
from ..tar.contract import Applied
from ..tar.header import REGULAR, Entry, InvalidTar
from ..tar.root import Breakout, NotBelow, NotRegular, Root, clean
from ..tar.root import open_regular as open_inside
from . import checksums
from .paths import CHECKSUM, SPLIT, Paths, is_layer, is_removing, new_removing, new_write_set

if TYPE_CHECKING:
    from ..erofs.reader import Image
    from ..tar.split import Outline

LAYER, SNAPSHOT, WRITE_SET, REMOVING = "layer", "snapshot", "writeset", "removing"
"""The kinds of claims that this package puts into a lease: layers by the hex of their chain id, and what is on
its way in or out."""

_MAX_FILE = 4096


class LayerNotFound(NotFound):
    """No layer has this chain id."""

    def __init__(self, chain_id: Digest) -> None:
        super().__init__(f"layer {chain_id} does not exist")


class LayerDamaged(DataLoss):
    """A layer's files are not what they were written as."""


class Layer(msgspec.Struct, frozen=True):
    """A layer in its place on top of others; `size` counts the bytes of its own files."""

    chain_id: Digest
    diff_id: Digest
    parent: Digest | None
    size: int
    cache_id: str


class Claim(NamedTuple):
    """The names of a layer on its way in: of its tree, and of the folder that becomes its description."""

    snapshot: str
    write_set: str


class Pending(msgspec.Struct):
    """A layer on its way in; `size` holds once it has been placed."""

    diff_id: Digest
    snapshot: str
    write_set: str
    applied: Applied
    size: int = -1


class Layers:
    """The layers of a store.

    Args:
        home: the folder `layerdb`, which is there.
        driver: keeps the trees.
        lock: excludes others while names change; taken for moments only.
    """

    def __init__(self, home: str, driver: Driver, lock: Callable[[], AbstractContextManager[object]]) -> None:
        self._paths = Paths(home)
        self._driver = driver
        self._lock = lock

    def get(self, chain_id: Digest) -> Layer:
        """Return a layer.

        Raises:
            LayerNotFound: there is none.
            LayerDamaged: its description cannot be read.
        """
        folder = self._paths.layer(chain_id)
        if not os.path.isdir(folder):
            raise LayerNotFound(chain_id)
        try:
            return Layer(
                chain_id,
                digest.parse(_read(folder, "diff")),
                self.parent(chain_id),
                _number(_read(folder, "size")),
                _cache_id(_read(folder, "cache-id")),
            )
        except (OSError, ValueError, LayerDamaged, digest.InvalidDigest) as error:
            if is_want(error):
                raise
            raise LayerDamaged(f"layer {chain_id} is damaged: {error}") from error

    def size(self, chain_id: Digest) -> int:
        """Return the size of a layer, without reading the rest of it; see `get` for what is raised."""
        try:
            return _number(_read(self._paths.layer(chain_id), "size"))
        except FileNotFoundError as error:
            raise LayerNotFound(chain_id) from error
        except (OSError, ValueError, LayerDamaged) as error:
            if is_want(error):
                raise
            raise LayerDamaged(f"layer {chain_id} is damaged: {error}") from error

    def parent(self, chain_id: Digest) -> Digest | None:
        """Return the layer below one, without reading the rest of it; see `get` for what is raised."""
        if chain_id not in self:
            raise LayerNotFound(chain_id)
        try:
            return digest.parse(_read(self._paths.layer(chain_id), "parent"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LayerDamaged, digest.InvalidDigest) as error:
            if is_want(error):
                raise
            raise LayerDamaged(f"layer {chain_id} is damaged: {error}") from error

    def __contains__(self, chain_id: Digest) -> bool:
        return os.path.isdir(self._paths.layer(chain_id))

    def __iter__(self) -> Iterator[Digest]:
        yield from (Digest(f"sha256:{name}") for name in sorted(os.listdir(self._paths.layers)) if is_layer(name))

    def chain(self, chain_id: Digest | None) -> list[Layer]:
        """Return a layer and all below it, the topmost first."""
        found: list[Layer] = []
        while chain_id is not None:
            found.append(self.get(chain_id))
            chain_id = found[-1].parent
            if len(found) > self._driver.most_layers:
                raise LayerDamaged(f"layer {found[0].chain_id} stands on more than {self._driver.most_layers} others")
        return found

    @property
    def parent_first(self) -> bool:
        """Whether `prepare` needs the parent; without it, layers may be unpacked in any order."""
        return self._driver.parent_first

    def get_ready(self) -> None:
        """Import what takes layers in: processes that are forked then have it."""
        self._driver.get_ready()
        if not self._driver.keeps_tars:
            from ..tar import split  # noqa: F401, PLC0415

    def claim(self, lease: Lease, known: Claim | None = None) -> Claim:
        """Choose names for a layer on its way in, if they are not known, and note them in the lease."""
        claim = known or Claim(os.urandom(32).hex(), new_write_set())
        lease.add(SNAPSHOT, claim.snapshot)
        lease.add(WRITE_SET, claim.write_set)
        return claim

    def prepare(
        self, lease: Lease, stream: Reader, parent: Layer | Pending | None = None, claim: Claim | None = None
    ) -> Pending:
        """Unpack a layer's uncompressed tar; a failure leaves nothing.

        Args:
            lease: of the caller.
            stream: the tar.
            parent: of the layer; needed only for `parent_first`.
            claim: names chosen before, if they were; a failure gives them up, and they may be used again.

        Raises:
            InvalidTar: the stream is no tar, or one that cannot be unpacked.
        """
        snapshot, name = self.claim(lease, claim)
        folder = self._paths.write_set(name)
        try:
            os.mkdir(folder, 0o700)
            self._driver.create(snapshot, _tree(parent) if self._driver.parent_first else None)
            hashed = Hashed(stream)
            with Ahead(hashed) as ahead:
                if self._driver.keeps_tars:
                    summed = Hashed(ahead, CRC64)
                    applied = self._driver.apply(snapshot, summed)
                    write_new(folder, CHECKSUM, checksums.noted(summed.digest, Digest(hashed.digest)))
                else:
                    applied = self._take_apart(snapshot, ahead, folder)
            return Pending(Digest(hashed.digest), snapshot, name, applied)
        except BaseException:
            self._drop(lease, snapshot, name)
            raise

    def _take_apart(self, snapshot: str, stream: Reader, folder: str) -> Applied:
        """Give the driver a tar; record what it does not keep of it."""
        from ..tar.split import Recorder  # noqa: PLC0415

        with open(os.path.join(folder, SPLIT), "w+b") as file, Recorder(file, folder) as recorder:
            applied = self._driver.apply(snapshot, stream, recorder)
            recorder.finish()
            os.fchmod(file.fileno(), 0o644)
        return applied

    def place(self, pending: Pending, parent: Layer | Pending | None) -> None:
        """Put an unpacked layer on top of its parent, which may be placed but unpublished itself."""
        pending.size = self._driver.commit(pending.snapshot, _tree(parent), pending.applied)

    def publish(self, lease: Lease, layers: Iterable[Pending], parent: Layer | None) -> list[Layer]:
        """Give some layers their names, each on top of the one before it; return them.

        A layer that has come in by another way meanwhile is taken instead of ours.
        """
        batch = list(layers)
        if not batch:
            return []
        found: list[Layer] = []
        below = parent.chain_id if parent else None
        for pending in batch:
            found.append(_described(pending, below))
            _write(self._paths.write_set(pending.write_set), found[-1])
            below = found[-1].chain_id
        self._sync()
        with self._lock():
            for at, pending in enumerate(batch):
                found[at] = self._name(lease, pending, found[at])
        return found

    def check_depth(self, layers: int) -> None:
        """Refuse more layers than an image may have.

        Raises:
            InvalidTar: there are.
        """
        if layers > (most := self._driver.most_layers):
            raise InvalidTar(f"max depth exceeded: {layers} layers, at most {most} are possible")

    def register(
        self, lease: Lease, stream: Reader, parent: Layer | None = None, expected: Digest | None = None
    ) -> Layer:
        """Take a layer in: all steps at once.

        Raises:
            DigestMismatch: the stream's diff id is not the expected one.
            InvalidTar: there are too many layers below, or see `prepare`.
        """
        depth = len(self.chain(parent.chain_id)) if parent else 0
        self.check_depth(depth + 1)
        pending = self.prepare(lease, stream, parent)
        try:
            if expected is not None and pending.diff_id != expected:
                raise DigestMismatch("layer", expected, pending.diff_id)
            self.place(pending, parent)
            return self.publish(lease, [pending], parent)[0]
        except BaseException:
            self.discard(lease, pending)
            raise

    def abandon(self, lease: Lease, claim: Claim) -> None:
        """Remove what was made under the names of a claim, if anything was, and give them up."""
        self._drop(lease, *claim)

    def discard(self, lease: Lease, pending: Pending) -> None:
        """Remove a layer on its way in; one that has been published stays."""
        if os.path.isdir(self._paths.write_set(pending.write_set)):
            self._drop(lease, pending.snapshot, pending.write_set)

    @contextlib.contextmanager
    def tar(self, layer: Layer) -> Iterator[Reader]:
        """Open the layer's tar, the very bytes that it came from; they are read ahead of who reads them.

        Raises:
            DigestMismatch: from the `read` that meets the end, where the store no longer gives those bytes: see
                `checksums`.
            LayerDamaged: likewise, or earlier, where it cannot give them.
        """
        checksum = checksums.known(self._paths.layer(layer.chain_id), layer.diff_id)
        with self._verified(layer, checksum or layer.diff_id) as stream:
            yield stream

    @contextlib.contextmanager
    def _verified(self, layer: Layer, expected: str) -> Iterator[Reader]:
        """Open the layer's tar, which must have a checksum or a digest; see `tar`."""
        what = f"layer {layer.chain_id} was modified in the store; load or build its image again"
        pieces = Pieces(self.assemble(layer))
        if self._driver.keeps_tars:  # to read and hash them is most of the work
            with Ahead(Verified(pieces, expected, what=what)) as ahead:
                yield ahead
        else:  # to put them together is
            with Ahead(pieces) as ahead:
                yield Verified(ahead, expected, what=what)

    def tar_size(self, layer: Layer) -> int:
        """Return the number of bytes of the layer's tar."""
        if self._driver.keeps_tars:
            with self._kept(layer) as file:
                return file.seek(0, os.SEEK_END)
        from ..tar import split  # noqa: PLC0415

        with self._split(layer) as file:
            return split.size(file)

    @contextlib.contextmanager
    def tree(self, layer: Layer) -> Iterator[Root]:
        """Open all that a layer shows with those below it, to read."""
        fd = detached(self._driver.mount(layer.cache_id))
        try:
            with Root(fd) as root:
                yield root
        finally:
            os.close(fd)

    def assemble(self, layer: Layer) -> Iterator[bytes]:
        """Yield the bytes of the layer's tar unchecked; `tar` checks them."""
        if self._driver.keeps_tars:
            with self._kept(layer) as file:
                yield from chunks(file)
            return
        from ..tar import split  # noqa: PLC0415

        with self._split(layer) as file, self._driver.open(layer.cache_id) as root:
            try:
                yield from split.assemble(file, lambda name: _open_file(root, name))
            except (DataLoss, InvalidTar, Breakout, NotRegular) as error:
                raise LayerDamaged(f"layer {layer.chain_id} is damaged: {error}") from error

    @property
    def keeps_tars(self) -> bool:
        """Whether a layer's tar lies there as it came; else it is put together from its files."""
        return self._driver.keeps_tars

    @property
    def keeps_indexes(self) -> bool:
        """Whether `index` has what there is to know of a layer's files; else `outline` has it."""
        return self._driver.keeps_tars

    def index(self, layer: Layer) -> "Image":
        """Open what the store keeps of the layer's files, with `keeps_indexes`; see `filetree`.

        Raises:
            LayerDamaged: it is not there, or not as it was written.
        """
        try:
            return self._driver.index(layer.cache_id)
        except DataLoss as error:
            raise LayerDamaged(f"layer {layer.chain_id} is damaged: {error}") from error

    @contextlib.contextmanager
    def outline(self, layer: Layer) -> Iterator["Outline"]:
        """Open the entries of the layer's tar, without `keeps_indexes`; no file of it is read.

        Raises:
            LayerDamaged: what is known of the tar cannot be read.
        """
        from ..tar.split import Outline  # noqa: PLC0415

        with self._split(layer) as file:
            try:
                yield Outline(file)
            except (DataLoss, InvalidTar) as error:
                raise LayerDamaged(f"layer {layer.chain_id} is damaged: {error}") from error

    def open_file(self, layer: Layer, path: bytes) -> list[int]:
        """Open what has the content of a regular file that the layer has at a clean path.

        Returns:
            Descriptors, for the caller to close: of the file alone, or, with `keeps_indexes`, of the devices that its
            inode leads into.

        Raises:
            LayerDamaged: it is not there.
        """
        found: list[int] = []
        try:
            if self._driver.keeps_tars:
                found.extend(map(open_regular, self._driver.devices(layer.cache_id)))
                return found
            with self._driver.open(layer.cache_id) as root:
                return [_open_file(root, path)]
        except (OSError, DataLoss, NotRegular) as error:
            for fd in found:
                os.close(fd)
            if is_want(error):
                raise
            what = error.strerror if isinstance(error, OSError) else error
            raise LayerDamaged(f"layer {layer.chain_id} is damaged: {os.fsdecode(path)!r}: {what}") from error

    def _kept(self, layer: Layer) -> BinaryIO:
        try:
            return self._driver.tar(layer.cache_id)
        except DataLoss as error:
            raise LayerDamaged(f"layer {layer.chain_id} is damaged: {error}") from error

    def _split(self, layer: Layer) -> BinaryIO:
        try:
            return open(os.path.join(self._paths.layer(layer.chain_id), SPLIT), "rb")
        except OSError as error:
            if is_want(error):
                raise
            raise LayerDamaged(f"layer {layer.chain_id} is damaged: {SPLIT}: {error.strerror}") from error

    def retire(self, lease: Lease, chain_id: Digest) -> str:
        """Take a layer out of sight; return what `finish` wants. The caller holds the lock."""
        name = new_removing(chain_id)
        lease.add(REMOVING, name)
        os.rename(self._paths.layer(chain_id), self._paths.removing(name))
        return name

    def finish(self, lease: Lease, name: str) -> None:
        """Remove the files of a layer that was taken out of sight; what is gone already is no error."""
        folder = self._paths.removing(name)
        try:
            cache_id = _cache_id(_read(folder, "cache-id"))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, LayerDamaged):
            cache_id = ""  # gone already, or damaged
        if cache_id:
            self._driver.remove(cache_id)
        remove_tree(folder)
        lease.drop(REMOVING, name)

    def leftovers(self) -> Iterator[str]:
        """Yield layers on their way in or out: rubbish, but for what a live lease names."""
        yield from (f"tmp/{name}" for name in sorted(os.listdir(self._paths.tmp)))
        yield from (f"sha256/{name}" for name in sorted(os.listdir(self._paths.layers)) if is_removing(name))

    def recover(self, lease: Lease, claims: Iterable[tuple[str, str]], is_used: Callable[[str], bool]) -> None:
        """Take away what a dead owner left: the claims that its lease named.

        Args:
            lease: of the caller.
            claims: kinds and names; kinds of others are passed over.
            is_used: tells whether a layer or a container has a tree.
        """
        for kind, name in claims:
            if kind == REMOVING:
                self.finish(lease, name)
            elif kind == WRITE_SET:
                remove_tree(self._paths.write_set(name))
            elif kind == SNAPSHOT and not is_used(name):
                self._driver.remove(name)

    def check(self, layer: Layer, *, content: bool) -> Iterator[str]:
        """Yield what is wrong with a layer, a line each; with `content`, all its bytes are read and hashed."""
        below = self.get(layer.parent) if layer.parent else None
        if digest.chain(layer.parent, layer.diff_id) != layer.chain_id:
            yield f"layer {layer.chain_id}: its parent and diff id make another chain id"
        folder = self._paths.layer(layer.chain_id)
        checksum = checksums.known(folder, layer.diff_id)
        if checksum is None and os.path.lexists(os.path.join(folder, CHECKSUM)):
            yield f"layer {layer.chain_id}: {CHECKSUM} is damaged"
        problems = [*self._driver.check(layer.cache_id, below.cache_id if below else None)]
        yield from (f"layer {layer.chain_id}: {problem}" for problem in problems)
        if content:
            try:
                with self._verified(layer, layer.diff_id) as stream:
                    summed = Hashed(stream, CRC64)
                    for _ in chunks(summed):
                        pass
                if checksum not in (None, summed.digest):
                    yield f"layer {layer.chain_id}: {CHECKSUM} is not the checksum of its tar"
                if not problems and not self.is_size(layer, layer.size):
                    yield f"layer {layer.chain_id}: its files have not the size that it names, {layer.size}"
            except DataLoss as error:
                yield str(error)

    def is_size(self, layer: Layer, size: int) -> bool:
        """Tell whether a layer may have a size: the driver's, or the one that dockerd notes of what BuildKit made.

        That one adds up the contents in the tar, without symbolic links (moby, layer/layer_store.go, packSizeCounter).
        """
        known = self._driver.size(layer.cache_id)
        if known in (None, size):
            return True
        if self._driver.keeps_tars:
            from ..tar import reader  # noqa: PLC0415

            with self.tar(layer) as stream:
                return size == _contents_size(reader.Reader(stream))
        with self.outline(layer) as entries:
            return size == _contents_size(entries)

    def _name(self, lease: Lease, pending: Pending, layer: Layer) -> Layer:
        """Publish one layer under the lock, or take the one that is there."""
        if layer.parent is not None and layer.parent not in self:
            raise LayerNotFound(layer.parent)
        lease.add(LAYER, digest.encoded(layer.chain_id))  # until something relies on it
        if layer.chain_id in self:
            layer = self.get(layer.chain_id)
            self._drop(lease, pending.snapshot, pending.write_set)
            return layer
        os.rename(self._paths.write_set(pending.write_set), self._paths.layer(layer.chain_id))
        fsync(self._paths.layers)
        lease.drop(WRITE_SET, pending.write_set)
        lease.drop(SNAPSHOT, pending.snapshot)
        return layer

    def _sync(self) -> None:
        """Make all that was written durable: the trees, and their descriptions where those lie elsewhere."""
        if self._driver.sync() != os.stat(self._paths.home).st_dev:
            syncfs(self._paths.home)

    def _drop(self, lease: Lease, snapshot: str, write_set: str) -> None:
        self._driver.remove(snapshot)
        remove_tree(self._paths.write_set(write_set))
        lease.drop(WRITE_SET, write_set)
        lease.drop(SNAPSHOT, snapshot)


def _contents_size(entries: Iterable[Entry]) -> int:
    files = (entry for entry in entries if entry.type == REGULAR)
    return sum(entry.sparse[0] if entry.sparse else entry.size for entry in files)


def _tree(layer: Layer | Pending | None) -> str | None:
    return layer.cache_id if isinstance(layer, Layer) else layer.snapshot if layer else None


def _described(pending: Pending, parent: Digest | None) -> Layer:
    chain_id = digest.chain(parent, pending.diff_id)
    return Layer(chain_id, pending.diff_id, parent, pending.size, pending.snapshot)


def _write(folder: str, layer: Layer) -> None:
    """Write a layer's description into its write set."""
    write_new(folder, "diff", layer.diff_id)
    write_new(folder, "size", str(layer.size))
    write_new(folder, "cache-id", layer.cache_id)
    if layer.parent is not None:
        write_new(folder, "parent", layer.parent)


def write_new(folder: str, name: str, text: str) -> None:
    """Write a small file of a write set."""
    with open(os.path.join(folder, name), "x", encoding="ascii") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)


def _read(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), "rb") as file:
        return file.read(_MAX_FILE).decode("ascii").strip()


def _number(text: str) -> int:
    if not text.isdecimal():
        raise LayerDamaged(f"size {text[:80]!r} is no number")
    return int(text)


def _cache_id(text: str) -> str:
    if not text or "/" in text or text.startswith("."):
        raise LayerDamaged(f"cache-id {text[:80]!r} names no tree")
    return text


def _open_file(root: Root, name: bytes) -> int:
    try:
        folder, last = root.parent(clean(name))
    except NotBelow as error:
        raise FileNotFoundError(2, "its folder is gone") from error
    return open_inside(folder, last)
