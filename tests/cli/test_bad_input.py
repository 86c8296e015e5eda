"""Bad input, full disks, missing programs and rights: one line that says what, docker's exit code, nothing left behind.

What needs no more than a command line is in the transcripts (`tests/data/cli`).
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest
from bench.images import Image
from tests import disks, peers, tars, unprivileged
from tests.cli.place import BIN, Lamina
from tests.peers import PATH, Result, Tool

from lamina.containers.settings import Wish

pytestmark = [pytest.mark.root, pytest.mark.overlay]

LIMIT = 4 << 20


def refused(done: Result, status: int = 1) -> str:
    """Return why a command failed: one line, and nothing on standard output."""
    assert done.returncode == status, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def clean(lamina: Lamina) -> None:
    """Assert that a store is sound and has no image."""
    assert lamina("system", "check").stdout == f"no problem found in {lamina.root}\n"
    assert lamina("images", "-aq").stdout == ""
    for place in ("sha256", "tmp"):
        assert not os.listdir(f"{lamina.root}/image/{lamina.driver}/layerdb/{place}")
    assert not set(os.listdir(f"{lamina.root}/{lamina.driver}")) - {"holders", "l"}
    assert not os.listdir(f"{lamina.root}/lamina/tmp")
    assert not os.listdir(f"{lamina.root}/lamina/leases")


class Archive:
    """A docker-archive of one image with one layer, to be spoiled before it is written."""

    def __init__(self) -> None:
        self.layer = tars.tar(tars.file("data", b"x" * 5000))
        self.config: dict[str, Any] = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(self.layer).hexdigest()}"]},
        }
        self.manifest: dict[str, Any] = {"Config": "config.json", "RepoTags": ["bad:1"], "Layers": ["layer.tar"]}
        self.raw: dict[str, bytes] = {}

    def write(self) -> bytes:
        files = {
            "layer.tar": self.layer,
            "config.json": json.dumps(self.config).encode(),
            "manifest.json": json.dumps([self.manifest]).encode(),
        }
        return tars.tar(*(tars.file(name, data) for name, data in (files | self.raw).items()))


def _other_layer(archive: Archive) -> None:
    archive.layer = tars.tar(tars.file("data", b"y" * 5000))


def _flipped_layer(archive: Archive) -> None:
    flipped = bytearray(archive.layer)
    flipped[1000] ^= 1
    archive.layer = bytes(flipped)


def _flipped_header(archive: Archive) -> None:
    flipped = bytearray(archive.layer)
    flipped[3] ^= 1
    archive.layer = bytes(flipped)


def _more_layers(archive: Archive) -> None:
    archive.manifest["Layers"] = ["layer.tar", "layer.tar"]


def _more_diff_ids(archive: Archive) -> None:
    archive.config["rootfs"]["diff_ids"] *= 2


def _missing_layer(archive: Archive) -> None:
    archive.manifest["Layers"] = ["nothing.tar"]


def _missing_config(archive: Archive) -> None:
    archive.manifest["Config"] = "nothing.json"


def _escaping_config(archive: Archive) -> None:
    archive.manifest["Config"] = "../../../etc/passwd"


def _large_config(archive: Archive) -> None:
    archive.config["comment"] = "x" * LIMIT


def _deep_manifest(archive: Archive) -> None:
    archive.raw["manifest.json"] = b"[" * 100_000


def _deep_config(archive: Archive) -> None:
    archive.raw["config.json"] = b'{"config":' * 100_000


def _no_json(archive: Archive) -> None:
    archive.raw["manifest.json"] = b"\xff\xfe nothing"


def _wrong_types(archive: Archive) -> None:
    archive.config["rootfs"] = "none"


def _bad_diff_id(archive: Archive) -> None:
    archive.config["rootfs"]["diff_ids"] = ["sha256:../../../etc"]


def _bad_name(archive: Archive) -> None:
    archive.manifest["RepoTags"] = ["Bad/../name"]


SPOILED = {
    _other_layer: "invalid diffID for layer",
    _flipped_layer: "invalid diffID for layer",
    _flipped_header: "header",
    _more_layers: "names 1 layers, manifest.json 2",
    _more_diff_ids: "names 2 layers, manifest.json 1",
    _missing_layer: "has no file 'nothing.tar'",
    _missing_config: "has no file 'nothing.json'",
    _escaping_config: "has no file '../../../etc/passwd'",
    _large_config: f"config.json of bad.tar is larger than {LIMIT} bytes",
    _deep_manifest: "manifest.json of bad.tar",
    _deep_config: "config.json of bad.tar",
    _no_json: "manifest.json of bad.tar",
    _wrong_types: "config.json of bad.tar",
    _bad_diff_id: "sha256:../../../etc",
    _bad_name: "Bad/../name",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_spoiled_archive(empty: Lamina, tmp_path: pathlib.Path, spoil: Any) -> None:
    archive = Archive()
    spoil(archive)
    (tmp_path / "bad.tar").write_bytes(archive.write())
    assert SPOILED[spoil] in refused(empty("load", "-q", "-i", "bad.tar", check=False, cwd=str(tmp_path)))
    clean(empty)


def test_the_archive_that_is_spoiled_is_good_before(empty: Lamina, tmp_path: pathlib.Path) -> None:
    assert empty("load", "-q", input=Archive().write()).stdout == "Loaded image: bad:1\n"


def test_a_truncated_archive(empty: Lamina, tmp_path: pathlib.Path, tiny: Image) -> None:
    with open(tiny.path, "rb") as file:
        data = file.read()
    for size in (0, 100, 512, 100_000, len(data) // 2 // 512 * 512, len(data) - 4000):
        refused(empty("load", "-q", input=data[:size], check=False))
    (tmp_path / "cut.tar.gz").write_bytes(
        subprocess.run(["gzip", "-1"], input=data, capture_output=True).stdout[:-1000]
    )
    refused(empty("load", "-q", "-i", str(tmp_path / "cut.tar.gz"), check=False))
    clean(empty)


def test_a_folder_that_is_spoiled(empty: Lamina, furnished: Lamina, tmp_path: pathlib.Path) -> None:
    """An OCI layout: its index and manifests are bounded too, and blobs are what their names say."""
    layout = tmp_path / "layout"
    layout.mkdir()
    furnished("save", "-o", str(tmp_path / "site.tar"), "site:1")
    subprocess.run(["tar", "-C", str(layout), "-xf", str(tmp_path / "site.tar")], check=True)
    (layout / "manifest.json").unlink()
    index = (layout / "index.json").read_bytes()
    for bad in (b"[" * 100_000, b'{"schemaVersion":2,"manifests":[' + b" " * LIMIT + b"]}", b"{}", b"nothing"):
        (layout / "index.json").write_bytes(bad)
        assert refused(empty("load", "-q", "-i", str(layout), check=False))
    (layout / "index.json").write_bytes(index)
    manifest = json.loads(index)["manifests"][0]["digest"].removeprefix("sha256:")
    blob = layout / "blobs/sha256" / manifest
    good = blob.read_bytes()
    blob.write_bytes(good.replace(b"2", b"3", 1))
    assert manifest in refused(empty("load", "-q", "-i", str(layout), check=False))
    large = good[:-1] + b',"annotations":{"a":"' + b"x" * LIMIT + b'"}}'
    (layout / "blobs/sha256" / hashlib.sha256(large).hexdigest()).write_bytes(large)
    entry = {"digest": f"sha256:{hashlib.sha256(large).hexdigest()}", "size": len(large)}
    whole = json.loads(index)
    whole["manifests"][0] |= entry
    (layout / "index.json").write_text(json.dumps(whole))
    assert f"larger than {LIMIT} bytes" in refused(empty("load", "-q", "-i", str(layout), check=False))
    (layout / "index.json").write_bytes(index)
    blob.write_bytes(good)
    clean(empty)
    assert empty("load", "-q", "-i", str(layout)).stdout == "Loaded image: site:1\n"


def test_names_and_ids(lamina: Lamina) -> None:
    with lamina.engine() as engine:
        images = []
        for number in range(16):
            with engine.edit("site:1", created=0) as edit:
                edit.set(labels={"number": str(number)})
                images.append(edit.commit())
        image, wish = images[0], Wish(command=["x"])
        containers = [engine.create_container(image, wish) for _ in range(17)]
    first = [one[7] for one in lamina("images", "-aq", "--no-trunc").stdout.split()]
    twice = next(digit for digit in first if first.count(digit) > 1)
    for command in (("inspect", "--type", "image"), ("history",), ("rmi",), ("save",), ("tag",), ("create",)):
        more = ["other"] if command == ("tag",) else []
        text = refused_or_listed(lamina(*command, twice, *more, check=False))
        assert "ambiguous" in text, command
        assert twice in text
    starts = [one[0] for one in containers]
    twice = next(digit for digit in starts if starts.count(digit) > 1)
    for verb in ("rm", "diff", "export", "commit"):
        assert "ambiguous" in refused(lamina(verb, twice, check=False)), verb
    for command in (("inspect",), ("history",), ("rmi",), ("save",), ("run", "--network", "none"), ("create",)):
        done = lamina(*command, "no/Such:REF:", check=False)
        assert "invalid reference format" in done.stderr or command == ("inspect",), done
        assert done.returncode == (125 if command[0] == "run" else 1)
        assert "Traceback" not in done.stderr
    for text in ("0" * 64, "sha256:" + "0" * 64, "sha256:" + "0" * 12, "nobody@sha256:" + "0" * 64):
        assert "No such image" in refused(lamina("history", text, check=False))


def refused_or_listed(done: Result) -> str:
    """Return why a command failed; `inspect` shows an empty list besides."""
    assert done.stdout in ("", "[]\n")
    return refused(Result(done.args, done.returncode, "", done.stderr))


@pytest.mark.runc
def test_a_full_disk(furnished: Lamina, tiny: Image, tmp_path: pathlib.Path) -> None:
    peers.need(disks.missing())
    big = Archive()
    big.layer = tars.tar(tars.file("big", os.urandom(30 << 20)))
    big.config["rootfs"]["diff_ids"] = [f"sha256:{hashlib.sha256(big.layer).hexdigest()}"]
    (tmp_path / "big.tar").write_bytes(big.write())
    with disks.ext4(24 << 20, str(tmp_path / "disk")) as disk:
        lamina = Lamina(f"{disk}/store")
        lamina("load", "-q", "-i", tiny.path)
        free = _free(disk)
        assert "No space left" in refused(lamina("load", "-q", "-i", str(tmp_path / "big.tar"), check=False))
        with open(tmp_path / "big.tar", "rb") as file:
            refused(lamina("load", "-q", input=file, check=False))
        assert "No space left" in refused(lamina("import", str(tmp_path / "big.tar"), check=False))
        (tmp_path / "ctx").mkdir()
        (tmp_path / "ctx" / "Dockerfile").write_text("FROM tiny:1\nCOPY big /\n")
        shutil.copy(tmp_path / "big.tar", tmp_path / "ctx" / "big")
        failed = lamina("build", str(tmp_path / "ctx"), check=False)
        assert (failed.returncode, "No space left" in failed.stderr) == (1, True), failed
        fill = ("dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40")
        failed = lamina("run", "--rm", "--network", "none", "tiny:1", *fill, check=False)
        assert failed.returncode == 1
        assert "No space left on device" in failed.stderr
        fill_most = ("sh", "-c", "dd if=/dev/urandom of=/big bs=1M count=12 2>/dev/null; sync")
        lamina("run", "--name", "full", "--network", "none", "tiny:1", *fill_most)
        assert "No space left" in refused(lamina("commit", "full", check=False))
        assert "No space left" in refused(lamina("export", "-o", f"{disk}/export.tar", "full", check=False))
        _fill(f"{disk}/rest")
        why = refused(lamina("run", "--rm", "--network", "none", "tiny:1", "true", check=False), 125)
        assert "No space left" in why
        os.unlink(f"{disk}/rest")
        lamina("rm", "full")
        assert not os.path.exists(f"{disk}/export.tar")
        assert lamina("system", "check").stdout == f"no problem found in {lamina.root}\n"
        assert lamina("images", "-a", "--format", "{{.Repository}}").stdout == "tiny\n"
        assert _free(disk) > free - (1 << 20)


def _fill(path: str) -> None:
    """Write a file until its disk is full."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass


