"""Images and containers over the driver erofs, from the tar of a layer to a process in it, against overlay2."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.images import Image
from tests import disks, peers, traces, unprivileged
from tests.cli.place import BIN, Lamina, furnish

from lamina import sealed
from lamina.erofs.reader import Image as ErofsImage
from lamina.pids import ProcessId

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

DOCKERFILE = """\
FROM tiny:1
COPY --from=site:2 / /
RUN mkdir -p /made/here && echo x > /made/here/file && ln /made/here/file /made/other && rm -r /www && chmod 700 /tmp
COPY --chown=5:6 context /copied/
RUN rm /copied/a && touch /copied/b && mv /made/here /made/there
"""


@pytest.fixture
def stores(tmp_path: Path, tiny: Image) -> Iterator[dict[str, Lamina]]:
    """The same images in a store of each driver."""
    peers.need(disks.missing())
    with disks.memory("erofs") as folder, traces.tidy(folder):
        found = {
            name: Lamina(f"{folder}/{name}", env={"LAMINA_STORAGE_DRIVER": name}) for name in ("erofs", "overlay2")
        }
        for lamina in found.values():
            furnish(lamina, tiny)
        yield found


def test_a_life(stores: dict[str, Lamina], tmp_path: Path) -> None:
    (tmp_path / "context/context").mkdir(parents=True)
    (tmp_path / "context/context/a").write_text("a")
    (tmp_path / "context/Dockerfile").write_text(DOCKERFILE)
    seen: dict[str, list[str]] = {}
    for name, lamina in stores.items():
        lamina("build", "-q", "-t", "built:1", str(tmp_path / "context"))
        lamina(
            "run", "--name", "box", "--network", "none", "built:1", "sh", "-c", "echo y >> /etc/passwd; rm /copied/b"
        )
        lamina("cp", "box:/copied", str(tmp_path / name))
        lamina("commit", "box", "committed:1")
        lamina("save", "-o", str(tmp_path / f"{name}.tar"), "committed:1")
        lamina("load", "-i", str(tmp_path / f"{name}.tar"))
        shown = 'find / -xdev -type f | sort | while read f; do cksum "$f"; done; find / -xdev ! -type f | sort'
        seen[name] = [
            lamina("diff", "box").stdout,
            lamina("run", "--rm", "--network", "none", "committed:1", "sh", "-c", shown).stdout,
            str(sorted(os.listdir(tmp_path / name))),
            lamina("system", "check").stdout.split(" in ")[0],
        ]
        lamina("rm", "box")
        lamina("rmi", "committed:1", "built:1", "site:1", "site:2", "tiny:1")
        assert lamina("system", "check").stdout.startswith("no problem found")
        assert os.listdir(f"{lamina.root}/{name}") in (["holders"], ["l"])
    assert seen["erofs"] == seen["overlay2"]
    assert seen["erofs"][0].splitlines() == ["C /copied", "D /copied/b", "C /etc", "C /etc/passwd"]


def test_containers_have_the_same_mounts(stores: dict[str, Lamina]) -> None:
    """So a file that several read is in memory once. Nothing is left when they have ended, however they have."""
    peers.need(peers.Tool("conmon").missing())
    lamina = stores["erofs"]
    with contextlib.ExitStack() as stack:
        stack.callback(traces.kill, f"{lamina.root}.run")
        holders = Path(f"{lamina.root}/erofs/holders")
        lamina("run", "--name", "base", "--network", "none", "tiny:1", "touch", "/made")
        lamina("commit", "base", "two:1")
        lamina("rm", "base")
        seen = [images(lamina, name) for name in ("one", "two", "three")]
        assert seen[0] == seen[1] == seen[2]
        assert len(seen[0]) == 2
        lamina("rm", "-f", "one")
        assert images(lamina, "four") == seen[0]
        lamina("restart", "-t", "0", "two")
        assert images(lamina, "five") == seen[0]
        assert len(os.listdir(holders)) == 4
        lamina("rm", "-f", "two", "three")
        assert len(os.listdir(holders)) == 2
        for pid in traces.processes(f"{lamina.root}.run"):
            os.kill(pid, signal.SIGKILL)
        assert not [mount for mount in traces.mounts(lamina.root) if "erofs" in mount.text]
        assert lamina("run", "--rm", "--network", "none", "site:1", "true", check=False).returncode == 127
        assert os.listdir(holders) == []
        lamina("rm", "four", "five")


def images(lamina: Lamina, name: str) -> set[int]:
    """Start a container; return the file systems of its image's layers, as those see them who share them."""
    lamina("create", "--name", name, "--network", "none", "two:1", "sleep", "1000")
    lamina("start", name)
    container = lamina("inspect", "-f", "{{.Id}}", name).stdout.strip()
    monitor = sealed.read(f"{lamina.root}/lamina/containers/monitored/{container}", ProcessId).pid
    with os.scandir(f"/proc/{monitor}/root{lamina.root}.run/bundles/{container}/images") as entries:
        return {entry.stat().st_dev for entry in entries}


def test_without_rights(lamina: Lamina, tmp_path: Path) -> None:
    """Who may not mount takes layers in, looks into them, and gives them back."""
    unprivileged.open_way(tmp_path)
    place = tmp_path / "mine"
    place.mkdir()
    lamina("save", "-o", str(place / "site.tar"), "site:2")
    for path in (place, place / "site.tar"):
        os.chown(path, unprivileged.USER, unprivileged.USER)
    env = {**lamina.env, "LAMINA_ROOT": f"{place}/store", "LAMINA_STORAGE_DRIVER": "erofs"}

    def mine(*words: str) -> str:
        command = unprivileged.command(f"{BIN}/lamina", *words)
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert mine("load", "-i", f"{place}/site.tar") == "Loaded image: site:2\n"
    assert mine("cat", "site:2", "/www/more.html") == "more\n" * 100
    mine("save", "-o", f"{place}/again.tar", "site:2")
    assert (place / "again.tar").read_bytes() == (place / "site.tar").read_bytes()
    assert mine("system", "check").startswith("no problem found")
    mine("system", "migrate", "--to", "vfs")
    env["LAMINA_STORAGE_DRIVER"] = ""
    mine("save", "-o", f"{place}/third.tar", "site:2")
    assert (place / "third.tar").read_bytes() == (place / "site.tar").read_bytes()


def test_directories_that_the_kernel_cannot_read(stores: dict[str, Lamina]) -> None:
    lamina = stores["erofs"]
    lamina("create", "--name", "box", "tiny:1")
    with lamina.engine() as engine:
        folders = [Path(engine._store.driver.folder(tree)) for tree in engine._store.driver]
    images = [folder / "layer.erofs" for folder in folders if (folder / "layer.erofs").exists()]
    for path in images:
        with ErofsImage(str(path)) as image:
            start, size = image._block(image.root, 0)
        with open(path, "r+b") as file:
            file.seek(start)
            file.write(b"\xff" * size)
    done = lamina("export", "-o", "/dev/null", "box", check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert lamina("system", "check", check=False).stdout.count("layer.erofs is damaged") == len(images)
