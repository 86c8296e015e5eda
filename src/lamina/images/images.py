"""Images by id: the config's very bytes, and what is known beside them."""

import contextlib
import os
from collections.abc import Callable, Iterator

import msgspec

from ..errors import DataLoss, InvalidArgument, LaminaError, NotFound
from ..files import is_unread, is_want, remove_tree, replace
from ..oci import codec, config, digest
from ..oci.digest import Digest
from .paths import Paths

_SECOND = 1_000_000_000


class ImageNotFound(NotFound):
    """No image has this id or name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such image: {name}")


class AmbiguousImage(InvalidArgument):
    """Several images have ids that begin as the text does."""


class ImageDamaged(DataLoss):
    """An image's config is not the one that its id names."""


class Summary(msgspec.Struct, frozen=True):
    """The part of a config that lists need."""

    created: str | None = None
    rootfs: config.RootFS | None = None
    config: "SummaryConfig | None" = None

    @property
    def diff_ids(self) -> list[Digest]:
        """The digests of the layers, base first."""
        return self.rootfs.diff_ids if self.rootfs else []


class SummaryConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """The labels of an image."""

    labels: dict[str, str] | None = None


class Images:
    """The imagedb of a store. Writers hold the store's lock."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def raw(self, image_id: Digest) -> bytes:
        """Return a config's bytes, checked.

        Raises:
            ImageNotFound: there is no such image.
            ImageDamaged: the bytes are others than the id says.
            OSError: this process has no descriptor or memory left, which says nothing of the image.
        """
        try:
            with open(self._paths.config(image_id), "rb") as file:
                raw = file.read(codec.LIMIT + 1)
        except FileNotFoundError as error:
            raise ImageNotFound(image_id) from error
        except OSError as error:
            if is_want(error):
                raise
            raise ImageDamaged(f"image {image_id} is damaged: {error.strerror}") from error
        if digest.of(raw) != image_id:
            raise ImageDamaged(f"image {image_id} is damaged: its config has the digest {digest.of(raw)}")
        return raw

    def get(self, image_id: Digest) -> config.Image:
        """Return a config; see `raw` for what is raised."""
        return config.parse(self.raw(image_id), f"image {image_id}")

    def summary(self, image_id: Digest) -> Summary:
        """Return the part of a config that lists need; see `raw` for what is raised."""
        return codec.decode(self.raw(image_id), Summary, f"image {image_id}")

    def __contains__(self, image_id: Digest) -> bool:
        return os.path.isfile(self._paths.config(image_id))

    def __iter__(self) -> Iterator[Digest]:
        yield from _ids(self._paths.content)

    def facts(self) -> Iterator[Digest]:
        """Yield the ids that something is known of; their images should be there."""
        yield from _ids(self._paths.metadata)

    def find(self, text: str) -> Digest | None:
        """Return the image whose id is `text`, or begins with it, with or without `sha256:`.

        Raises:
            AmbiguousImage: several do.
        """
        start = text.removeprefix("sha256:")
        if not digest.is_hex(start):
            return None
        if len(start) == 64:
            image_id = Digest(f"sha256:{start}")
            return image_id if image_id in self else None
        found = [image_id for image_id in self if digest.encoded(image_id).startswith(start)]
        if len(found) > 1:
            ids = ", ".join(digest.short(image_id) for image_id in found[:3])
            raise AmbiguousImage(f"image id {text!r} is ambiguous: {ids}{', ...' if len(found) > 3 else ''}")
        return found[0] if found else None

    def create(self, raw: bytes) -> Digest:
        """Keep a config; return its id. The layers that it names must be there. Doing it again changes nothing."""
        image_id = digest.of(raw)
        if image_id not in self:
            _replace(self._paths.config(image_id), raw)
        return image_id

    def delete(self, image_id: Digest) -> None:
        """Remove an image and what is known of it."""
        remove_tree(self._paths.facts(image_id))
        remove_tree(self._paths.config(image_id))

    def parent(self, image_id: Digest, *, sure: bool = False) -> Digest | None:
        """Return the image that another was built on, None where that is not known.

        Args:
            image_id: the other.
            sure: whether something is to be deleted where there is none.

        Raises:
            ImageDamaged: with `sure`, the disk does not say it now.
        """
        text = self._fact(image_id, "parent", sure=sure)
        try:
            return digest.parse(text) if text else None
        except digest.InvalidDigest:
            return None

    def check(self, image_id: Digest) -> Iterator[str]:
        """Yield what is wrong with what is known of an image, a line each."""
        facts = self._paths.facts(image_id)
        if os.path.lexists(facts) and not os.path.isdir(facts):
            yield f"image {image_id}: {facts} is no folder"
        path = self._paths.fact(image_id, "parent")
        parent = self.parent(image_id)
        if parent is None and os.path.lexists(path):
            yield f"image {image_id}: {path} names no image"
        elif parent is not None and parent not in self:
            yield f"image {image_id}: its parent {parent} does not exist"
        for name in ("lastUpdated", "builtLocally"):
            if os.path.isdir(path := self._paths.fact(image_id, name)):
                yield f"image {image_id}: {path} is a directory"

    def restore(self, image_id: Digest, raw: bytes) -> None:
        """Write a config anew, in whose place there is none or a damaged one."""
        assert digest.of(raw) == image_id
        _replace(self._paths.config(image_id), raw)

    def files(self, image_id: Digest) -> list[str]:
        """Return the paths of all that is there of an image, the config first."""
        paths = [self._paths.config(image_id), self._paths.facts(image_id)]
        return [path for path in paths if os.path.lexists(path)]

    def mend(self, image_id: Digest, aside: Callable[[str], None]) -> Iterator[str]:
        """Put right what is known of an image that is there; yield what was done, a line each.

        A parent that cannot be is found again by its layers and its history, if one image alone fits.

        Args:
            image_id: of the image.
            aside: moves away what cannot be used.
        """
        facts = self._paths.facts(image_id)
        if os.path.lexists(facts) and not os.path.isdir(facts):
            aside(facts)
            yield f"image {image_id}: {facts} was no folder"
        for name in ("lastUpdated", "builtLocally"):
            if os.path.isdir(path := self._paths.fact(image_id, name)):
                aside(path)
                yield f"image {image_id}: {path} was a folder"
        path = self._paths.fact(image_id, "parent")
        parent = self.parent(image_id)
        if os.path.lexists(path) and (parent is None or parent not in self):
            aside(path)
            found = self._parent_of(image_id)
            self.set_parent(image_id, found)
            yield f"image {image_id}: its parent is {found or 'no longer known'}"

    def _parent_of(self, image_id: Digest) -> Digest | None:
        """Return the one image whose steps are those of another one but for the last, if there is one alone."""
        image = self.get(image_id)
        found: list[Digest] = []
        for other_id in self:
            with contextlib.suppress(LaminaError):
                other = self.get(other_id)
                if image.history and other.history == image.history[:-1]:
                    found += [other_id] * (other.diff_ids == image.diff_ids[: len(other.diff_ids)])
        return found[0] if len(found) == 1 else None

    def set_parent(self, image_id: Digest, parent: Digest | None) -> None:
        """Note, or forget, the image that another was built on."""
        if parent is not None:
            self._set_fact(image_id, "parent", parent.encode())
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._paths.fact(image_id, "parent"))

    def is_built_locally(self, image_id: Digest) -> bool:
        """Tell whether a build or a commit in this store made an image."""
        return os.path.exists(self._paths.fact(image_id, "builtLocally"))

    def set_built_locally(self, image_id: Digest) -> None:
        """Note that a build or a commit in this store made an image."""
        self._set_fact(image_id, "builtLocally", b"\x01")

    def last_updated(self, image_id: Digest) -> str:
        """Return when a name was last given to an image (RFC 3339), or nothing."""
        return self._fact(image_id, "lastUpdated")

    def set_last_updated(self, image_id: Digest, when: str) -> None:
        """Note when a name was given to an image."""
        self._set_fact(image_id, "lastUpdated", when.encode())

    def _fact(self, image_id: Digest, name: str, *, sure: bool = False) -> str:
        path = self._paths.fact(image_id, name)
        try:
            with open(path, "rb") as file:
                return file.read(200).decode("ascii", "replace").strip()
        except OSError as error:
            if is_want(error):
                raise
            if sure and is_unread(error):
                raise ImageDamaged(f"{path} cannot be read: {error.strerror}") from error
            return ""

    def _set_fact(self, image_id: Digest, name: str, data: bytes) -> None:
        os.makedirs(self._paths.facts(image_id), 0o700, exist_ok=True)
        _replace(self._paths.fact(image_id, name), data)


def _replace(path: str, data: bytes) -> None:
    try:
        replace(path, data, 0o600)
    except IsADirectoryError as error:
        raise ImageDamaged(f"{path} is damaged: it is a directory; remove it") from error


def _ids(folder: str) -> Iterator[Digest]:
    names = sorted(os.listdir(folder))
    yield from (Digest(f"sha256:{name}") for name in names if len(name) == 64 and digest.is_hex(name))