def _free(disk: str) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_bsize


@pytest.mark.runc
def test_no_runtime(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    (tmp_path / "broken").write_text("#!/bin/sh\necho this is broken >&2\nexit 1\n")
    os.chmod(tmp_path / "broken", 0o755)
    for runtime, why in (
        ("/nonexistent", "/nonexistent is not installed"),
        ("nonexistent", "nonexistent is not installed"),
        (str(tmp_path / "broken"), "does not work here (this is broken)"),
    ):
        env = {"LAMINA_RUNTIME": runtime}
        assert why in refused(lamina("run", "--rm", "--network", "none", "tiny:1", "true", env=env, check=False), 125)
        failed = lamina("build", "-q", "-", input="FROM tiny:1\nRUN true\n", env=env, check=False)
        assert (failed.returncode, why in failed.stderr) == (1, True), failed
        assert lamina("create", "--name", "one", "tiny:1", env=env).stdout
        assert lamina("rm", "one", env=env).stdout == "one\n"
    assert lamina("ps", "-aq").stdout == ""


@pytest.mark.runc
def test_no_runtime_installed(lamina: Lamina) -> None:
    hide = f'for path in $(PATH={PATH} which -a runc crun youki); do mount --bind /dev/null "$path"; done'
    script = f'{hide}; exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", f"{BIN}/lamina", "run", "--rm", "tiny:1", "true"]
    done = subprocess.run(command, capture_output=True, text=True, env=lamina.env)
    why = refused(Result(command, done.returncode, done.stdout, done.stderr), 125)
    assert why == (
        "no OCI runtime: runc is not installed; crun is not installed; youki is not installed. "
        "Install one, such as Debian's package runc"
    )


def test_not_root(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    peers.need(Tool("setpriv").missing())
    unprivileged.open_way(tmp_path)
    nobody, *words = unprivileged.command(f"{BIN}/lamina")
    theirs = Tool(nobody, *words, env=lamina.env)
    for command in (("images",), ("run", "tiny:1"), ("system", "check"), ("tag", "tiny:1", "a")):
        done = theirs(*command, check=False)
        assert "is not yours" in refused(done, 125 if command[0] == "run" else 1), done
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, 12345, 12345)
    env = {"HOME": str(own), "LAMINA_ROOT": "", "LAMINA_RUN_ROOT": f"{own}/run", "LAMINA_STORAGE_DRIVER": ""}
    data = tars.tar(tars.directory("d", uid=7), tars.file("d/file", b"x", uid=7, mode=0o4755))
    assert theirs("import", "-c", 'CMD ["/d/file"]', "-", "mine:1", input=data, env=env).stdout.startswith("sha256:")
    assert theirs("images", "--format", "{{.Repository}}", env=env).stdout == "mine\n"
    assert (own / ".local/share/lamina/image").is_dir()
    why = refused(theirs("run", "mine:1", env=env, check=False), 125)
    assert why == "running a process in a container needs root"
    failed = theirs("build", "-q", "-", input="FROM mine:1\nRUN true\n", env=env, check=False)
    assert (failed.returncode, "needs root" in failed.stderr) == (1, True)
    assert theirs("build", "-q", "-", input="FROM mine:1\nENV A=1\n", env=env).stdout.startswith("sha256:")
    assert theirs("create", "--name", "one", "mine:1", env=env).stdout
    assert "d/file" in theirs("export", "one", env=env).stdout
    assert theirs("ls", "-l", "mine:1", "d", env=env).stdout.startswith("-rwsr-xr-x     7     0          1 ")
    assert theirs("cat", "mine:1", "/d/file", env=env).stdout == "x"
    theirs("save", "-o", f"{own}/saved.tar", "mine:1", env=env)
    theirs("tag", "mine:1", "mine:2", env=env)
    assert theirs("rmi", "mine:2", env=env).stdout == "Untagged: mine:2\n"
    assert theirs("load", "-i", f"{own}/saved.tar", env=env).stdout == "Loaded image: mine:1\n"
    for command in (("inspect", "mine:1"), ("history", "mine:1"), ("tree",)):
        assert theirs(*command, env=env).stdout
    assert theirs("rm", "one", env=env).stdout == "one\n"
    assert "no problem found" in theirs("system", "check", env=env).stdout


def test_a_store_of_another_driver(empty: Lamina) -> None:
    env = {"LAMINA_STORAGE_DRIVER": ""}
    os.makedirs(f"{empty.root}/image/btrfs")
    for command, status in ((("images",), 1), (("run", "x"), 125), (("load",), 1), (("system", "check"), 1)):
        why = refused(empty(*command, env=env, check=False), status)
        assert "storage driver 'btrfs'" in why
        assert empty.root in why
    assert os.listdir(empty.root) == ["image"]
    assert os.listdir(f"{empty.root}/image") == ["btrfs"]
    os.rename(f"{empty.root}/image/btrfs", f"{empty.root}/image/vfs")
    os.mkdir(f"{empty.root}/image/overlay2")
    assert "overlay2, vfs: choose one by --storage-driver" in refused(empty("images", env=env, check=False))
    assert empty("--storage-driver", "vfs", "images", "-q").stdout == ""
    assert "storage driver 'zfs' is not known" in refused(empty("--storage-driver=zfs", "images", check=False))


@pytest.mark.runc
@pytest.mark.parametrize("damage", [b"", b"nothing", b'{"Repositories":{"a":', b'{"Repositories":[]}', b"[" * 100_000])
def test_damaged_names(lamina: Lamina, damage: bytes) -> None:
    """Whatever reads still works by id, and says what is wrong; whatever would write names refuses."""
    path = pathlib.Path(lamina.root, f"image/{lamina.driver}/repositories.json")
    image = lamina("images", "-q", "--no-trunc", "tiny:1").stdout.strip()
    good = path.read_bytes()
    path.write_bytes(damage)
    wrong = f"{path} is damaged"
    listed = lamina("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}")
    assert f"{image} <none>\n" in listed.stdout
    assert listed.stderr.startswith(f"WARNING: {wrong}")
    assert len(listed.stderr.splitlines()) == 1
    for command in (("inspect", "-f", "{{.Id}}"), ("history", "-q", "--no-trunc")):
        done = lamina(*command, image)
        assert image in done.stdout
        assert wrong in done.stderr
    assert lamina("run", "--rm", "--network", "none", image, "echo", "hello").stdout == "hello\n"
    assert wrong in lamina("tree").stderr
    assert wrong in refused(lamina("history", "tiny:1", check=False))
    assert wrong in refused(lamina("tag", image, "new", check=False))
    assert wrong in refused(lamina("rmi", image, check=False))
    assert wrong in refused(lamina("run", "tiny:1", check=False), 125)
    checked = lamina("system", "check", "--fast", check=False)
    assert checked.returncode == 1
    assert wrong in checked.stdout
    assert path.read_bytes() == damage
    path.write_bytes(good)


def test_output_that_cannot_be_written(lamina: Lamina) -> None:
    with open("/dev/full", "wb") as full:
        done = lamina("images", output=full, check=False)
        assert done.returncode == 1
        assert done.stderr == "Error: No space left on device\n"
        assert lamina("save", "tiny:1", output=full, check=False).stderr == "Error: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed(lamina: Lamina, closed: str) -> None:
    """Nothing that is printed gets into the files that are opened in their place."""

    def called(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f'exec lamina "$@" {closed}', "sh", *words]
        return subprocess.run(command, env=lamina.env, capture_output=True, text=True)

    run = ("run", "--rm", "--network", "none", "tiny:1", "echo", "said")
    for words, status in (
        (run, 0),
        (("inspect", "tiny:1"), 0),
        (("tag", "tiny:1", "other:1"), 0),
        (("inspect", "no:1"), 1),
    ):
        assert called(*words).returncode == status
        assert "Traceback" not in called(*words).stderr
    assert lamina("inspect", "-f", "{{.RepoTags}}", "tiny:1").stdout == "[other:1 tiny:1]\n"
    assert lamina("system", "check").stdout == f"no problem found in {lamina.root}\n"


INTERRUPTED = """
from lamina.cli import main

def interrupted(words):
    print("said")
    raise KeyboardInterrupt

main.main = interrupted
main.run()
"""


def test_what_was_said_before_an_interrupt_is_not_lost() -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, env={"PATH": PATH}, stdout=subprocess.PIPE, text=True)  # whose output is buffered
    assert (done.returncode, done.stdout) == (130, "said\n")


def test_debug_shows_where_an_error_comes_from(lamina: Lamina) -> None:
    done = lamina("--debug", "history", "nobody", check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ImageNotFound: No such image: nobody:latest" in done.stderr
