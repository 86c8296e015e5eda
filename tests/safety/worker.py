"""One of several processes that use a store at once: `python -m tests.safety.worker ROOT RUN_ROOT SEED SECONDS`.

It does what comes, by a seed: on names that all share, where errors that another's work explains are fine, and on some
of its own, where nothing may be lost. What else goes wrong ends the process. It prints the seconds that each call took.
"""

import contextlib
import io
import json
import os
import random
import sys
import time
from collections.abc import Iterator

from msgspec.structs import replace
from tests import tars

from lamina.build.builder import Options
from lamina.build.inputs import Inputs
from lamina.containers.settings import Wish
from lamina.engine import Engine
from lamina.engine.containers import Wording
from lamina.engine.pruning import Conditions
from lamina.errors import AlreadyExists, Conflict, NotFound
from lamina.oci import reference
from lamina.runtime.bundle import StartFailed
from lamina.runtime.children import Streams

NAMES = ("a:1", "b:1", "c:1")
VERBS = (
    *("build", "load", "edit", "tag", "rmi", "run", "commit", "remove", "save", "look", "volume", "prune"),
    *("own_image", "own_container", "own_volume"),
)


class Worker:
    """Verbs on one store.

    Args:
        engine: over it.
        seed: of what it chooses; unique, for the names of its own.
        archive: path of an archive to load.
    """

    def __init__(self, engine: Engine, seed: int, archive: str) -> None:
        self.engine = engine
        self.chance = random.Random(seed)
        self.archive = archive
        self.own = f"own-{seed}"
        self._image = ""

    def name(self) -> str:
        return self.chance.choice(NAMES)

    def build(self) -> None:
        steps = [f"COPY <<E /f{at}\n{self.chance.randrange(3)}\nE\nENV A{at}={self.chance.randrange(2)}" for at in "12"]
        self._build(self.name(), *steps)

    def load(self) -> None:
        with open(self.archive, "rb") as file:
            self.engine.load(file)

    def edit(self) -> None:
        with self.engine.edit("tiny:1") as image:
            image.append(io.BytesIO(tars.tar(tars.file("x", b"%d" % self.chance.randrange(4)))))
            image.commit(self.name())

    def tag(self) -> None:
        self.engine.tag(self.name(), self.name())

    def rmi(self) -> None:
        self.engine.remove_image(self.name(), force=self.chance.random() < 0.3)

    def run(self) -> None:
        with contextlib.suppress(StartFailed):  # another process killed it while it started
            self._run(Wish(["sh", "-c", "echo x > /x"], auto_remove=self.chance.random() < 0.7))

    def commit(self) -> None:
        for one in self._shared()[:1]:
            self.engine.commit(one, Wording(self.name()))

    def remove(self) -> None:
        for one in self._shared():
            self.engine.remove_container(one, force=True, volumes=True)

    def save(self) -> None:
        self.engine.save([self.name()], io.BytesIO())

    def look(self) -> None:
        self.engine.images()
        self.engine.history(self.name())
        self.engine.forest()

    def volume(self) -> None:
        if self.chance.random() < 0.5:
            self.engine.create_volume("shared")
        else:
            self.engine.remove_volume("shared")

    def prune(self) -> None:
        self.engine.prune_images(Conditions())
        self.engine.prune_containers(Conditions(without=("own",)))
        self.engine.prune_volumes(Conditions())

    def own_image(self) -> None:
        """Give an image that nobody else makes a name that nobody else uses; the last one is still there."""
        self.judge()
        if self._image and self.chance.random() < 0.3:
            self.engine.remove_image(f"{self.own}:1")
            self._image = ""
        else:
            self._image = self._build(f"{self.own}:1", f"COPY <<E /own\n{self.own} {self.chance.random()}\nE")

    def own_container(self) -> None:
        """Start one, let it print, stop and remove it."""
        wish = Wish(["sh", "-c", f"echo {self.own}; exec sleep 1000"], name=self.own, labels={"own": ""})
        container = self.engine.create_container("tiny:1", wish)
        self.engine.start_container(self.own)
        assert self.engine.process(container), "it runs"
        self.engine.stop_container(container, 0)
        assert not self.engine.process(container), "it ended"
        self.engine.remove_container(self.own)

    def own_volume(self) -> None:
        """Write into a volume from one container, and read it from the next."""
        self.engine.create_volume(self.own)
        wish = Wish(name=self.own, labels={"own": ""}, binds=[f"{self.own}:/data"], auto_remove=True)
        self._run(replace(wish, command=["sh", "-c", f"echo {self.own} > /data/x"]))
        status = self._run(replace(wish, command=["sh", "-c", f"test $(cat /data/x) = {self.own}"]))
        assert status == 0, "what was written is read"
        self.engine.remove_volume(self.own)

    def judge(self) -> None:
        """Assert that what it did last with its own image is so."""
        try:
            found = self.engine.inspect_image(f"{self.own}:1")["Id"]
        except NotFound:
            found = ""
        assert found == self._image, f"{self.own} was {self._image}, and is {found}"

    def _build(self, name: str, *steps: str) -> str:
        text = "\n".join(["FROM tiny:1", *steps, ""])
        return self.engine.build(Inputs(stream=io.BytesIO(text.encode())), Options(names=(reference.parse(name),)))

    def _run(self, wish: Wish) -> int:
        null = os.open(os.devnull, os.O_RDWR)
        try:
            return self.engine.run_container("tiny:1", wish, Streams(null, null, null))
        finally:
            os.close(null)

    def _shared(self) -> list[str]:
        return [one.record.id for one in self.engine.containers() if not one.record.name.startswith("own-")]


@contextlib.contextmanager
def _timed(into: dict[str, list[float]], verb: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    except (NotFound, Conflict, AlreadyExists):
        if verb.startswith("own"):
            raise
        verb = "refused"
    into.setdefault(verb, []).append(time.monotonic() - begun)


def main() -> None:
    root, run_root, seed, seconds = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    took: dict[str, list[float]] = {}
    with Engine(root, run_root=run_root) as engine:
        worker = Worker(engine, int(seed), os.path.join(os.path.dirname(root), "tiny.tar"))
        while time.monotonic() < end:
            verb = worker.chance.choice(VERBS)
            with _timed(took, verb):
                getattr(worker, verb)()
        worker.judge()
    json.dump(took, sys.stdout)


if __name__ == "__main__":
    main()
