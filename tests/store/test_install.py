"""Images of several layers, which two processes unpack: run as a user runs them, in a process without threads."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests import tars

COUNT = 12


def lamina(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lamina.cli", "--root", str(root), "--storage-driver", "overlay2", *words]
    return subprocess.run(command, capture_output=True, timeout=60)


def layers() -> list[bytes]:
    """Return tars of which each links to the one below, and whose sizes differ."""
    random.seed(1)
    made: list[bytes] = []
    for number in range(COUNT):
        members = [tars.file(f"{number}/{name}", random.randbytes(random.randrange(9000))) for name in range(50)]
        if number:
            members += [tars.hardlink(f"{number}/link", f"{number - 1}/7"), tars.whiteout(f"{number - 1}/8")]
        made.append(tars.tar(*members))
    return made


def archive(path: Path, contents: list[bytes], stored: list[bytes] | None = None) -> str:
    """Write an archive of an image with these layers, or with others in their places; return the image's id."""
    diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in contents]
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    names = [f"{number}/layer.tar" for number in range(len(contents))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["it:1"], "Layers": names}])
    members = [tars.file(name, data) for name, data in zip(names, stored or contents, strict=True)]
    members += [tars.file("config.json", config.encode()), tars.file("manifest.json", manifest.encode())]
    path.write_bytes(tars.tar(*members))
    return hashlib.sha256(config.encode()).hexdigest()


def rubbish(root: Path) -> list[str]:
    """Return what a failed load may leave behind."""
    left = [*(root / "lamina" / "leases").iterdir(), *(root / "image/overlay2/layerdb/tmp").iterdir()]
    return [str(path) for path in (*left, *(path for path in (root / "overlay2").iterdir() if path.name != "l"))]


def test_layers_come_in_whoever_unpacks_them(tmp_path: Path) -> None:
    image_id = archive(tmp_path / "a.tar", layers())
    done = lamina(tmp_path / "s", "load", "-i", str(tmp_path / "a.tar"))
    assert (done.returncode, done.stdout) == (0, b"Loaded image: it:1\n")
    assert done.stderr.count(b"Loading layer") == COUNT
    assert lamina(tmp_path / "s", "images", "-q", "--no-trunc").stdout.decode().strip() == f"sha256:{image_id}"
    assert lamina(tmp_path / "s", "system", "check").returncode == 0
    again = lamina(tmp_path / "s", "load", "-i", str(tmp_path / "a.tar"))
    assert again.stderr.count(b"Already exists") == COUNT


def _flipped(data: bytes) -> bytes:
    """Change a byte of the first file's content."""
    return data[:600] + bytes([data[600] ^ 1]) + data[601:]


def _broken(data: bytes) -> bytes:
    """Make the tar end in the middle of a file."""
    return data[:1000]


@pytest.mark.parametrize("damage", [_flipped, _broken])
@pytest.mark.parametrize("number", [0, 1, COUNT - 1])
def test_a_damaged_layer_is_named_and_nothing_stays(
    tmp_path: Path, number: int, damage: Callable[[bytes], bytes]
) -> None:
    good = layers()
    archive(tmp_path / "a.tar", good, [damage(data) if at == number else data for at, data in enumerate(good)])
    done = lamina(tmp_path / "s", "load", "-i", str(tmp_path / "a.tar"))
    assert done.returncode == 1
    [said] = [line for line in done.stderr.decode().splitlines() if line.startswith("Error: ")]
    if damage is _flipped:
        assert hashlib.sha256(good[number]).hexdigest()[:12] in said
    else:
        assert "tar ends early" in said
    assert rubbish(tmp_path / "s") == []
    assert os.listdir(tmp_path / "s/image/overlay2/layerdb/sha256") == []
