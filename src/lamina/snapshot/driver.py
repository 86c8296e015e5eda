"""The contract of storage drivers."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..errors import NotSupported
from ..mount import Mount
from ..streams import Reader as Stream
from ..tar import contract
from ..tar.contract import Applied, Keeper
from ..tar.root import Root

if TYPE_CHECKING:
    from ..erofs.reader import Image
    from ..tar.changes import Change


class Recorder(contract.Recorder, Keeper, Protocol):
    """Hears of all bytes of a tar, and of the contents that go while it is unpacked; see `tar.split.Recorder`."""


class Driver(Protocol):
    """Trees on disk, each on top of a parent, by ids that the caller chooses (64 hex digits, or more).

    The life of a layer: `create`, `apply` a tar to it, `commit` it on top of its parent; from then on it does
    not change. The life of a container's tree: `prepare` it on top of a layer, mount it writable as often as
    wanted, compare it, `remove` it.

    A driver does not know which ids are in use, in what order they may go, or whether they are durable: its
    caller does, and holds the locks. Calls for different ids may run at the same time, in threads and in
    processes. Everything made is below the id's own directory but for what a driver documents.
    """

    name: str
    """The driver's name, also that of its folder in a store."""

    parent_first: bool
    """Whether `create` needs the parent committed; without it, layers may be applied in any order."""

    most_layers: int = 125
    """The most layers that an image may have, Docker's bound: a driver that can stack more says so."""

    keeps_tars: bool = False
    """Whether a layer's tar stays on disk as it came: then nobody has to record how to put it together again."""

    def get_ready(self) -> None:
        """Import what takes layers in: processes that are forked then have it."""
        return

    def create(self, snapshot: str, parent: str | None) -> None:
        """Make an empty layer.

        Raises:
            FileExistsError: the id is there.
        """
        ...

    def apply(self, snapshot: str, stream: Stream, recorder: Recorder | None = None) -> Applied:
        """Unpack a tar into a created layer, and read the stream to its end; see `tar.apply` for what is raised.

        Args:
            snapshot: the layer.
            stream: the tar.
            recorder: hears of what the tree does not hold; not with `keeps_tars`.
        """
        ...

    def tar(self, snapshot: str) -> BinaryIO:
        """Open a layer's tar, with `keeps_tars`; the caller closes it.

        Raises:
            DataLoss: it is not there.
            NotSupported: the driver keeps none.
        """
        raise NotSupported(f"the storage driver {self.name} keeps no tars")

    def index(self, snapshot: str) -> "Image":
        """Open what a layer's tar says of its files, settled on its parent, with `keeps_tars`.

        Raises:
            DataLoss: it is not there, or not as it was written.
            NotSupported: the driver keeps none.
        """
        raise NotSupported(f"the storage driver {self.name} keeps no tars")

    def devices(self, snapshot: str) -> list[str]:
        """Return the files that a layer's contents lie in, by the number of the device less one, with `keeps_tars`."""
        raise NotSupported(f"the storage driver {self.name} keeps no tars")

    def commit(self, snapshot: str, parent: str | None, applied: Applied) -> int:
        """Put a layer on top of its parent and finish what its tar left open; return its size.

        The size is Docker's: bytes of the files and links that the layer itself brings, each inode once.

        Raises:
            InvalidTar: a hard link of the layer has no target in it or below.
        """
        ...

    def prepare(self, snapshot: str, parent: str | None) -> None:
        """Make a writable tree that begins as its parent."""
        ...

    def mount(self, snapshot: str) -> Mount:
        """Return the mount that shows a tree with all below it: writable if it was prepared, else to read."""
        ...

    def open(self, snapshot: str) -> Root:
        """Open the directory that has the files a layer brought, or a container wrote, under their names.

        Raises:
            DataLoss: it is not there.
        """
        ...

    def changes(self, snapshot: str, parent: str | None) -> Iterator["Change"]:
        """Yield what a tree changes of its parent; the files are found by `open`."""
        ...

    def remove(self, snapshot: str) -> None:
        """Remove a tree; one that is half made or half removed too, and an absent one without error."""
        ...

    def sync(self) -> int:
        """Make all trees durable, whoever wrote them; return the number of the device that they are on."""
        ...

    def exists(self, snapshot: str) -> bool:
        """Tell whether a tree is there."""
        ...

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of all trees, half made ones included."""
        ...

    def metadata(self, snapshot: str) -> dict[str, str]:
        """Return the paths that Docker shows as GraphDriver.Data."""
        ...

    def check(self, snapshot: str, parent: str | None) -> Iterator[str]:
        """Yield what is wrong with a tree and its marks, a line each; not its files' contents."""
        ...

    def size(self, snapshot: str) -> int | None:
        """Return the size of a layer, as `commit` did, from what is there of it; None where that does not tell.

        Raises:
            DataLoss: it cannot be read.
        """
        ...

    def strays(self) -> Iterator[str]:
        """Yield the absolute paths of what lies beside the trees and belongs to none of them."""
        ...

    def folder(self, snapshot: str) -> str:
        """Return the absolute path that holds all of a tree: moved away, the tree is gone."""
        ...

    def parent(self, snapshot: str) -> str | None:
        """Return the tree that one stands on, None where there is none, or nothing says so."""
        ...

    def mend(self, snapshot: str, parent: str | None, aside: Callable[[str], None]) -> Iterator[str]:
        """Write a tree's marks anew where `check` would find them wrong; yield the paths written, a line each.

        The files of the tree stay as they are. Parents come first.

        Args:
            snapshot: the tree, which is there.
            parent: the tree that it stands on.
            aside: moves away what is in the place of a mark.
        """
        ...
