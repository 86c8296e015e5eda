"""Files of archives and folders: found by name, links followed inside, nothing outside."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tars import directory, fifo, file, hardlink, symlink, tar

from lamina.archive import members
from lamina.archive.members import Folder, MemberNotFound, Members, Tarball
from lamina.streams import TooLarge
from lamina.tar.header import InvalidTar

MEMBERS = [
    directory("d"),
    file("d/file", b"content"),
    file("./dot", b"dot"),
    symlink("d/beside", "file"),
    symlink("up", "d/../d/file"),
    symlink("d/absolute", "/dot"),
    symlink("twice", "d/beside"),
    hardlink("hard", "d/file"),
    symlink("round", "round"),
    symlink("dangling", "nothing"),
    symlink("folder", "d"),
    fifo("pipe"),
]
FOUND = {
    "d/file": b"content", "/d/file": b"content", "d/./file": b"content", "dot": b"dot", "./dot": b"dot",
    "d/beside": b"content", "up": b"content", "d/absolute": b"dot", "twice": b"content", "hard": b"content",
}  # fmt: skip
ABSENT = ["nothing", "d", "", "/", "d/file/x", "round", "dangling", "folder", "pipe", "../outside", "d/../../outside"]
ABSENT += ["a\0b", "x" * 300]


@pytest.fixture(params=["tar", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Members]:
    (tmp_path / "outside").write_bytes(b"outside")
    data = tar(*MEMBERS)
    if request.param == "tar":
        with open(tmp_path / "x.tar", "w+b") as archive:
            archive.write(data)
            yield Tarball(archive, "x.tar")
        return
    folder = tmp_path / "folder"
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # without the one, all is trusted
        archive.extractall(folder)
    os.symlink(tmp_path / "outside", folder / "out")
    found = Folder(str(folder))
    yield found
    found.close()


@pytest.mark.parametrize("name", FOUND)
def test_found(place: Members, name: str) -> None:
    assert name in place
    assert place.size(name) == len(FOUND[name])
    first, second = place.open(name), place.open(name)
    assert first.read(100) == second.read(100) == FOUND[name]


@pytest.mark.parametrize("name", [*ABSENT, "out"])
def test_absent(place: Members, name: str) -> None:
    assert name not in place
    for ask in (place.size, place.open):
        with pytest.raises(MemberNotFound, match="has no file"):
            ask(name)


def test_a_small_file_may_not_be_large(place: Members) -> None:
    assert members.read(place, "dot", 3) == b"dot"
    with pytest.raises(TooLarge, match=f"dot of {place.where}"):
        members.read(place, "dot", 2)


def test_more_members_than_are_sensible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 3)
    (tmp_path / "x.tar").write_bytes(tar(file("a"), file("b"), symlink("c", "a"), hardlink("d", "a")))
    with open(tmp_path / "x.tar", "rb") as archive, pytest.raises(InvalidTar, match=r"x\.tar has more than 3 members"):
        Tarball(archive, "x.tar")
