"""Union mounts without a place, and namespaces that nobody else sees."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import mountable, traces

from lamina import mount
from lamina.mount import Image, Mount, MountFailed, attach, detached
from lamina.namespaces import Namespace

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def by_text(wanted: Mount) -> int:
    """Mount as kernels before 6.13 need it."""
    with Namespace() as namespace:
        return namespace.run(mount._overlay_in_namespace, wanted)


WAYS: list[Callable[[Mount], int]] = [detached, by_text]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("low", "high", "upper", "work", "place"):
        (tmp_path / name).mkdir()
    (tmp_path / "low/a").write_text("low")
    (tmp_path / "low/b").write_text("low")
    (tmp_path / "high/b").write_text("high")
    return tmp_path


def overlay(home: Path, *, writable: bool = False) -> Mount:
    return Mount(str(home), ("high", "low"), *(("upper", "work") if writable else ()))


def read(fd: int) -> dict[str, str]:
    """Return the files below a descriptor."""
    folder = Path(f"/proc/self/fd/{fd}/")
    return {name: (folder / name).read_text() for name in sorted(os.listdir(folder))}


@pytest.mark.parametrize("way", WAYS)
def test_the_topmost_shows_and_cannot_be_changed(home: Path, way: Callable[[Mount], int]) -> None:
    fd = way(overlay(home))
    try:
        assert read(fd) == {"a": "low", "b": "high"}
        with pytest.raises(OSError, match="Read-only file system") as caught:
            os.mkdir("new", dir_fd=fd)
        assert caught.value.errno == errno.EROFS
    finally:
        os.close(fd)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_goes_to_the_upper_one(home: Path, way: Callable[[Mount], int]) -> None:
    for _ in range(2):
        fd = way(overlay(home, writable=True))
        os.rmdir("new", dir_fd=fd) if (home / "upper/new").exists() else os.mkdir("new", dir_fd=fd)
        os.close(fd)
    assert sorted(os.listdir(home / "low")) == ["a", "b"]
    assert os.listdir(home / "upper") == []


@pytest.mark.parametrize("way", WAYS)
def test_nobody_sees_it_and_it_goes_with_its_descriptor(home: Path, way: Callable[[Mount], int]) -> None:
    before = len(os.listdir("/proc/self/fd")), threading.active_count(), os.getcwd()
    with traces.tidy(str(home)):
        fd = way(overlay(home, writable=True))
        assert traces.mounts(str(home)) == []
        os.close(fd)
        os.close(way(overlay(home, writable=True)))  # the upper directory is not in use
    assert (len(os.listdir("/proc/self/fd")), threading.active_count(), os.getcwd()) == before


def test_a_single_directory_is_shown_as_it_is(home: Path) -> None:
    fd = detached(Mount(str(home), upper="low"))
    try:
        os.mkdir("new", dir_fd=fd)
    finally:
        os.close(fd)
    assert (home / "low/new").is_dir()


def test_hundreds_of_layers(home: Path) -> None:
    names = tuple(f"directory{number}" for number in range(400))
    for name in names:
        (home / name).mkdir()
        (home / name / name).write_text(name)
    fd = detached(Mount(str(home), names))
    try:
        assert len(os.listdir(f"/proc/self/fd/{fd}/")) == 400
    finally:
        os.close(fd)
    with pytest.raises(MountFailed, match="cannot mount 400 layers: this kernel takes no more than fit a page"):
        by_text(Mount(str(home), names))


@pytest.fixture
def imaged(home: Path) -> Mount:
    """A mount of two images and a directory, the topmost; an image's contents lie in another file."""
    lowers = ("high", mountable.image(home, 1), mountable.image(home, 0))
    return Mount(str(home), lowers, "upper", "work")


IMAGED = {"0": "content 0", "1": "content 1", "b": "high", "c": "content 1"}


@pytest.mark.parametrize("way", WAYS)
def test_images_among_the_layers(home: Path, imaged: Mount, way: Callable[[Mount], int]) -> None:
    with traces.tidy(str(home)):
        for wanted in (imaged, Mount(imaged.home, imaged.lowers)):
            fd = way(wanted)
            try:
                assert read(fd) == IMAGED
                assert {os.lstat(name, dir_fd=fd).st_dev for name in (".", *IMAGED)} == {os.fstat(fd).st_dev}
                if wanted.upper:
                    os.unlink("0", dir_fd=fd)
                    os.mkdir("0", dir_fd=fd)
                    os.rmdir("0", dir_fd=fd)
                    os.rename(f"/proc/self/fd/{fd}/1", f"/proc/self/fd/{fd}/0")
                    os.rename(f"/proc/self/fd/{fd}/0", f"/proc/self/fd/{fd}/1")
                    os.unlink("1", dir_fd=fd)
                    assert read(fd) == {"b": "high", "c": "content 1"}
                    for name in os.listdir(home / "upper"):
                        (home / "upper" / name).unlink()
            finally:
                os.close(fd)
        assert traces.mounts(str(home)) == []


