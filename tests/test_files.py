import os
from pathlib import Path

import pytest

from lamina import files


@pytest.mark.parametrize("size", [0, 5, (files.EAGER << 1) + 5])
def test_replacing_puts_all_bytes_in_one_step(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with files.replacing(str(path), 0o640) as file:
        for at in range(0, size, 1 << 20):
            file.write(b"x" * min(1 << 20, size - at))
        assert path.read_bytes() == b"old"
    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o7777 == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_replacing_leaves_the_old_file_where_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), files.replacing(str(path)) as file:
        _fail(file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def _fail(_: int) -> None:
    raise OSError("full")
