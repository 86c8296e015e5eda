"""A registry to pull from and to push to: Debian's docker-registry, which keeps nothing in memory.

In the words of a command, HERE is its host and port.
"""

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator

from tests import disks
from tests.registry.distribution import Distribution

HERE = "HERE"


class Remote:
    """A registry that runs until `close`; `begin` takes it back to where it was at `keep`. `storage` is its folder."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix=f"lamina-{os.getpid()}-", dir=disks.MEMORY)
        self.storage = os.path.join(self._folder, "storage")
        self._kept = os.path.join(self._folder, "kept")
        self._server = Distribution(os.path.join(self._folder, "server"), storage=self.storage, quiet=True)
        self._server.__enter__()

    def words(self, words: list[str]) -> list[str]:
        """Return words with the registry's name in place."""
        return [word.replace(HERE, self._server.host) for word in words]

    def keep(self) -> None:
        """Have what is there now whenever `begin` is called."""
        shutil.copytree(self.storage, self._kept)

    def begin(self) -> None:
        """Have nothing but what was kept."""
        shutil.rmtree(self.storage)
        shutil.copytree(self._kept, self.storage)

    def view(self) -> Iterator[str]:
        """Yield a line for each tag, having asserted that all is there that its image needs."""
        names = os.path.join(self.storage, "docker/registry/v2/repositories")
        for link in glob.glob(f"{names}/**/_manifests/tags/*/current/link", recursive=True):
            repository, _, rest = os.path.relpath(link, names).partition("/_manifests/tags/")
            image = json.loads(self._blob(_read(link).decode()))
            for part in (image["config"], *image["layers"]):
                hexed = part["digest"].removeprefix("sha256:")
                assert os.path.exists(f"{names}/{repository}/_layers/sha256/{hexed}/link"), f"{repository} lacks {part}"
                self._blob(part["digest"])
            yield f"registry {repository}:{rest.partition('/')[0]} = {image['config']['digest']}"

    def layers(self) -> list[str]:
        """Return the paths of all blobs, the largest first."""
        found = glob.glob(f"{self.storage}/docker/registry/v2/blobs/sha256/*/*/data")
        return sorted(found, key=os.path.getsize, reverse=True)

    def _blob(self, digest: str) -> bytes:
        hexed = digest.removeprefix("sha256:")
        data = _read(f"{self.storage}/docker/registry/v2/blobs/sha256/{hexed[:2]}/{hexed}/data")
        assert hashlib.sha256(data).hexdigest() == hexed, f"the registry's {digest} is damaged"
        return data

    def close(self) -> None:
        """End it, and remove all."""
        self._server.__exit__()
        shutil.rmtree(self._folder)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
