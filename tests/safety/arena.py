"""A store to attack: copied from a template, a command run on it and killed, and what must hold afterwards."""

import contextlib
import glob
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tests import samples, tars, traces
from tests.peers import PATH
from tests.safety import tracer, view
from tests.safety.commands import Command
from tests.safety.remote import HERE, Remote
from tests.safety.syscalls import CHANGING_FLAGS, DESCRIPTORS, OPENS, WAITS, WRITES
from tests.safety.tracer import Call, Fail, Kill
from tests.samples import Sample

from lamina.engine import Engine
from lamina.engine.containers import Wording

LAMINA = os.path.join(os.path.dirname(sys.executable), "lamina")
PATIENCE = 120
"""Seconds that a command has."""

APPLETS = ("cat", "echo", "rm", "sh", "sleep", "true", "yes")

DOCKERFILE = """\
FROM tiny:1
ENV A=1
COPY Dockerfile /made/
VOLUME /etc
RUN rm /bin/yes && echo x > /made/by-run
WORKDIR /work/here
FROM tiny:1
COPY --from=0 /made /made
LABEL done=yes
"""


SITE = """\
FROM victim:1
COPY one /www/
COPY two /www/
"""
"""What the registry has: its base is in the store already."""

_OTHER = {"overlay2": "vfs", "erofs": "overlay2"}
"""What the stores of a driver are migrated to."""


class Done(NamedTuple):
    """How a command ended, the points that it passed, and what it said on standard error."""

    status: int
    points: int
    said: str


class Known(NamedTuple):
    """What an undisturbed command does: what a user sees before and after it, and how many points it passes."""

    old: set[str]
    new: set[str]
    points: int


