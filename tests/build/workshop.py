"""A place to build in: a store, a context, and what the builder said."""

import io
import os
import tarfile
from collections.abc import Mapping

from lamina.build.builder import Options
from lamina.build.inputs import Inputs
from lamina.engine import Engine
from lamina.events import Event, Output
from lamina.oci import config, reference
from lamina.oci.digest import Digest


class Workshop:
    """Builds images from texts; `said` is all that the last build printed.

    Args:
        folder: an empty one.
        driver: the storage driver; empty for the best that works there.
    """

    def __init__(self, folder: str, driver: str = "") -> None:
        self.context = os.path.join(folder, "context")
        self.said = ""
        os.makedirs(self.context)
        self.engine = Engine(os.path.join(folder, "store"), driver, self._hear, run_root=os.path.join(folder, "run"))

    def _hear(self, event: Event) -> None:
        if isinstance(event, Output):
            self.said += event.data.decode()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the context."""
        for name, text in files.items():
            path = os.path.join(self.context, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)

    def build(self, dockerfile: str, name: str = "", **options: object) -> Digest:
        """Build from the context and a Dockerfile that is no file of it."""
        self.said = ""
        names = (reference.parse(name).tagged(),) if name else ()
        inputs = Inputs(folder=self.context, stream=io.BytesIO(dockerfile.encode()))
        return self.engine.build(inputs, Options(names=names, **options))  # type: ignore[arg-type]

    def image(self, image_id: str) -> config.Image:
        return self.engine._store.images.get(Digest(image_id))

    def run(self, image_id: str) -> config.RunConfig:
        return self.image(image_id).run

    def files(self, image_id: str) -> dict[str, bytes]:
        """Return the contents of all files of an image, and `/` for directories."""
        found: dict[str, bytes] = {}
        store = self.engine._store
        image = store.images.get(Digest(image_id))
        for chain_id in _chains(image):
            with (
                store.layers.tar(store.layers.get(chain_id)) as stream,
                tarfile.open(fileobj=stream, mode="r|") as tar,  # type: ignore[call-overload]
            ):
                for member in tar:
                    folder, _, last = member.name.rpartition("/")
                    if last.startswith(".wh."):
                        found.pop(f"{folder}/{last[4:]}".lstrip("/"), None)
                    elif member.isfile():
                        file = tar.extractfile(member)
                        assert file is not None
                        found[member.name] = file.read()
        return found

    @property
    def cached(self) -> int:
        """How many steps of the last build were found made before."""
        return self.said.count(" ---> Using cache\n")


def _chains(image: config.Image) -> list[Digest]:
    from lamina.oci import digest

    return digest.chains(image.diff_ids)
