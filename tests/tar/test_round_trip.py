"""A tar, its tree, its record, and the tar again: the very same bytes."""

import base64
import gzip
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import tars, trees

from lamina.errors import DataLoss, LaminaError
from lamina.tar import split
from lamina.tar.apply import apply
from lamina.tar.reader import Reader
from lamina.tar.root import Root, clean


class Plain:
    """A tree without anything below it: whiteouts mean nothing there."""

    def hide(self, root: Root, path: bytes) -> None:
        pass

    def opaque(self, root: Root, path: bytes) -> None:
        pass

    def made(self, root: Root, path: bytes) -> None:
        pass

    def is_ours(self, folder: int, name: bytes) -> bool:
        return True


def unpack(data: bytes, folder: Path) -> tuple[Path, Path]:
    """Apply a tar; return the tree and its record."""
    tree, record = folder / "tree", folder / "tar-split.json.gz"
    tree.mkdir()
    with open(record, "w+b") as f, Root(str(tree)) as root, split.Recorder(f, str(folder)) as recorder:
        apply(Reader(io.BytesIO(data), recorder), root, Plain(), recorder)
        recorder.finish()
    return tree, record


def assemble(tree: Path, record: Path) -> bytes:
    def open_file(name: bytes) -> int:
        folder, last = root.parent(clean(name))
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)

    with open(record, "rb") as f, Root(str(tree)) as root:
        data = b"".join(split.assemble(f, open_file))
    with open(record, "rb") as f:
        assert split.size(f) == len(data)
    return data


def crc64_iso(data: bytes) -> bytes:
    """Go's crc64.ISO, bit by bit: a second opinion."""
    crc = (1 << 64) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xD800000000000000 if crc & 1 else 0)
    return (crc ^ ((1 << 64) - 1)).to_bytes(8, "big")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return tars.corpus(tmp_path_factory.mktemp("corpus"))


NAMES = [
    "gnu", "oldgnu", "pax", "pax without dot", "v7", "ustar", "sparse gnu", "sparse pax 0.0", "sparse pax 0.1",
    "sparse pax 1.0", "huge gnu", "huge pax", "blocking of 1 MiB", "empty", "no bytes", "one zero block", "no end",
    "trailing junk", "standard library", "duplicates",
]  # fmt: skip

OTHERS = ("v7", "standard library", "trailing junk", "no bytes", "duplicates", "huge gnu", "huge pax")
"""Those that GNU tar refuses, takes otherwise, or that take long to compare."""


def test_every_tar_of_the_corpus_is_named(corpus: dict[str, bytes]) -> None:
    assert list(corpus) == NAMES


@pytest.mark.root
@pytest.mark.parametrize("name", NAMES)
def test_corpus_comes_back_byte_for_byte(corpus: dict[str, bytes], name: str, tmp_path: Path) -> None:
    assert assemble(*unpack(corpus[name], tmp_path)) == corpus[name]


