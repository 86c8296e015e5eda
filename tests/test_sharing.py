"""Images that one has mounted and others find: the same file system, so the same cache of what was read."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests import disks, mountable, peers, traces

from lamina import mount as joined
from lamina import sharing
from lamina.mount import Image, Mount, attach, detach, detached
from lamina.namespaces import Namespace

pytestmark = [pytest.mark.root, pytest.mark.overlay]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    for name in ("top", "upper", "work", "root"):
        (tmp_path / name).mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with traces.tidy(str(tmp_path)):
        yield tmp_path
    assert len(os.listdir("/proc/self/fd")) == before


def stack(home: Path, count: int = 3) -> Mount:
    """Return a container's mount of some images."""
    lowers = tuple(mountable.image(home, number) for number in reversed(range(count)))
    return Mount(str(home), ("top", *lowers), "upper", "work", holders=str(home / "holders"))


@contextlib.contextmanager
def held(home: Path, mount: Mount, name: str = "0") -> Iterator[Namespace]:
    """Mount what others may share."""
    root, place = home / f"root/{name}", home / f"place{name}"
    root.mkdir()
    place.mkdir()
    with Namespace() as namespace:
        namespace.run(attach, msgspec.structs.replace(mount, upper="", work=""), str(root), str(place))
        yield namespace
    while os.path.exists(f"/proc/{namespace.pid}"):  # a thread ends a moment after it was joined
        os.sched_yield()


def devices(mount: Mount) -> list[int]:
    """Return the number of the file system that each image is for who mounts it now."""
    return [device(mount, image) for image in mount.lowers if isinstance(image, Image)]


def device(mount: Mount, image: Image) -> int:
    fd = detached(Mount(mount.home, (image,), holders=mount.holders))
    try:
        return os.fstat(fd).st_dev
    finally:
        os.close(fd)


def numbers(namespace: Namespace, place: Path) -> set[int]:
    """Return the numbers of the file systems that a namespace has for others."""
    return namespace.run(lambda: {os.stat(place / name).st_dev for name in os.listdir(place)})


def test_all_have_what_one_has(home: Path) -> None:
    mount = stack(home)
    with held(home, mount) as namespace:
        assert set(devices(mount)) == numbers(namespace, home / "place0")
        with held(home, mount, "1") as other:
            assert numbers(other, home / "place1") == numbers(namespace, home / "place0")
        assert not set(devices(msgspec.structs.replace(mount, holders=""))) & numbers(namespace, home / "place0")
    assert traces.mounts(str(home)) == []


def test_a_single_image_is_where_it_was_wanted(home: Path) -> None:
    mount = msgspec.structs.replace(stack(home), lowers=(mountable.image(home, 0),))
    with held(home, mount) as namespace:
        assert namespace.run(os.listdir, str(home / "root/0")) == ["0", "b", "c"]
        assert namespace.run(os.listdir, str(home / "place0")) == []


def test_a_clone_outlives_the_first(home: Path) -> None:
    mount = stack(home)
    with held(home, mount, "1"):
        with held(home, mount) as first:
            seen = numbers(first, home / "place0")
        assert set(devices(mount)) == seen
        fd = detached(mount)
    try:
        assert sorted(os.listdir(f"/proc/self/fd/{fd}")) == ["0", "1", "2", "b", "c"]
        assert Path(f"/proc/self/fd/{fd}/0").read_text() == "content 0"
    finally:
        os.close(fd)


def test_kernels_that_join_no_detached_mounts(home: Path) -> None:
    """They have the clones attached for a moment, and these stay where they are."""
    mount = stack(home)
    with held(home, mount) as first, Namespace() as namespace:
        seen = numbers(first, home / "place0")
        fd = namespace.run(joined._overlay_in_namespace, mount)
        try:
            assert Path(f"/proc/self/fd/{fd}/0").read_text() == "content 0"
        finally:
            os.close(fd)
        assert numbers(first, home / "place0") == set(devices(mount)) == seen


def test_some_layers_of_one_and_some_of_another(home: Path) -> None:
    """Of two images with a common base, each has mounted what the other has not."""
    mount = stack(home, 5)
    base, one, other = mount.lowers[3:], mount.lowers[1:2], mount.lowers[2:3]
    images = [msgspec.structs.replace(mount, lowers=("top", *lowers, *base)) for lowers in (one, other)]
    with held(home, images[0]) as first, held(home, images[1], "1") as second:
        both = numbers(first, home / "place0") | numbers(second, home / "place1")
        assert len(both) == 5
        assert set(devices(mount)) == both


def test_many_at_once_mount_each_image_once(home: Path) -> None:
    mount = stack(home, 60)
    with contextlib.ExitStack() as stacked, ThreadPoolExecutor(8) as pool:
        spaces = [*pool.map(lambda name: stacked.enter_context(held(home, mount, str(name))), range(8))]
        found = [numbers(namespace, home / f"place{name}") for name, namespace in enumerate(spaces)]
        assert len(set().union(*found)) == 60


