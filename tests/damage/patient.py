"""A store with a bit of everything, ways to damage it, and what must hold of each command on it then.

One file or folder at a time is damaged. Then no command may break, only fail with one line that names the damage;
what the damage does not concern works; `system check` finds it; and after `system check --repair` all is sound, and
what was lost can be loaded again.
"""

import contextlib
import fnmatch
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from tests import tars
from tests.cli.place import Lamina

from lamina.cli.main import main
from lamina.compression import decompressed
from lamina.engine import Engine
from lamina.oci import digest

Damage = Callable[[str], None]


def _words(lines: str) -> list[list[str]]:
    return [line.split() for line in lines.splitlines()]


LOOKS = _words("""\
images -a --digests
ps -a -s
tree
inspect one:1
inspect two:1
inspect box
history two:1
save -o saved.tar one:1
save -o saved.tar two:1
diff box
export -o exported.tar box
cp box:/d copied
logs box
volume ls
volume inspect kept
system df -v
info""")
"""Commands that change nothing in a store."""

CHANGES = _words("""\
load -q -i other.tar
import one.tar imported:1
build -q -t built:1 context
build -q --no-cache -t built:2 context
tag one:1 three:1
create --pull never --name box2 -v kept:/v one:1 /x
cp context box:/again
commit box committed:1
rename box box3
rm -v box3
rm -v box
rm -f box2
volume create new
volume rm kept
rmi two:1
container prune -f
image prune -a -f
volume prune -a -f
load -q -i two.tar""")
"""Commands that change it, each after those before it."""

UNSEEN = (
    "lamina/lock",  # a file without content
    "lamina/leases",  # made anew by every command
    "lamina/index*",  # likewise, when it is not what it should be
    "lamina/contexts*",  # likewise; there only if the files of a build were old enough
    "lamina/events*",  # news
    "lamina/volumes*",  # of volumes that dockerd made it knows nothing
    "*/lastUpdated",  # a date
    "*/builtLocally",  # without it an image is one that was loaded
    "*/metadata/sha256*",  # likewise without what is known of it
    "image/vfs/layerdb/*/size",  # another number
    "*-init/diff*",  # the runtime makes what is missing
    "overlay2/*/diff/sparse",  # its bytes are in the record of its tar
    "overlay2/*/work*",  # the kernel's own
    "erofs/*/work*",  # likewise
    "vfs/dir/*",  # a tree has copies of files of the layers below
    "volumes/*/_data*",  # its user's
)
"""Where some damage cannot be told, or does not matter."""

FRAME = ("image*", "lamina*", "overlay2", "overlay2/l", "erofs", "vfs", "vfs/dir", "volumes")
"""What all images or containers need."""


