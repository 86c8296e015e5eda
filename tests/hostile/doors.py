"""Every way by which a stranger's tar comes into a store, a container, a volume, or onto the host."""

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import disks, samples, trees
from tests.samples import Sample
from tests.tars import directory, file, tar

from lamina.build.builder import Options
from lamina.build.inputs import Inputs
from lamina.containers.files import Place, copy, extract
from lamina.containers.settings import Wish
from lamina.engine import Engine
from lamina.engine.containers import Wording
from lamina.errors import LaminaError
from lamina.tar.root import Root

PLAIN = Sample([tar(directory("place"), file("place/x", b"x"))], ["plain:1"])
LAYERS = frozenset({"load", "import", "append"})
"""The doors that take a tar as a layer."""


class House:
    """A store with an image, and a folder outside of it that must stay as it is."""

    def __init__(self, folder: str, driver: str) -> None:
        self.folder = folder
        self.outside = os.path.join(folder, "outside")
        os.makedirs(os.path.join(self.outside, "d"))
        os.chmod(self.outside, 0o750)
        Path(self.outside, "secret").write_text("secret")
        self.engine = Engine(os.path.join(folder, "store"), driver, run_root=os.path.join(folder, "run"))
        samples.put(self.engine._store, PLAIN)
        self._before = self._seen()

    def _seen(self) -> object:
        info = os.stat(self.outside)
        return trees.read(self.outside), info.st_mode, info.st_uid, set(os.listdir(self.folder)) - {"run"}

    def judge(self) -> None:
        """Assert that nothing outside changed, and that nothing half-made is in the store."""
        assert self._seen() == self._before
        store = self.engine._store
        assert list(self.engine.check(content=False)) == []
        for place in (store.paths.tmp, store.paths.leases):
            assert os.listdir(place) == [], place

    def clear(self) -> None:
        """Remove the strangers' images."""
        for name in self.engine._store.references.all():
            if name.startswith("hostile"):
                self.engine.remove_image(name)

    def attack(self, layers: list[bytes]) -> dict[str, str]:
        """Take a stranger's layers in by every door; return what each said, nothing where it took them.

        Anything but an error of our taxonomy comes through.
        """
        said: dict[str, str] = {}
        os.mkdir(work := os.path.join(self.folder, "work"))
        try:
            every = (_load, _import, _append, _add, _cp_in, _copy_from, _volume, _cp_out)
            for door in every[:5] if self.engine._store.driver_name == "vfs" else every:
                try:
                    door(self.engine, layers, work)
                    said[door.__name__[1:]] = ""
                except LaminaError as error:
                    said[door.__name__[1:]] = str(error)
        finally:
            shutil.rmtree(work)
        return said


@contextlib.contextmanager
def house(driver: str) -> Iterator[House]:
    """Make a house that is gone after the block, on a disk of its own: a bomb fills no other."""
    if driver == "erofs":  # which mounts nothing from memory
        with disks.ext4(256 << 20) as folder:
            os.chmod(folder, 0o755)
            yield House(os.path.join(folder, "house"), driver)
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,mode=755", "tmpfs", folder], check=True)
        try:
            yield House(folder, driver)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _load(engine: Engine, layers: list[bytes], work: str) -> None:
    engine.load(io.BytesIO(samples.archive(samples.docker_members(Sample(layers, ["hostile:1"])))))


def _import(engine: Engine, layers: list[bytes], work: str) -> None:
    engine.import_image(io.BytesIO(layers[-1]), Wording("hostile:2"))


def _append(engine: Engine, layers: list[bytes], work: str) -> None:
    with engine.edit("plain:1") as edit:
        for layer in layers:
            edit.append(io.BytesIO(layer))
        edit.commit("hostile:3")


def _add(engine: Engine, layers: list[bytes], work: str) -> None:
    context = os.path.join(work, "context")
    os.makedirs(context)
    Path(context, "x.tar").write_bytes(layers[-1])
    _build(engine, context, "FROM plain:1\nADD x.tar /place/\n")


def _cp_in(engine: Engine, layers: list[bytes], work: str) -> None:
    with _container(engine, "plain:1") as root:
        extract(io.BytesIO(layers[-1]), Place(root, "/place", "it", follow=True))


def _copy_from(engine: Engine, layers: list[bytes], work: str) -> None:
    """Copy what `load` took, if it did, and write over what came."""
    if _has(engine):
        _build(engine, work, "FROM plain:1\nCOPY --from=hostile:1 / /place/\nCOPY --from=plain:1 /place/x /place/l/\n")
        for name in ("l", "h", "sda", "x"):
            _build(engine, work, f"FROM hostile:1\nCOPY <<E /{name}\n!\nE\n")


def _volume(engine: Engine, layers: list[bytes], work: str) -> None:
    if _has(engine):
        for place in ("/l", "/d", "/a/x"):
            container = engine.create_container("hostile:1", Wish(command=["x"], volumes=[place]))
            engine.remove_container(container, volumes=True)


def _cp_out(engine: Engine, layers: list[bytes], work: str) -> None:
    if _has(engine):
        os.makedirs(out := os.path.join(work, "out"), exist_ok=True)
        with _container(engine, "hostile:1") as root, Root("/") as host:
            copy(Place(root, "/.", "it", follow=False), Place(host, out, "the host", follow=True), (0, 0))


def _has(engine: Engine) -> bool:
    return "hostile:1" in engine._store.references.all()


def _build(engine: Engine, context: str, text: str) -> None:
    engine.build(Inputs(folder=context, stream=io.BytesIO(text.encode())), Options())


@contextlib.contextmanager
def _container(engine: Engine, image: str) -> Iterator[Root]:
    container = engine.create_container(image, Wish(command=["x"]))
    try:
        with engine.files(container) as root:
            yield root
    finally:
        engine.remove_container(container, volumes=True)