def test_a_file_in_the_place_of_another_is_another_image(home: Path) -> None:
    """What a repair has made anew is seen, though somebody has the old one still."""
    mount = stack(home, 1)
    with held(home, mount) as namespace:
        for name in ("0.erofs", "0.tar"):
            (home / "new").write_bytes((home / name).read_bytes())
            (home / "new").rename(home / name)
            assert not set(devices(mount)) & numbers(namespace, home / "place0"), name


def test_what_is_withdrawn_or_gone_is_not_found(home: Path) -> None:
    mount = stack(home)
    with held(home, mount) as namespace:
        seen = numbers(namespace, home / "place0")
        sharing.withdraw(mount.holders, namespace.pid)
        assert os.listdir(mount.holders) == []
        assert not set(devices(mount)) & seen
        sharing.withdraw(mount.holders, namespace.pid)
        sharing.announce(mount.holders, namespace.pid, str(home / "place0"))
        assert set(devices(mount)) == seen
        namespace.run(detach, str(home / "place0"))
        assert not set(devices(mount)) & seen


def test_words_of_the_dead_are_forgotten(home: Path) -> None:
    mount = stack(home)
    with held(home, mount) as namespace:
        (live,) = os.listdir(mount.holders)
        dead = [live.replace(live[:8], "00000000"), live.rpartition("-")[0] + "-1"]
        others = [live.replace(f"-{os.stat('/proc/self/ns/pid').st_ino}-", "-1-"), "nonsense", "a-b-c-d"]
        for name in (*dead, *others):
            os.symlink(home / "place0", f"{mount.holders}/{name}")
        assert set(devices(mount)) == numbers(namespace, home / "place0")
        device(mount, mountable.image(home, 9))  # looks at all of them
        assert set(os.listdir(mount.holders)) == {live, *others}
    device(mount, mountable.image(home, 9))
    assert set(os.listdir(mount.holders)) == set(others)


def test_a_folder_in_the_place_of_an_image_is_none(home: Path) -> None:
    mount = stack(home, 1)
    name = sharing.name([str(home / "0.erofs"), str(home / "0.tar")])
    (home / "place" / name).mkdir(parents=True)
    sharing.announce(mount.holders, os.getpid(), str(home / "place"))
    fd = detached(mount)
    try:
        assert Path(f"/proc/self/fd/{fd}/0").read_text() == "content 0"
    finally:
        os.close(fd)


def test_where_nothing_can_be_said_all_is_mounted(home: Path) -> None:
    """A full or read-only disk costs others the cache, and nothing more."""
    (home / "file").touch()
    mount = msgspec.structs.replace(stack(home), holders=str(home / "file"))
    with held(home, mount) as namespace:
        assert len(numbers(namespace, home / "place0")) == 3
        assert not set(devices(mount)) & numbers(namespace, home / "place0")


HOLDER = """
import os, sys, tempfile
from lamina.mount import Image, Mount, attach, detached
from lamina.namespaces import Namespace

home = sys.argv[1]
lowers = tuple(Image(f"{number}.erofs", (f"{number}.tar",)) for number in (2, 1, 0))
fd = detached(Mount(home, lowers[:1], holders=f"{home}/holders"))
root, place = (tempfile.mkdtemp(dir=home) for _ in range(2))
with Namespace() as namespace:
    namespace.run(attach, Mount(home, lowers, holders=f"{home}/holders"), root, place)
    print(os.fstat(fd).st_dev, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(home: Path, *around: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run another process that mounts the same; yield it, and the number of the topmost image as it has it."""
    command = [*around, sys.executable, "-c", HOLDER, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_another_mount_namespace(home: Path) -> None:
    mount = stack(home)
    with held(home, mount), holder(home, "unshare", "--mount") as (_, number):
        assert number == devices(mount)[0]
    with holder(home, "unshare", "--mount"):
        assert devices(mount) == devices(mount)


def test_other_numbers_of_processes(home: Path) -> None:
    """In a container a process's number is another: it says nothing there, and all is mounted."""
    mount = stack(home)
    with held(home, mount) as namespace:
        with holder(home, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child") as (_, number):
            assert number not in numbers(namespace, home / "place0")
            assert len(os.listdir(mount.holders)) == 2
        assert set(devices(mount)) == numbers(namespace, home / "place0")


def test_who_is_killed_leaves_no_mount(home: Path) -> None:
    mount = stack(home)
    with holder(home) as (process, _):
        assert len(set(devices(mount))) == 3
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert traces.mounts(str(home)) == []
        assert device(mount, mountable.image(home, 0))
    assert os.listdir(mount.holders) == []


def test_a_disk_that_goes_while_its_images_are_mounted_is_given_up(home: Path) -> None:
    """An image that held the very mount it is mounted below would never go, nor would the disk."""
    peers.need(disks.missing())
    with contextlib.ExitStack() as running, traces.tidy():
        with disks.ext4(64 << 20, str(home / "disk")):
            for name in ("root", "top"):
                (home / "disk" / name).mkdir()
            namespace = running.enter_context(held(home / "disk", stack(home / "disk", 1)))
            assert len(numbers(namespace, home / "disk/place0")) == 1
        assert not (home / "disk").exists()
        running.close()
