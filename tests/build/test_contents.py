"""What is remembered of a context's files: nothing that has changed is taken for what it was."""

import hashlib
import os
import pathlib
import time
from collections.abc import Callable

import pytest
from tests.build.workshop import Workshop

from lamina.build import contents
from lamina.build.contents import Contents
from lamina.tar import root


class Place:
    """A context of one file, and where its digest is remembered; `reads` counts how often the file was read."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "contents"
        self.file = folder / "context" / "file"
        self.file.parent.mkdir()
        self.file.write_bytes(b"one")
        self.reads = 0
        open_regular = root.open_regular

        def counted(folder: int, name: bytes) -> int:
            self.reads += 1
            return open_regular(folder, name)

        monkeypatch.setattr(contents, "open_regular", counted)

    def check(self) -> None:
        """Look at the file in a new build: its digest is that of what is in it."""
        with Contents(str(self.folder), str(self.file.parent)) as known:
            folder = os.open(self.file.parent, os.O_RDONLY)
            try:
                found = known.digest(folder, b"file", b"file", os.lstat("file", dir_fd=folder))
            finally:
                os.close(folder)
        assert found == hashlib.sha256(self.file.read_bytes()).digest()


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds begin a minute later than they do: all that was written before is old."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 60_000_000_000)


def test_a_file_that_is_as_it_was_is_not_read_again(place: Place, later: None) -> None:
    for _ in range(3):
        place.check()
    assert place.reads == 1


def _restored(change: Callable[[pathlib.Path], object]) -> Callable[[pathlib.Path], None]:
    def edit(path: pathlib.Path) -> None:
        info = path.stat()
        change(path)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    return edit


def _replace(path: pathlib.Path) -> None:
    path.with_name("new").write_bytes(b"two")
    path.with_name("new").rename(path)


EDITS = {
    "written": lambda path: path.write_bytes(b"two"),
    "longer": _restored(lambda path: path.write_bytes(b"longer")),
    "written, with the old mtime": _restored(lambda path: path.write_bytes(b"two")),
    "another file, with the old mtime": _restored(_replace),
}


@pytest.mark.parametrize("how", EDITS)
def test_a_change_is_seen(place: Place, later: None, how: str) -> None:
    place.check()
    place.check()
    ctime = place.file.stat().st_ctime_ns
    while place.file.stat().st_ctime_ns == ctime:  # until the kernel's clock has ticked
        EDITS[how](place.file)
    place.check()
    assert place.reads == 2


@pytest.mark.parametrize("is_later", [False, True])
def test_a_change_within_a_tick_of_the_clock_is_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch, is_later: bool
) -> None:
    """Of two changes that leave the same size, times and inode, only one that is old by then is remembered."""
    if is_later:
        now = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: now() + contents.TICK - 1_000_000_000)
    monkeypatch.setattr(contents, "_stamp", lambda _: (0, 0, 3, 0, 0))
    place.check()
    place.file.write_bytes(b"two")
    place.check()
    assert not place.folder.exists()


def test_a_file_that_changes_while_it_is_read(place: Place, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    read = os.read

    def changing(fd: int, size: int) -> bytes:
        data = read(fd, size)
        os.utime(place.file, ns=(1, 1))
        return data

    monkeypatch.setattr(os, "read", changing)
    place.check()
    monkeypatch.undo()
    assert not place.folder.exists()


def test_times_of_other_machines_are_not_believed(place: Place, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "file_system", lambda _: 0x6969)  # NFS
    place.check()
    place.check()
    assert place.reads == 2


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_damage_is_not_believed(place: Place, later: None, damage: bytes | None) -> None:
    place.check()
    (kept,) = place.folder.iterdir()
    data = kept.read_bytes()
    kept.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if damage is None else damage)
    place.check()
    assert place.reads == 2
    place.check()
    assert place.reads == 2


def test_where_nothing_can_be_kept(place: Place, later: None) -> None:
    place.folder.touch()
    place.check()
    place.check()
    assert place.reads == 2


def test_contexts_that_were_built_last_are_remembered(place: Place, later: None) -> None:
    place.check()
    (oldest,) = place.folder.iterdir()
    for number in range(contents.MOST_CONTEXTS - 1):
        (place.folder / str(number)).touch()
    os.utime(oldest, (1, 1))
    place.file.write_bytes(b"another")
    other = Contents(str(place.folder), str(place.folder))
    other._save()
    assert len(list(place.folder.iterdir())) == contents.MOST_CONTEXTS
    assert not oldest.exists()


def test_files_of_another_target_stay_known(place: Place, later: None) -> None:
    """As long as they are not the greater part: then they are of files that are gone."""
    names = [f"f{number}" for number in range(4)]
    for name in names:
        (place.file.parent / name).write_bytes(b"x")

    def build(*names: str) -> int:
        before = place.reads
        folder = os.open(place.file.parent, os.O_RDONLY)
        with Contents(str(place.folder), str(place.file.parent)) as known:
            for name in map(os.fsencode, names):
                known.digest(folder, name, name, os.lstat(name, dir_fd=folder))
        os.close(folder)
        return place.reads - before

    assert build(*names) == 4
    (place.file.parent / "f0").write_bytes(b"longer")
    assert build("f0", "f1") == 1
    assert build("f2") == 0
    (place.file.parent / "f0").write_bytes(b"longer still")
    assert build("f0") == 1
    assert build("f2") == 1


@pytest.mark.root
@pytest.mark.overlay
def test_a_cached_build_reads_what_has_changed_alone(
    workshop: Workshop, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    open_regular = root.open_regular

    def noted(folder: int, name: bytes) -> int:
        read.append(name)
        return open_regular(folder, name)

    monkeypatch.setattr(contents, "open_regular", noted)
    workshop.write({"a": "a", "d/b": "b", "d/c": "c"})
    text = "FROM scratch\nCOPY a /\nCOPY d /d\nCOPY d/b /again\n"
    first = workshop.build(text)
    assert sorted(read) == [b"a", b"b", b"c"]
    read.clear()
    assert workshop.build(text) == first
    assert not read
    ctime = os.stat(f"{workshop.context}/d/c").st_ctime_ns
    while os.stat(f"{workshop.context}/d/c").st_ctime_ns == ctime:
        workshop.write({"d/c": "C"})
    assert workshop.build(text) != first
    assert read == [b"c"]
