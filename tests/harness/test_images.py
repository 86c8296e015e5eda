import hashlib
import json
import os
import pathlib
import stat
import subprocess
import sys
import tarfile
import tracemalloc

import pytest
from bench import images
from bench.images import Image
from tests import peers
from tests.peers import Docker, Podman, Tool


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file tree with one of each kind."""
    peers.need("needs root" if os.geteuid() else "")
    root = tmp_path / "root"
    for folder in ("dev", "etc", "usr/bin", "var/log", "var/cache/apt/archives", "var/cache/ldconfig"):
        (root / folder).mkdir(parents=True)
    for name in ("etc/resolv.conf", "etc/hostname", "var/log/dpkg.log", "var/cache/apt/archives/a.deb"):
        (root / name).write_text("of the machine")
    (root / "usr/bin/su").write_bytes(b"program")
    os.chown(root / "usr/bin/su", 0, 42)
    os.chmod(root / "usr/bin/su", 0o4755)
    os.link(root / "usr/bin/su", root / "usr/bin/also")
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/é").write_bytes(b"x" * 513)
    os.mknod(root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(root / "dev/pipe")
    return root


def _entries(archive: str, layer: int = 1) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as outer:
        inner = outer.extractfile(f"{layer}/layer.tar")
        assert inner is not None
        with tarfile.open(fileobj=inner) as tar:
            return {info.name: info for info in tar}


def test_a_tree_becomes_a_layer(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    entries = _entries(images.app(str(tmp_path / "app.tar"), str(root), share=0).path)
    assert list(entries) == [
        *("bin", "dev", "dev/null", "dev/pipe", "etc", "etc/é", "usr", "usr/bin", "usr/bin/also", "usr/bin/su"),
        *("var", "var/cache", "var/cache/apt", "var/cache/apt/archives", "var/cache/ldconfig", "var/log"),
    ]
    assert {entry.mtime for entry in entries.values()} == {images.EPOCH}
    first, second = entries["usr/bin/also"], entries["usr/bin/su"]
    assert (first.mode, first.uid, first.gid, first.size) == (0o4755, 0, 42, 7)
    assert (second.islnk(), second.linkname) == (True, "usr/bin/also")
    assert (entries["bin"].issym(), entries["bin"].linkname) == (True, "usr/bin")
    null = entries["dev/null"]
    assert (null.ischr(), null.devmajor, null.devminor) == (True, 1, 3)
    assert entries["dev/pipe"].isfifo()
    assert entries["usr"].isdir()


def test_the_same_tree_gives_the_same_bytes(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    first = images.app(str(tmp_path / "first.tar"), str(root), share=0.01)
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", "--preserve=mode,ownership,links", root, copy], check=True)
    second = images.app(str(tmp_path / "second.tar"), str(copy), share=0.01)
    assert (first.digest, first.id, first.layers) == (second.digest, second.id, second.layers)
    (copy / "etc/é").write_text("other")
    third = images.app(str(tmp_path / "second.tar"), str(copy), share=0.01)
    assert third.layers[0] != first.layers[0]
    assert third.layers[1:] == first.layers[1:]


def test_the_layers_of_app(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    image = images.app(str(tmp_path / "app.tar"), str(root), share=0.02)
    assert [layer.entries for layer in image.layers] == [16, 202 + 400, 2, *[2 + 12] * 7]
    assert image.layers[2].size > 2_000_000
    small = _entries(image.path, 2)
    assert list(small)[:4] == ["srv", "srv/small", "srv/small/000", "srv/small/000/000"]
    assert len({entry.size for entry in small.values()}) > 300
    assert not set(_entries(image.path, 4)) & set(_entries(image.path, 5)) - {"opt"}


def test_the_archive_is_what_it_says(tiny: Image) -> None:
    with open(tiny.path, "rb") as file:
        assert tiny.digest == "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    assert tiny.size == os.path.getsize(tiny.path)
    with tarfile.open(tiny.path) as tar:
        members = {info.name: tar.extractfile(info) for info in tar}
        content = {name: file.read() for name, file in members.items() if file}
    (manifest,) = json.loads(content["manifest.json"])
    config = json.loads(content[manifest["Config"]])
    assert list(content) == [*manifest["Layers"], manifest["Config"], "manifest.json"]
    assert manifest["RepoTags"] == [tiny.reference]
    assert tiny.id == "sha256:" + hashlib.sha256(content[manifest["Config"]]).hexdigest()
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(content["1/layer.tar"]).hexdigest()]
    assert [layer.diff_id for layer in tiny.layers] == config["rootfs"]["diff_ids"]
    assert len(config["history"]) == len(tiny.layers)


def test_tiny_has_all_of_busybox(tiny: Image) -> None:
    entries = _entries(tiny.path)
    assert entries["bin/busybox"].mode == 0o755
    assert entries["bin/sh"].linkname == "/bin/busybox"
    assert entries["tmp"].mode == 0o1777
    assert len(entries) > 200


def test_a_busybox_that_is_not_static(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "busybox").symlink_to("/bin/true")
    monkeypatch.setattr(images, "PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="not static"):
        images.tiny(str(tmp_path / "tiny.tar"))
    assert os.listdir(tmp_path) == ["busybox"]
    (tmp_path / "busybox").unlink()
    with pytest.raises(RuntimeError, match="no busybox"):
        images.tiny(str(tmp_path / "tiny.tar"))


def test_memory_does_not_grow_with_a_file(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with open(root / "sparse", "wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        images.app(str(tmp_path / "app.tar"), str(root), share=0)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_command_line(tmp_path: pathlib.Path, tiny: Image) -> None:
    command = [sys.executable, "-m", "bench.images", "tiny", "tiny.tar"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, capture_output=True, text=True, check=True
    )
    assert tiny.digest in done.stdout
    assert tiny.id in done.stdout
    assert tiny.layers[0].diff_id in done.stdout
    assert (tmp_path / "tiny.tar").read_bytes() == pathlib.Path(tiny.path).read_bytes()


@pytest.mark.skopeo
@pytest.mark.docker
@pytest.mark.podman
def test_every_peer_loads_app(
    docker: Docker, podman: Podman, skopeo: Tool, root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    subprocess.run(["cp", "/bin/busybox", root / "usr/bin/sh"], check=True)
    image = images.app(str(tmp_path / "app.tar"), str(root), share=0.01)
    for peer in (docker, podman):
        peer("load", "-i", image.path)
        assert peer.json("image", "inspect", "app:1")[0]["Id"].removeprefix("sha256:") == image.id[7:]
        assert peer.run("app:1", "sh", "-c", "echo /opt/release-7/*").stdout.split() == [
            f"/opt/release-7/00{number}" for number in range(6)
        ]
        history = peer("history", "--format", "{{.CreatedBy}}", "app:1").stdout.splitlines()
        assert history[::-1] == [layer.created_by for layer in image.layers]
    assert len(skopeo.json("inspect", f"docker-archive:{image.path}")["Layers"]) == 10