def test_images_at_a_place_in_a_namespace(home: Path, imaged: Mount) -> None:
    place = str(home / "place")
    for wanted in (imaged, Mount(imaged.home, imaged.lowers[2:])):
        for how in (attach, mount._overlay_by_text):
            if how is attach or wanted.upper:
                with Namespace() as namespace:
                    namespace.run(how, wanted, place)
                    seen = namespace.run(lambda: subprocess.check_output(["cat", f"{place}/0", f"{place}/b"]))
                    assert seen == (b"content 0high" if wanted.upper else b"content 0" * 2)
                    assert namespace.run(os.path.exists, "/proc/self/mounts"), "it is uncovered again"
    assert os.listdir(place) == []
    assert traces.mounts(str(home)) == []


def test_a_single_image(home: Path, imaged: Mount) -> None:
    fd = detached(Mount(imaged.home, imaged.lowers[2:]))
    try:
        assert read(fd) == {"0": "content 0", "b": "content 0", "c": "content 0"}
        with pytest.raises(OSError, match="Read-only file system"):
            os.mkdir("new", dir_fd=fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Mount("@", (Image("absent"), "low")), "cannot mount 2 layers of @: No such file or directory"),
        (Mount("@", (Image("low/a"),)), "cannot mount 1 layers of @: Invalid argument"),
        (Mount("@", ("high", "absent")), "cannot mount 2 layers of @: No such file or directory"),
        (Mount("@", ("low/a",)), "cannot mount 1 layers of @: Not a directory"),
        (Mount("@", ("low",), "upper", "absent"), "cannot mount 1 layers of @: No such file or directory"),
        (Mount("@", upper="absent"), "cannot mount @/absent: No such file or directory"),
        (Mount("@", upper="low/a"), "cannot mount @/low/a: Not a directory"),
    ],
)
def test_what_cannot_be_mounted(home: Path, wanted: Mount, message: str) -> None:
    wanted = Mount(str(home), wanted.lowers, wanted.upper, wanted.work)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(MountFailed, match=f"^{message.replace('@', str(home))}$"):
        detached(wanted)
    with Namespace() as namespace, pytest.raises(MountFailed):
        namespace.run(attach, wanted, str(home / "place"))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("single", [False, True])
def test_a_place_in_a_namespace(home: Path, single: bool) -> None:
    place = str(home / "place")
    with Namespace() as namespace, Namespace() as other:
        namespace.run(attach, Mount(str(home), upper="low") if single else overlay(home), place)
        assert sorted(namespace.run(os.listdir, place)) == ["a", "b"]
        assert namespace.run(lambda: subprocess.check_output(["ls", place])) == b"a\nb\n"
        assert other.run(os.listdir, place) == os.listdir(place) == []
    assert traces.mounts(str(home)) == []


def test_what_a_call_raises_is_raised_and_the_namespace_goes_on() -> None:
    with Namespace() as namespace:
        with pytest.raises(ZeroDivisionError):
            namespace.run(lambda: 1 // 0)
        with pytest.raises(KeyboardInterrupt):
            namespace.run(_interrupt)
        assert namespace.run(lambda: 1) == 1
        assert namespace.run(threading.get_ident) != threading.get_ident()


def _interrupt() -> None:
    raise KeyboardInterrupt


DENIED = """
import sys
from lamina.mount import Image, Mount, detached
from lamina.namespaces import MountDenied, Namespace

for attempt in (lambda: detached(Mount(sys.argv[1], ("high", "low"))), Namespace().__enter__):
    try:
        attempt()
    except MountDenied as error:
        print(error)
"""


def test_who_may_not_mount(home: Path) -> None:
    command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", sys.executable, "-c", DENIED, str(home)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "mounting layers needs root (CAP_SYS_ADMIN)",
        "a mount namespace needs root (CAP_SYS_ADMIN): Operation not permitted",
    ], done.stderr
