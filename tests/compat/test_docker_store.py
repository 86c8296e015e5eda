"""One store, two programs: what lamina writes dockerd opens, and the reverse."""

import io
import json
import os
import pathlib
import shutil
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from bench import images
from tests import tars
from tests.peers import Docker, Result, Tool

from lamina.engine import Engine

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.docker]

DOCKERFILE = """\
FROM tiny:1
ENV A=1 B="two words"
RUN mkdir -p /data/old && echo kept > /data/kept && echo gone > /data/old/gone && chmod 4755 /bin/busybox
RUN rm -r /data/old && mkdir /data/old && echo new > /data/old/new && ln /data/kept /data/linked
RUN mknod /data/null c 1 3 && mkfifo /data/fifo && ln -s kept /data/soft && rm /bin/yes
LABEL maker=test
WORKDIR /data
CMD ["cat", "/data/kept"]
"""
LOOK = (
    "cat kept linked old/new; ls -A old; test -p fifo && test -c null && test -L soft && test ! -e /bin/yes && echo ok"
)


def lamina(root: str, *words: str, **how: Any) -> Result:
    """Run the command line over a store."""
    return Tool(shutil.which("lamina") or _script(), "--root", root)(*words, **how)


def _script() -> str:
    import sys

    return os.path.join(os.path.dirname(sys.executable), "lamina")


@pytest.fixture
def context(tmp_path: pathlib.Path) -> str:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return str(folder)


@pytest.fixture
def ours(tmp_path: pathlib.Path, tiny: images.Image, context: str) -> Iterator[str]:
    """A store that lamina has filled: loaded, built, imported, committed."""
    root = str(tmp_path / "store")
    lamina(root, "--storage-driver", "overlay2", "load", "-q", "-i", tiny.path)
    lamina(root, "build", "-t", "built:1", context)
    lamina(root, "run", "--name", "one", "built:1", "sh", "-c", "echo more >> kept; rm -r old; echo x > added")
    lamina(root, "commit", "-m", "by hand", "one", "committed:1")
    lamina(root, "rm", "one")
    odd = tars.tar(*tars.odd_members())
    lamina(root, "import", "-", "odd:1", input=odd)
    lamina(root, "tag", "built:1", "other/name:tag")
    yield root
    shutil.rmtree(root)


@pytest.fixture
def theirs(tmp_path: pathlib.Path, tiny: images.Image, context: str) -> Iterator[str]:
    """A store that a dockerd has filled, and left."""
    root = str(tmp_path / "docker")
    with Docker(root) as docker:
        docker("load", "-q", "-i", tiny.path)
        docker("build", "--network", "none", "-t", "built:1", context, env={"DOCKER_BUILDKIT": "0"})
        docker(
            "run", "--network", "none", "--name", "one", "built:1",
            "sh", "-c", "echo more >> kept; rm -r old; echo x > added",
        )  # fmt: skip
        docker("commit", "-m", "by hand", "one", "committed:1")
        docker("tag", "built:1", "other/name:tag")
    yield root
    shutil.rmtree(root)


FIELDS = ("Id", "RepoTags", "Parent", "Comment", "Created", "Author", "Config", "Architecture", "Os", "Size", "RootFS")


