"""Which image a build step made: the build cache, found without reading every image.

The truth is the imagedb: an image built here, its parent, and the config of the step (`container_config`). The
index names it by a key of those, so that a step is found in one look whatever the number of images. It knows the
state of imagedb that it was made from; when another program has changed that, it is made anew.
"""

import contextlib
import os

import msgspec

from ..errors import LaminaError
from ..files import remove_tree
from ..oci import config, digest
from ..oci.digest import Digest
from .images import Images
from .paths import Paths

_PASSED_OVER = ("image", "hostname", "domainname", "mac_address")
"""What differs between runs of the same step (moby, daemon/internal/image/cache/compare.go)."""


def key(parent: Digest | None, step: config.RunConfig, platform: str) -> str:
    """Return the name of a step: the same parent, config and platform give the same one."""
    plain = msgspec.structs.asdict(step)
    facts = {name: _plain(value) for name, value in plain.items() if name not in _PASSED_OVER}
    text = msgspec.json.encode([parent or "", platform, facts], order="sorted")
    return digest.encoded(digest.of(text))


def _plain(value: object) -> object:
    """Unset, null and empty mean the same."""
    return None if value is msgspec.UNSET or not value else value


class Steps:
    """The index of a store's build steps. Writers hold the store's lock."""

    def __init__(self, paths: Paths, images: Images) -> None:
        self._paths = paths
        self._images = images

    def find(self, name: str, parent: Digest | None) -> Digest | None:
        """Return the newest image that a step made on top of a parent, or None."""
        if not self.is_current():
            self.rebuild()
        for image_id in reversed(self._read(name)):
            with contextlib.suppress(LaminaError):
                if self._images.is_built_locally(image_id) and self._key(image_id) == (name, parent):
                    return image_id
        return None

    def is_current(self) -> bool:
        """Tell whether the index knows all images that were built."""
        try:
            with open(self._paths.stamp, encoding="ascii") as file:
                return file.read() == self._state()
        except (OSError, UnicodeDecodeError):
            return False

    def add(self, image_id: Digest, *, was_current: bool) -> None:
        """Enter an image that a build has just made; `was_current` held before it was."""
        if was_current:
            name, _ = self._key(image_id)
            ids = [*(known for known in self._read(name) if known != image_id), image_id]
            self._write(self._paths.step(name), "\n".join(ids))
            self._write(self._paths.stamp, self._state())

    def note(self, *, was_current: bool) -> None:
        """Take note of a change to images that concerns no step, such as a deletion."""
        if was_current:
            self._write(self._paths.stamp, self._state())

    def rebuild(self) -> None:
        """Make the index anew from the imagedb."""
        state = self._state()
        found: dict[str, list[tuple[str, Digest]]] = {}
        for image_id in self._images:
            if not self._images.is_built_locally(image_id):
                continue
            with contextlib.suppress(LaminaError):
                created = self._images.get(image_id).created or ""
                found.setdefault(self._key(image_id)[0], []).append((created, image_id))
        remove_tree(self._paths.index)
        for name, ids in found.items():
            self._write(self._paths.step(name), "\n".join(image_id for _, image_id in sorted(ids)))
        self._write(self._paths.stamp, state)

    def _key(self, image_id: Digest) -> tuple[str, Digest | None]:
        image = self._images.get(image_id)
        parent = self._images.parent(image_id)
        return key(parent, image.container_config or config.RunConfig(), str(image.platform)), parent

    def _state(self) -> str:
        info = os.stat(self._paths.metadata)
        return f"{info.st_dev}:{info.st_ino}:{info.st_mtime_ns}"

    def _read(self, name: str) -> list[Digest]:
        try:
            with open(self._paths.step(name), encoding="ascii") as file:
                return [Digest(line) for line in file.read().splitlines()]
        except (OSError, UnicodeDecodeError):
            return []

    def _write(self, path: str, text: str) -> None:
        """Write without waiting for the disk: what a loss of power takes is made anew, and so is what is damaged."""
        try:
            self._put(path, text)
        except (IsADirectoryError, NotADirectoryError, FileExistsError):
            remove_tree(self._paths.index)
            self._put(path, text)

    def _put(self, path: str, text: str) -> None:
        temporary = f"{path}.{os.urandom(4).hex()}"
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(temporary, "w", encoding="ascii") as file:
            file.write(text)
        os.rename(temporary, path)