class Patient:
    """A store in a folder of its own, beside what its commands read."""

    def __init__(self, folder: str, driver: str) -> None:
        self.folder = folder
        self.driver = driver
        self.root = os.path.join(folder, "store")

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Run a command in this process; return its exit status, and what it wrote on stdout and stderr."""
        out, err = io.BytesIO(), io.BytesIO()
        with (
            io.TextIOWrapper(out, write_through=True) as stdout,
            io.TextIOWrapper(err, write_through=True) as stderr,
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, {"HTTPS_PROXY": "http://127.0.0.1:1"}),  # nothing comes from elsewhere
        ):
            status = main(["--root", self.root, "--storage-driver", self.driver, *words])
            return status, out.getvalue().decode(), err.getvalue().decode()

    def furnish(self) -> None:
        """Make the store: an image, one built on it, one that stands alone; a container; volumes."""
        lamina = Lamina(self.root, env={"LAMINA_STORAGE_DRIVER": self.driver})
        os.mkdir(self._beside("context"))
        with open(self._beside("context/Dockerfile"), "w") as file:
            file.write("FROM one:1\nCOPY Dockerfile /e/\n")
        for name in ("one", "other"):
            with open(self._beside(f"{name}.tar"), "wb") as raw:
                raw.write(self._with_holes() + tars.tar(tars.directory("d"), tars.file("d/a", name.encode())))
            lamina("import", self._beside(f"{name}.tar"), f"{name}:1")
        lamina("save", "-o", self._beside("other.tar"), "other:1")
        lamina("build", "-q", "-t", "two:1", self._beside("context"))
        lamina("save", "-o", self._beside("two.tar"), "two:1")
        lamina("volume", "create", "--label", "a=b", "kept")
        lamina("create", "--name", "box", "-v", "kept:/v", "-v", "/anonymous", "one:1", "/x")

    def _with_holes(self) -> bytes:
        """Return a member that the driver erofs cannot leave in its tar."""
        os.makedirs(self._beside("holes"), exist_ok=True)
        with open(self._beside("holes/sparse"), "wb") as file:
            file.seek(1 << 20)
            file.write(b"x")
        data = tars.gnu(Path(self._beside("holes")), "--sparse", "--blocking-factor=1", names=["sparse"])
        return data.removesuffix(bytes(1024))

    def _beside(self, name: str) -> str:
        return os.path.join(self.folder, name)

    @contextlib.contextmanager
    def copied(self) -> Iterator["Patient"]:
        """Yield a copy that is gone after the block."""
        folder = f"{self.folder}-copy"
        subprocess.run(["cp", "-a", self.folder, folder], check=True)
        try:
            yield Patient(folder, self.driver)
        finally:
            shutil.rmtree(folder)

    def places(self) -> list[str]:
        """Return all files, links and folders of the store, relative to its root."""
        found = (os.path.join(at, name) for at, folders, files in os.walk(self.root) for name in (*folders, *files))
        return sorted(os.path.relpath(path, self.root) for path in found)

    def ids(self, name: str) -> set[str]:
        """Return all that names a file or folder of an image."""
        with Engine(self.root, self.driver) as engine:
            store = engine._store
            found = next(image for image in engine.images() if name in image.tags)
            chain_ids = digest.chains(store.images.get(found.id).diff_ids)
            trees = {store.layers.get(chain_id).cache_id for chain_id in chain_ids}
        return {digest.encoded(one) for one in (found.id, *chain_ids)} | trees


def flip(path: str) -> None:
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[len(data) // 2] ^= 0xFF  # one bit of a compressed file may say the same
        file.seek(0)
        file.write(data)


def shorten(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def empty(path: str) -> None:
    os.truncate(path, 0)


def remove(path: str) -> None:
    os.unlink(path)


def turn_into_a_folder(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def remove_folder(path: str) -> None:
    shutil.rmtree(path)


def empty_folder(path: str) -> None:
    shutil.rmtree(path)
    os.mkdir(path, 0o700)


def turn_into_a_file(path: str) -> None:
    shutil.rmtree(path)
    with open(path, "x"):
        pass


def damages(path: str) -> list[Damage]:
    """Return the damages that make sense for a file or folder."""
    if os.path.islink(path):
        return [remove, turn_into_a_folder]
    if os.path.isdir(path):
        return [remove_folder, turn_into_a_file, *[empty_folder] * bool(os.listdir(path))]
    if not os.path.isfile(path) or not os.path.getsize(path):
        return [remove, turn_into_a_folder]
    return [flip, shorten, empty, remove, turn_into_a_folder]


def suffer(patient: Patient, place: str, damage: Damage, others: set[str]) -> None:
    """Damage a copy in one place, and assert that every command copes.

    Args:
        patient: the sound store.
        place: relative to its root.
        damage: what is done to it.
        others: what names a file or folder of the image other:1, which the rest does not concern.
    """
    with patient.copied() as copy:
        damage(os.path.join(copy.root, place))
        for words in LOOKS:
            attempt(copy, words)
        status, _, err = copy("system", "check")
        assert status in (0, 1), err
        assert status or is_nothing(patient, copy, place), "the damage is not found"
        concerns_all = any(fnmatch.fnmatch(place, pattern) for pattern in FRAME)
        if not concerns_all and not any(part.removesuffix("-init") in others for part in place.split("/")):
            assert copy("save", "-o", "saved.tar", "other:1")[::2] == (0, "")
        for words in CHANGES:
            attempt(copy, words)


def recover(patient: Patient, place: str, damage: Damage) -> None:
    """Damage a copy in one place, and assert that a repair makes it sound."""
    with patient.copied() as copy:
        damage(os.path.join(copy.root, place))
        status, out, err = copy("system", "check", "--repair")
        if (place, damage) == ("lamina", turn_into_a_file):
            assert f"{copy.root}/lamina is no folder: move it away" in err
            os.unlink(os.path.join(copy.root, place))
            status, out, err = copy("system", "check", "--repair")
        assert status == 0, (out, err)
        assert copy("system", "check", "--repair") == (0, f"no problem found in {copy.root}\n", "")
        for words in LOOKS:
            status, out, err = copy(*words)
            assert not status or is_gone(err), (words, err)
        for name in ("other", "two"):
            assert copy("load", "-q", "-i", f"{name}.tar")[0] == 0
            assert copy("save", "-o", "saved.tar", f"{name}:1")[::2] == (0, "")
        for words in CHANGES:
            status, out, err = copy(*words)
            assert not status or is_gone(err), (words, err)
        assert copy("system", "check")[0] == 0


def attempt(patient: Patient, words: list[str]) -> None:
    """Run a command, which works or says in one line why not."""
    status, _, err = patient(*words)
    assert status in (0, 1, 125), (words, status, err)
    *warnings, last = err.splitlines() or [""]
    if words[0] != "build":  # which tells its steps when it fails
        assert all(line.startswith("WARNING: ") for line in warnings), (words, err)
    assert not status or last.startswith("Error: "), (words, err)


def is_nothing(patient: Patient, damaged: Patient, place: str) -> bool:
    """Tell whether damage in a place cannot be told, or does not matter: a compressed file may still say the same."""
    if any(fnmatch.fnmatch(place, pattern) for pattern in UNSEEN):
        return True
    good, bad = (os.path.join(one.root, place) for one in (patient, damaged))
    if place.endswith("/crc64") and not os.path.lexists(bad):  # digests are compared then
        return True
    return place.endswith(".gz") and os.path.isfile(bad) and unpacked(good) == unpacked(bad)


def unpacked(path: str) -> bytes:
    with open(path, "rb") as file:
        return decompressed(file).read()


def is_gone(err: str) -> bool:
    """Tell whether an error says that there is no such thing: a repair may have had to give it up."""
    return any(text in err for text in ("o such ", "Could not find the file", "registry-1.docker.io cannot be reached"))