def test_dockerd_opens_what_lamina_wrote(ours: str) -> None:
    names = _listed(lamina(ours, "images", "-a", "--no-trunc", "--format", _ROW))
    ids = {line.split()[0] for line in names}
    inspected = {image_id: json.loads(lamina(ours, "inspect", image_id).stdout)[0] for image_id in ids}
    history = lamina(ours, "history", "--no-trunc", "--format", _STEP, "committed:1").stdout
    with Docker(ours) as docker:
        assert _listed(docker("images", "-a", "--no-trunc", "--format", _ROW)) == names
        assert docker("history", "--no-trunc", "--format", _STEP, "committed:1").stdout == history
        for image_id, found in inspected.items():
            shown = docker.json("inspect", image_id)[0]
            assert {name: shown[name] for name in FIELDS} == {name: found[name] for name in FIELDS}
            assert shown["GraphDriver"]["Name"] == "overlay2"
        assert docker.run("built:1", "sh", "-c", LOOK).stdout == "kept\nkept\nnew\nnew\nok\n"
        look = "cat kept added; test ! -e old"
        assert docker.run("committed:1", "sh", "-c", look).stdout == "kept\nmore\nx\n"
        docker("save", "-o", f"{ours}/../saved.tar", "committed:1")
        docker("rmi", "other/name:tag", "committed:1")
        docker("tag", "built:1", "by:docker")
    assert list(Engine(ours).check()) == []
    assert "by:docker" in lamina(ours, "images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    again = lamina(f"{ours}-2", "load", "-i", f"{ours}/../saved.tar")
    assert again.stdout == "Loaded image: committed:1\n"
    assert lamina(f"{ours}-2", "images", "-q", "--no-trunc").stdout.strip() in ids
    shutil.rmtree(f"{ours}-2")


_ROW = "{{.ID}} {{.Repository}} {{.Tag}} {{.Size}}"
_STEP = "{{.ID}} {{.CreatedBy}} {{.Size}} {{.Comment}}"


def _listed(result: Result) -> list[str]:
    return sorted(result.stdout.splitlines())


def test_lamina_opens_what_dockerd_wrote(theirs: str, tmp_path: pathlib.Path) -> None:
    with Docker(theirs) as docker:
        names = _listed(docker("images", "-a", "--no-trunc", "--format", _ROW))
        history = docker("history", "--no-trunc", "--format", _STEP, "committed:1").stdout
        inspected = {line.split()[0]: docker.json("inspect", line.split()[0])[0] for line in names}
        refused = lamina(theirs, "tag", "built:1", "not:now", check=False)
        assert refused.returncode == 1
        assert "a dockerd is running" in refused.stderr
        assert _listed(lamina(theirs, "images", "-a", "--no-trunc", "--format", _ROW)) == names
    assert list(Engine(theirs).check()) == []
    assert _listed(lamina(theirs, "images", "-a", "--no-trunc", "--format", _ROW)) == names
    assert lamina(theirs, "history", "--no-trunc", "--format", _STEP, "committed:1").stdout == history
    for image_id, found in inspected.items():
        shown = json.loads(lamina(theirs, "inspect", image_id).stdout)[0]
        assert {name: shown[name] for name in FIELDS} == {name: found[name] for name in FIELDS}
    held = lamina(theirs, "rmi", "built:1", "other/name:tag", check=False)
    assert held.returncode == 1
    assert "container" in held.stderr
    assert lamina(theirs, "run", "--rm", "other/name:tag", "sh", "-c", LOOK).stdout == "kept\nkept\nnew\nnew\nok\n"
    lamina(theirs, "run", "--name", "two", "committed:1", "sh", "-c", "echo ours > ours; rm kept")
    lamina(theirs, "commit", "two", "ours:1")
    lamina(theirs, "save", "-o", str(tmp_path / "ours.tar"), "ours:1")
    lamina(theirs, "rm", "two")
    expected = json.loads(lamina(theirs, "inspect", "ours:1").stdout)[0]["Id"]
    with Docker(theirs) as docker:
        assert docker.run("ours:1", "sh", "-c", "cat ours; test ! -e kept && echo hidden").stdout == "ours\nhidden\n"
        assert docker.json("inspect", "ours:1")[0]["Id"] == expected
        assert docker("start", "-a", "one").returncode == 0
    with Docker(str(tmp_path / "third")) as other:
        assert other("load", "-i", str(tmp_path / "ours.tar")).stdout == "Loaded image: ours:1\n"
        assert other.json("inspect", "ours:1")[0]["Id"] == expected
    shutil.rmtree(tmp_path / "third")


def test_the_same_archive_makes_the_same_files(tmp_path: pathlib.Path, tiny: images.Image) -> None:
    """Every file of the store, but for random ids and times, is the same byte for byte, of the same mode."""
    one, two = str(tmp_path / "lamina"), str(tmp_path / "docker")
    lamina(one, "--storage-driver", "overlay2", "load", "-q", "-i", tiny.path)
    with Docker(two) as docker:
        docker("load", "-q", "-i", tiny.path)
    assert _described(one) == _described(two)
    shutil.rmtree(one)
    shutil.rmtree(two)


def _described(root: str) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of all files and folders of the image store; random ids become their order."""
    import gzip

    found: dict[str, tuple[int, bytes]] = {}
    caches = [name for name in os.listdir(f"{root}/overlay2") if len(name) == 64]
    links = os.listdir(f"{root}/overlay2/l")
    assert len(caches) == len(links) == 1, "an image of one layer"

    def plain(text: bytes) -> bytes:
        return text.replace(caches[0].encode(), b"<cache>").replace(links[0].encode(), b"<link>")

    for top in ("image", "overlay2"):
        for folder, folders, names in os.walk(os.path.join(root, top)):
            inside = os.path.relpath(folder, root)
            if inside.endswith(("/diff", "/lastUpdated")):
                folders.clear()
                continue
            for name in (*folders, *names):
                path = os.path.join(folder, name)
                info = os.lstat(path)
                content = b""
                if os.path.islink(path):
                    content = os.fsencode(os.readlink(path))
                elif os.path.isfile(path):
                    with open(path, "rb") as file:
                        content = file.read()
                if name.endswith(".gz"):
                    content = b"".join(_entries(gzip.decompress(content)))
                if name == "lastUpdated":
                    content = b"<time>"
                shown = plain(os.fsencode(os.path.join(inside, name))).decode()
                found[shown] = info.st_mode, plain(content)
    found.pop("image/overlay2/layerdb/mounts", None)  # dockerd makes it for the first container
    return found


def _entries(split: bytes) -> list[bytes]:
    """Return the entries of a tar-split; dockerd 20.10 ends all with an empty one, later ones do not."""
    *entries, last = split.splitlines(keepends=True)
    return entries if b'"type":2,"payload":"",' in last else [*entries, last]


def test_archives_of_each_other(tmp_path: pathlib.Path, ours: str) -> None:
    saved, back = str(tmp_path / "saved.tar"), str(tmp_path / "back.tar")
    lamina(ours, "save", "-o", saved, "built:1", "committed:1", "other/name:tag")
    ids = {name: _id(ours, name) for name in ("built:1", "committed:1", "other/name:tag")}
    with Docker(str(tmp_path / "docker")) as docker:
        docker("load", "-i", saved)
        assert {name: docker.json("inspect", name)[0]["Id"] for name in ids} == ids
        assert docker.run("committed:1", "cat", "added").stdout == "x\n"
        docker("save", "-o", back, *ids)
    with tarfile.open(back) as tar:
        assert "manifest.json" in tar.getnames()
    other = str(tmp_path / "other")
    lamina(other, "load", "-i", back)
    assert {name: _id(other, name) for name in ids} == ids
    assert list(Engine(other).check()) == []
    for folder in (other, str(tmp_path / "docker")):
        shutil.rmtree(folder)


def _id(root: str, name: str) -> str:
    return str(json.loads(lamina(root, "inspect", name).stdout)[0]["Id"])


@pytest.mark.skopeo
@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
def test_skopeo_copies(tmp_path: pathlib.Path, ours: str, skopeo: Tool, kind: str) -> None:
    saved, copied = str(tmp_path / "saved.tar"), str(tmp_path / "copied")
    lamina(ours, "save", "-o", saved, "committed:1")
    layers = json.loads(lamina(ours, "inspect", "committed:1").stdout)[0]["RootFS"]["Layers"]
    assert skopeo.json("inspect", f"docker-archive:{saved}")["Layers"] == layers
    assert len(skopeo.json("inspect", f"oci-archive:{saved}")["Layers"]) == len(layers)
    source = "docker-archive" if kind == "docker-archive" else "oci-archive"
    skopeo("copy", f"{source}:{saved}", f"{kind}:{copied}:committed:2")
    other = str(tmp_path / "other")
    lamina(other, "load", "-i", copied)
    assert lamina(other, "images", "-q", "--no-trunc").stdout.split()[0] == _id(ours, "committed:1")
    assert list(Engine(other).check()) == []
    shutil.rmtree(other)


@pytest.mark.podman
def test_podman_takes_and_gives(tmp_path: pathlib.Path, ours: str, podman: Any) -> None:
    saved, back = str(tmp_path / "saved.tar"), str(tmp_path / "back.tar")
    lamina(ours, "save", "-o", saved, "committed:1")
    podman("load", "-i", saved)
    assert podman.run("committed:1", "cat", "added").stdout == "x\n"
    podman("save", "-o", back, "committed:1")
    other = str(tmp_path / "other")
    lamina(other, "load", "-i", back)
    assert list(Engine(other).check()) == []
    assert json.loads(lamina(other, "inspect", "committed:1").stdout)[0]["RootFS"]["Layers"]
    shutil.rmtree(other)


def test_an_edit_from_python_runs_in_docker(ours: str) -> None:
    with Engine(ours) as engine, engine.edit("tiny:1", created=0) as image:
        image.append(io.BytesIO(tars.tar(tars.file("etc/greeting", b"hello"), tars.whiteout("bin/yes"))))
        image.set(cmd=["cat", "/etc/greeting"])
        image.commit("edited:1")
    with Docker(ours) as docker:
        assert docker.run("edited:1").stdout == "hello"
        assert docker.run("edited:1", "sh", "-c", "test ! -e /bin/yes && echo hidden").stdout == "hidden\n"
