"""Images from Python, without a Dockerfile and without root: layers appended, the config set."""

import os
from typing import Any

import msgspec
from msgspec.structs import replace

from ..compression import decompressed
from ..containers.commits import Statement, child
from ..errors import InvalidArgument
from ..layers.layers import Layer
from ..lock import Lease
from ..oci import codec, config, digest, reference, times
from ..oci.digest import Digest
from ..store.lifecycle import create_built
from ..store.names import name_image
from ..store.store import Store
from ..streams import Pieces, Reader
from ..tar.changes import everything
from ..tar.pack import Fixed, pack
from ..tar.root import Root


class Edit:
    """An image in the making, on top of another or of nothing.

    Each `append` is a layer, `commit` the image. Until then nobody sees any of it; of a block that fails nothing
    stays. Every step of the history gets the time `created`, and so do files that are newer: with one that is
    given, the same edits make the same image.

    Args:
        store: where to.
        lease: keeps the layers.
        base: the image below; None for nothing.
        created: seconds since the epoch; None for now.
    """

    def __init__(self, store: Store, lease: Lease, base: Digest | None, created: int | None = None) -> None:
        self._store = store
        self._lease = lease
        self._latest = created
        self._created = times.now() if created is None else times.rfc3339(created * 10**9)
        self._base = base
        self._image = store.images.get(base) if base else None
        self._run = self._image.run if self._image else config.RunConfig()
        self._is_changed = False
        self._top = self._find_top()

    def _find_top(self) -> Layer | None:
        chain_ids = digest.chains(self._image.diff_ids) if self._image else []
        present = self._store.rely_on(self._lease, chain_ids)
        if len(present) < len(chain_ids):
            self._store.layers.get(chain_ids[len(present)])
        return present[-1] if present else None

    def append(self, tar: Reader, created_by: str = "append a tar") -> Digest:
        """Add a layer from a tar, compressed or not, kept byte for byte; return its diff id.

        Raises:
            InvalidTar: the stream is no tar.
        """
        self._top = self._store.layers.register(self._lease, decompressed(tar), self._top)
        self._step(created_by, self._top.diff_id)
        return self._top.diff_id

    def append_folder(self, path: str, created_by: str = "") -> Digest:
        """Add a layer with all that a folder of the host holds, owned by root; return its diff id."""
        try:
            root = Root(path)
        except OSError as error:
            raise InvalidArgument(f"cannot read the folder {path}: {error.strerror}") from error
        with root:
            stream = Pieces(pack(everything(root), root, Fixed(self._latest, (0, 0))))
            return self.append(stream, created_by or f"append {os.path.basename(os.path.abspath(path))}")

    def set(self, **settings: Any) -> None:
        """Set fields of the config: `env=["A=b"]`, `cmd=["/app"]`, `entrypoint`, `user`, `working_dir`, `labels`, ….

        Raises:
            InvalidArgument: there is no such field, or it has another type; see `oci.config.RunConfig`.
        """
        names = {field.name for field in msgspec.structs.fields(config.RunConfig)}
        if unknown := sorted(set(settings) - names):
            raise InvalidArgument(f"a config has no field {unknown[0]!r}: there are {', '.join(sorted(names))}")
        changed = replace(self._run, **settings)
        try:
            self._run = msgspec.json.decode(msgspec.json.encode(changed), type=config.RunConfig)
        except (msgspec.ValidationError, TypeError) as error:
            raise InvalidArgument(f"cannot set {', '.join(sorted(settings))}: {error}") from error

    def commit(self, name: str = "", created_by: str = "set config") -> Digest:
        """Make the image, and name it; return its id.

        Raises:
            InvalidReference: the name is malformed.
        """
        wanted = reference.parse(name).tagged() if name else None
        if self._image is None or self._image.run != self._run:
            self._step(created_by, None)
        assert self._image is not None
        image_id = self._base
        if image_id is None or self._is_changed:
            names = [wanted] if wanted else []
            image_id = create_built(self._store, self._lease, codec.encode(self._image), self._base, names)
            self._base, self._is_changed = image_id, False
        elif wanted is not None:
            name_image(self._store, wanted, image_id)
        return image_id

    def drop(self) -> None:
        """Take away layers that were appended and not committed."""
        if self._is_changed and self._top is not None:
            self._store.release(self._lease, [self._top.chain_id])

    def _step(self, created_by: str, diff_id: Digest | None) -> None:
        step = replace(self._run, cmd=[created_by])
        statement = Statement(self._run, step, created_by, created=self._created, latest=self._latest)
        self._image = child(self._image, diff_id, statement)
        self._is_changed = True