@pytest.mark.root
@pytest.mark.parametrize("name", [name for name in NAMES if name not in OTHERS])
def test_tree_is_the_one_that_gnu_tar_makes(corpus: dict[str, bytes], name: str, tmp_path: Path) -> None:
    tree, _ = unpack(corpus[name], tmp_path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    command = ["tar", "-C", str(theirs), "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-"]
    subprocess.run(command, input=corpus[name], check=True)

    assert trees.read(str(tree)) == trees.read(str(theirs))


@pytest.mark.root
def test_odd_members(tmp_path: Path) -> None:
    tree, _ = unpack(tars.tar(*tars.odd_members()), tmp_path)
    nodes = trees.read(str(tree))

    assert nodes["d"].mode == 0o1777
    assert nodes["d"].mtime == 1_600_000_000_250_000_000
    assert (nodes["d/setuid"].mode, nodes["d/setuid"].owner) == (0o4755, (7, 8))
    assert nodes["d/big owner"].owner == (3_000_000, 4_000_000_000)
    assert nodes["d/old"].mtime == 0
    assert nodes["d/later"].mtime == 1_600_000_000_123_456_000
    assert nodes["d/hard"].names == ("d/setuid",)
    assert nodes["d/null"].content == "1:3"
    assert nodes["d/loop"].kind == "block"
    assert nodes["d/fifo"].kind == "fifo"
    assert nodes["d/capable"].xattrs == (("user.colour", b"blue"),)
    assert nodes["implied/parents"].mode == 0o755
    assert nodes["normal"].kind == "file"


@pytest.mark.root
@pytest.mark.parametrize("name", ["huge gnu", "huge pax"])
def test_more_than_8_gib_stay_sparse(corpus: dict[str, bytes], name: str, tmp_path: Path) -> None:
    tree, _ = unpack(corpus[name], tmp_path)
    info = (tree / "huge").stat()

    assert info.st_size == 9 << 30
    assert info.st_blocks * 512 < 1 << 20
    with open(tree / "huge", "rb") as f:
        assert f.read(7) == b"begins\0"


@pytest.mark.root
def test_the_last_of_several_entries_of_a_name_wins(tmp_path: Path) -> None:
    tree, _ = unpack(tars.tar(*tars.duplicate_members()), tmp_path)

    assert (tree / "d").stat().st_mode & 0o777 == 0o700
    assert (tree / "d/f").read_bytes() == b"third"
    assert (tree / "becomes empty").read_bytes() == b""
    assert (tree / "was empty").read_bytes() == b"x"
    assert (tree / "becomes link").readlink() == Path("d")
    assert (tree / "tree").read_bytes() == b"now a file"
    assert (tree / "other").read_bytes() == b"kept by its other name"
    assert (tree / "hard").read_bytes() == b"new"
    assert (tree / "alias/x").read_bytes() == b"by its own name"


@pytest.mark.root
def test_file_capabilities_survive_the_change_of_owner(tmp_path: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    data = tars.tar(tars.file("ping", b"x", mode=0o755, uid=5, xattrs={"security.capability": capability}))
    tree, _ = unpack(data, tmp_path)

    assert trees.read(str(tree))["ping"].xattrs == (("security.capability", capability),)


def test_record_has_the_form_that_docker_reads(tmp_path: Path) -> None:
    data = tars.tar(tars.file("a", b"hello"), tars.directory("d"), form=tarfile.USTAR_FORMAT)
    _, record = unpack(data, tmp_path)
    lines = [json.loads(line) for line in gzip.decompress(record.read_bytes()).splitlines()]

    assert [(line["type"], line.get("name"), line.get("size"), line["position"]) for line in lines] == [
        (2, None, None, 0),
        (1, "a", 5, 1),
        (2, None, None, 2),
        (1, "d/", None, 3),
        (2, None, None, 4),
    ]
    assert base64.b64decode(lines[1]["payload"]) == crc64_iso(b"hello")
    assert lines[3]["payload"] is None


def test_a_name_stands_in_one_file_record_only(tmp_path: Path) -> None:
    _, record = unpack(tars.tar(*tars.duplicate_members()), tmp_path)
    records = [json.loads(line) for line in gzip.decompress(record.read_bytes()).splitlines()]
    names = [clean(line["name"].encode()) for line in records if line["type"] == 1]

    assert len(names) == len(set(names))
    assert [line["position"] for line in records] == list(range(len(records)))


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    tree, record = unpack(tars.tar(tars.file("a", b"hello")), tmp_path)
    (tree / "a").write_bytes(b"hallo")

    with pytest.raises(split.SplitDamaged, match="file integrity checksum failed for 'a'"):
        assemble(tree, record)


@pytest.mark.parametrize("harm", [b"", b"not gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0"])
def test_a_damaged_record_is_an_error(tmp_path: Path, harm: bytes) -> None:
    tree, record = unpack(tars.tar(tars.file("a", b"hello")), tmp_path)
    record.write_bytes(harm)
    if not harm:
        assert assemble(tree, record) == b""
        return
    with pytest.raises(DataLoss, match=r"damaged|early"):
        assemble(tree, record)


_names = st.lists(st.sampled_from(["a", "b", "c", ".wh.a", ".wh.b"]), min_size=1, max_size=3).map("/".join)
_members = st.one_of(
    st.builds(tars.file, _names, st.binary(max_size=1500)),
    st.builds(tars.directory, _names),
    st.builds(tars.symlink, _names, st.sampled_from(["a", "b/c", "../a", "/c", "a/b", "x"])),
)


@pytest.mark.root
@given(
    members=st.lists(_members, max_size=12),
    end=st.sampled_from([None, b"", bytes(512), bytes(10240), bytes(1024) + b"tail"]),
)
def test_generated_tars_come_back_byte_for_byte(
    members: list[tars.Member], end: bytes | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tars.tar(*members, end=end)
    folder = tmp_path_factory.mktemp("generated")
    try:
        made = unpack(data, folder)
    except LaminaError:
        return  # a name below a file, a link in a circle
    assert assemble(*made) == data
