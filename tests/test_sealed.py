"""Sealed files: what was written is read, and anything else is damage."""

import os
import pathlib
import resource

import msgspec
import pytest

from lamina import sealed


class Value(msgspec.Struct):
    name: str
    count: int = 0


def test_what_was_written_is_read(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "value.json")
    sealed.write(path, Value("a\nb\u2028", 7))
    assert sealed.read(path, Value) == Value("a\nb\u2028", 7)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["value.json"]


def test_each_flipped_bit_is_damage(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "value.json"
    sealed.write(str(path), Value("a", 1))
    whole = path.read_bytes()
    for at in range(len(whole) * 8):
        spoiled = bytearray(whole)
        spoiled[at // 8] ^= 1 << at % 8
        path.write_bytes(spoiled)
        with pytest.raises(sealed.Damaged, match=r"value\.json is damaged"):
            sealed.read(str(path), Value)


def test_each_length_but_its_own_is_damage(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "value.json"
    sealed.write(str(path), Value("a", 1))
    whole = path.read_bytes()
    for spoiled in (*(whole[:size] for size in range(len(whole))), whole + b"\n", whole + whole):
        path.write_bytes(spoiled)
        with pytest.raises(sealed.Damaged):
            sealed.read(str(path), Value)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"name": 1}', b"[" * 100_000, b'{"name": "\xff"}', b""])
def test_a_seal_on_what_is_no_such_value_is_damage(tmp_path: pathlib.Path, text: bytes) -> None:
    path = tmp_path / "value.json"
    path.write_bytes(sealed.seal(text))
    with pytest.raises(sealed.Damaged):
        sealed.read(str(path), Value)


def test_a_folder_is_damage_and_nothing_is_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        sealed.read(str(tmp_path / "value.json"), Value)
    (tmp_path / "value.json").mkdir()
    with pytest.raises(sealed.Damaged):
        sealed.read(str(tmp_path / "value.json"), Value)


def test_a_want_of_descriptors_is_no_damage(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "value.json")
    sealed.write(path, Value("a"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            sealed.read(path, Value)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