class Arena:
    """A folder with a template of a store, and commands on copies of it. The folder is made, and goes with `close`.

    Args:
        place: where the folder is to be.
        run_root: what is fleeting; in the folder if empty.
        driver: the storage driver of its stores.
    """

    def __init__(self, place: str = "/dev/shm", run_root: str = "", driver: str = "overlay2") -> None:
        self.driver = driver
        self.folder = tempfile.mkdtemp(prefix=f"lamina-{os.getpid()}-", dir=place)
        self.template = os.path.join(self.folder, "template")
        self.store = os.path.join(self.folder, "store")
        self.run_root = run_root or os.path.join(self.folder, "run")
        self._remote: Remote | None = None
        self._watched: Remote | None = None  # of the command that runs, if it has to do with it
        self._known: dict[str, Known] = {}
        self._ids: set[str] = set()
        os.makedirs(os.path.join(self.folder, "context"))
        self._write("context/Dockerfile", DOCKERFILE.encode())
        self._write("tree.tar", tars.tar(*tars.odd_members()))
        self._write_archives()
        victim = b"FROM tiny:1\nCOPY Dockerfile /victim\nENV V=1\n"
        for words, data in (
            (["build", "-q", "-t", "victim:1", "-f", "-", "context"], victim),
            (["tag", "victim:1", "victim:2"], b""),
            (["create", "--name", "one", "tiny:1", "sh", "-c", "echo x > /x; rm /bin/yes"], b""),
            (["cp", "context", "one:/copied"], b""),
            (["create", "--name", "two", "-v", "/bin", "-v", "/new", "tiny:1", "true"], b""),
            (["volume", "create", "old"], b""),
        ):
            assert self.call(self.template, *words, data=data) == 0

    def _write(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)

    def _write_archives(self) -> None:
        """Write tiny.tar, which the template has, and two of what it has not."""
        with Engine(self.template, self.driver) as engine:
            engine.import_image(io.BytesIO(busybox()), Wording("tiny:1"))
            with open(os.path.join(self.folder, "tiny.tar"), "wb") as file:
                engine.save(["tiny:1"], file)
        layers = [tars.tar(tars.file(f"d/{name}", name.encode() * 4000)) for name in "abc"]
        history = {"history": [{"created_by": "other"}]}
        self._write("other.tar", samples.docker_archive(Sample(layers[:2], ["other:1"], history)))
        several = [
            Sample([layer], [f"several:{at}"], {"history": [{"created_by": f"{at}"}]})
            for at, layer in enumerate(layers)
        ]
        self._write("several.tar", samples.docker_archive(*several))

    def _with_remote(self) -> Remote:
        """Return the registry; the first time, it is started and gets its image."""
        if self._remote is None:
            self._remote = Remote()
            maker = os.path.join(self.folder, "maker")
            subprocess.run(["cp", "-a", self.template, maker], check=True)
            os.mkdir(os.path.join(self.folder, "site"))
            for name, size in (("one", 1_500_000), ("two", 20_000)):
                self._write(f"site/{name}", random.Random(name).randbytes(size))
            name = f"{HERE}/web/site:1"
            assert self.call(maker, "build", "-q", "-t", name, "-f", "-", "site", data=SITE.encode()) == 0
            assert self.call(maker, "push", "-q", name) == 0
            shutil.rmtree(maker)
            self._remote.keep()
        return self._remote

    def _words(self, words: Iterable[str]) -> list[str]:
        names = {"DRIVER": self.driver, "OTHER": _OTHER[self.driver]}
        own = [names.get(word, word) for word in words]
        return self._remote.words(own) if self._remote else own

    def environment(self, root: str) -> dict[str, str]:
        return {
            "PATH": PATH,
            "LAMINA_ROOT": root,
            "LAMINA_RUN_ROOT": self.run_root,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONFAULTHANDLER": "1",
            "DOCKER_CONFIG": self.folder,
            "LAMINA_DAEMON_JSON": os.path.join(self.folder, "none"),
        }

    def call(self, root: str, *words: str, data: bytes = b"", before: tuple[str, ...] = ()) -> int:
        """Run a command on a store; return its exit status.

        Raises:
            traces.Stuck: it does not end; the message says where it stands.
        """
        pipe = subprocess.PIPE
        command = [*before, LAMINA, *self._words(words)]
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=self.folder, env=self.environment(root)
        ) as process:
            errors = traces.communicate(process, data, PATIENCE)[1].decode()
        assert "Traceback" not in errors, errors
        return process.returncode

    def engine(self) -> Engine:
        """Open the store that is attacked."""
        return Engine(self.store, run_root=self.run_root)

    def begin(self, command: Command) -> None:
        """Make a fresh copy of the store, with what a command needs."""
        for path in (self.store, self.run_root):
            shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["cp", "-a", self.template, self.store], check=True)
        self._watched = self._with_remote() if command.remote else None
        if self._watched is not None:
            self._watched.begin()
        if command.partial:
            self._bring_half()
        for words in command.before:
            assert self.call(self.store, *words) == 0
        if command.damage:
            command.damage(self.store)

    def _bring_half(self) -> None:
        """Leave half of the registry's largest blob in the store, as a pull does whose connection broke."""
        data = self._with_remote().layers()[0]
        folder = os.path.join(self.store, "lamina", "partial")
        os.mkdir(folder, 0o700)
        partial = os.path.join(folder, f"sha256-{data.split('/')[-2]}")
        shutil.copyfile(data, partial)
        os.truncate(partial, os.path.getsize(data) // 2)

    def learn(self, name: str, command: Command) -> "Known":
        """Run a command undisturbed, once; return what it did."""
        if name not in self._known:
            with self.careful():
                self.begin(command)
                with self.engine() as engine:
                    old = set() if command.damage else self._view(engine)
                done = self.traced(command, lambda _: None)
                assert done.status == 0, done.said
                self.rest()
                self._known[name] = Known(old, self.look(), done.points)
                self.clear()
        return self._known[name]

    def traced(
        self,
        command: Command,
        judge: Callable[[Call], Kill | Fail | None],
        is_point: Callable[[Call, str], bool] | None = None,
        after: Callable[[Call], None] = lambda _: None,
    ) -> Done:
        """Run a command, and ask `judge` at each of its points: by default, where it changes something."""
        points = 0
        chosen = is_point or changes

        def at(call: Call) -> Kill | Fail | None:
            nonlocal points
            if not chosen(call, self.folder):
                return None
            points += 1
            return judge(call)

        with open(os.devnull, "rb") as null, tempfile.TemporaryFile() as errors:
            status = tracer.run(
                [LAMINA, *self._words(command.words)],
                at,
                cwd=self.folder,
                env=self.environment(self.store),
                stdin=null,
                output=errors,
                errors=errors,
                after=after,
            )
            errors.seek(0)
            return Done(status, points, errors.read().decode(errors="replace"))

    def kill_at(self, command: Command, at: int) -> bool:
        """Run a command on a fresh copy and kill it before its `at`-th point; return whether it got there."""
        self.begin(command)
        left = at

        def judge(call: Call) -> Kill | None:
            nonlocal left
            left -= 1
            return Kill() if left == 0 else None

        done = self.traced(command, judge)
        assert done.status in (-9, 0), f"it ends with {done.status}: {done.said}"
        return done.status == -9

    def kill_after(self, command: Command, seconds: float) -> None:
        """Run a command on a fresh copy and kill it after a time."""
        self.begin(command)
        self.call(self.store, *command.words, before=("timeout", "-s", "KILL", f"{seconds:.3f}"))

    def judge(self, name: str, command: Command, *, done: bool = False) -> None:
        """Assert that the store is sound and old or new, that the command works now, and that nothing is left over.

        With `done` the command said that it was done: the store must be new.
        """
        old, new, _ = self._known[name]
        self._note_ids()
        if done:
            self.rest()
        if command.damage:
            assert self.call(self.store, *command.words) == 0
        found = self.look()
        if done:
            assert self._is(command, found, new), f"said to be done: {view.difference(found, new)}"
        elif command.parts:
            nothing(view.lasting(old & new) - found, "lost")
            strange = view.lasting(found) - old - new
            nothing([line for line in strange if not line.startswith(command.between)], "neither old nor new")
        elif not command.damage:
            assert found in (old, new), (
                f"neither old ({view.difference(found, old)}) nor new ({view.difference(found, new)})"
            )
        status = self.call(self.store, *command.words)
        assert status == 0 or (status in (1, 125) and found != old), f"it ends with {status} afterwards"
        self.rest()
        if found == old:
            assert self._is(command, seen := self.look(), new), f"done again: {view.difference(seen, new)}"
        self.clear()

    def _is(self, command: Command, found: set[str], wanted: set[str]) -> bool:
        return view.lasting(found) == view.lasting(wanted) if command.parts else found == wanted

    def look(self) -> set[str]:
        """Assert that the store is sound, and return what is in it."""
        with self.engine() as engine:
            nothing(engine.check(), "check finds")
            live = any(one.state.status in ("running", "paused") for one in engine.containers())
            found = self._view(engine)
        if not live:
            self._nothing_runs()
        return found

    def _view(self, engine: Engine) -> set[str]:
        return view.of(engine) | set(self._watched.view() if self._watched else ())

    def rest(self) -> None:
        """Wait until the containers that end by themselves have ended."""
        end = time.monotonic() + 10
        with self.engine() as engine:
            while any(one.state.status == "running" and one.record.name != "live" for one in engine.containers()):
                assert time.monotonic() < end, "a container does not end"
                time.sleep(0.01)

    def clear(self) -> None:
        """End what runs, and assert that nothing is left of it, nor of any command."""
        self._note_ids()
        with self.engine() as engine:
            for one in engine.containers():
                if one.state.status != "created":
                    engine.remove_container(one.record.id, force=True)
            nothing(engine.check(), "check finds")
        self._nothing_runs()
        for name in ("leases", "tmp", "partial"):
            path = os.path.join(self.store, "lamina", name)
            nothing(os.listdir(path) if os.path.isdir(path) else [], f"in {name}")

    def _note_ids(self) -> None:
        """Remember the containers that are there, whole or not: no control group of theirs may stay."""
        places = (
            (self.store, "lamina/containers"),
            (self.store, "image/*/layerdb/mounts"),
            (self.run_root, "bundles"),
        )
        for place in places:
            self._ids.update(map(os.path.basename, glob.glob(os.path.join(*place, "*"))))

    @contextlib.contextmanager
    def careful(self) -> Iterator[None]:
        """Take away what is left if the block fails."""
        try:
            yield
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """End what runs on the store and unmount what is mounted, without asking lamina."""
        for path in self._groups():
            for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                with contextlib.suppress(OSError), open(os.path.join(path, name), "r+") as file:
                    file.write(text)
        with contextlib.suppress(OSError):
            traces.kill(self.store)
        traces.unmount(self.folder)
        for path in self._groups():
            with contextlib.suppress(OSError):
                os.rmdir(path)

    def _groups(self) -> list[str]:
        """Return the control groups that are there of our containers."""
        return [path for path in cgroups() if path.rpartition("-")[2] in self._ids]

    def _nothing_runs(self) -> None:
        for name in ("bundles", "state"):
            path = os.path.join(self.run_root, name)
            _settle(lambda path=path: os.listdir(path) if os.path.isdir(path) else [])  # type: ignore[misc]
        _settle(self._groups)
        _settle(lambda: [f"{pid} {text}" for pid, text in traces.processes(self.store).items()])

    def close(self) -> None:
        """Remove all."""
        self.give_up()
        if self._remote:
            self._remote.close()
        shutil.rmtree(self.folder)


def changes(call: Call, folder: str) -> bool:
    """Tell whether a call changes something below a folder, or stands between changes."""
    if call.name in OPENS:
        return bool(call.args[OPENS[call.name]] & CHANGING_FLAGS)
    if call.name in WRITES:
        return call.file(WRITES[call.name]).startswith(folder)
    return call.name not in DESCRIPTORS


def can_fail(call: Call, folder: str) -> bool:
    """Tell whether a call may fail for want of something: the same and all that opens, but for what waits."""
    if call.name in OPENS:
        at = OPENS[call.name] - 1
        return call.path(at, 0 if at else None).startswith(folder)
    return call.name in DESCRIPTORS or (call.name not in WAITS and changes(call, folder))


def busybox() -> bytes:
    """Return the tar of a root with a shell and few programs: it is unpacked in few steps."""
    with open(shutil.which("busybox", path=PATH) or "busybox", "rb") as file:
        program = tars.file("bin/busybox", file.read(), mode=0o755)
    links = [tars.symlink(f"bin/{name}", "busybox") for name in APPLETS]
    folders = [tars.directory(name) for name in ("bin", "dev", "etc", "proc", "sys")]
    return tars.tar(*folders, program, *links, tars.file("etc/motd", b"hello\n"), tars.directory("tmp", mode=0o1777))


def cgroups() -> set[str]:
    """Return the control groups of lamina's containers that are there now."""
    return {path for level in ("*", "*/*") for path in glob.glob(f"/sys/fs/cgroup/{level}") if "/lamina-" in path}


def nothing(found: Iterable[str], what: str) -> None:
    """Assert that there is nothing of something."""
    assert not (seen := list(found)), f"{what}: {seen}"


def _settle(left: Callable[[], list[str]], patience: float = 10) -> None:
    """Wait for things to go: other tests have some too, and take theirs away."""
    end = time.monotonic() + patience
    while found := left():
        assert time.monotonic() < end, f"left behind: {found}"
        time.sleep(0.02)
