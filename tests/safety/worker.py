"""One of several processes that use a store at once: `python -m tests.safety.worker ROOT RUN_ROOT SEED SECONDS`.

It does what comes, by a seed, on names that all share. Errors that another's work explains are fine; any other one
ends the process.
"""

import contextlib
import io
import os
import random
import sys
import time

from tests import tars

from lamina.build.builder import Options
from lamina.build.inputs import Inputs
from lamina.containers.settings import Wish
from lamina.engine import Engine
from lamina.engine.containers import Wording
from lamina.errors import AlreadyExists, Conflict, NotFound
from lamina.oci import reference
from lamina.runtime.bundle import StartFailed
from lamina.runtime.children import Streams

NAMES = ("a:1", "b:1", "c:1")


class Worker:
    """Verbs on one store.

    Args:
        engine: over it.
        chance: chooses.
        archive: path of an archive to load.
    """

    def __init__(self, engine: Engine, chance: random.Random, archive: str) -> None:
        self.engine = engine
        self.chance = chance
        self.archive = archive

    def name(self) -> str:
        return self.chance.choice(NAMES)

    def build(self) -> None:
        steps = [f"COPY <<E /f{at}\n{self.chance.randrange(3)}\nE\nENV A{at}={self.chance.randrange(2)}" for at in "12"]
        text = "\n".join(["FROM tiny:1", *steps, ""])
        names = (reference.parse(self.name()),)
        self.engine.build(Inputs(stream=io.BytesIO(text.encode())), Options(names=names))

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
        null = os.open(os.devnull, os.O_RDWR)
        try:
            wish = Wish(["sh", "-c", "echo x > /x"], auto_remove=self.chance.random() < 0.7)
            with contextlib.suppress(StartFailed):  # another process killed it while it started
                self.engine.run_container("tiny:1", wish, Streams(null, null, null))
        finally:
            os.close(null)

    def commit(self) -> None:
        for one in self.engine.containers()[:1]:
            self.engine.commit(one.record.id, Wording(self.name()))

    def remove(self) -> None:
        for one in self.engine.containers():
            self.engine.remove_container(one.record.id, force=True)

    def save(self) -> None:
        self.engine.save([self.name()], io.BytesIO())

    def look(self) -> None:
        self.engine.images()
        self.engine.history(self.name())
        self.engine.forest()


def main() -> None:
    root, run_root, seed, seconds = sys.argv[1:]
    chance = random.Random(int(seed))
    end = time.monotonic() + float(seconds)
    done: dict[str, int] = {}
    with Engine(root, run_root=run_root) as engine:
        worker = Worker(engine, chance, os.path.join(os.path.dirname(root), "tiny.tar"))
        verbs = ("build", "load", "edit", "tag", "rmi", "run", "commit", "remove", "save", "look")
        while time.monotonic() < end:
            verb = chance.choice(verbs)
            try:
                getattr(worker, verb)()
            except (NotFound, Conflict, AlreadyExists):
                done["refused"] = done.get("refused", 0) + 1
            else:
                done[verb] = done.get(verb, 0) + 1
    print(done)


if __name__ == "__main__":
    main()
