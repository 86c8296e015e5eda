"""Starting costs little: what the cheapest command may import, and that the import contract holds."""

import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from tests import peers, tars
from tests.cli.place import BIN, Lamina
from tests.peers import Tool

ALLOWED = {
    "lamina",
    "lamina.cli",
    "lamina.cli.main",
    "lamina.cli.parser",
    "lamina.cli.shell",
    "lamina.cli.version",
    "lamina.errors",
}
"""All of lamina that `lamina version` needs."""

HEAVY = {
    *("asyncio", "concurrent.futures", "ctypes", "decimal", "email", "hashlib", "http", "inspect", "json", "logging"),
    *("multiprocessing", "random", "socket", "ssl", "subprocess", "tarfile", "tempfile", "typing_extensions", "uuid"),
    *("fastcrc", "isal", "msgspec", "rich", "urllib3", "aiohttp"),
}
"""Modules that cost milliseconds, and that `lamina version` and `lamina --help` have no use for."""

SCRIPT = """
import sys
before = set(sys.modules)
from lamina.cli.main import main
import io, contextlib
with contextlib.redirect_stdout(io.StringIO()):
    status = main(sys.argv[1:])
print("\\n".join(sorted(set(sys.modules) - before)))
sys.exit(status)
"""


def imported(*args: str, root: str = "/nonexistent") -> set[str]:
    """Return the modules that a command imports, over those that Python has anyway."""
    command = [sys.executable, "-I", "-c", SCRIPT, "--root", root, *args]
    env = {**os.environ, "LAMINA_RUN_ROOT": f"{root}.run"}
    return set(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split())


def test_version_imports_next_to_nothing() -> None:
    found = imported("version")
    assert {name for name in found if name.split(".")[0] == "lamina"} == ALLOWED
    assert not found & HEAVY


def test_help_imports_next_to_nothing() -> None:
    for words in (("--help",), ("help", "run"), ("image",)):
        assert not imported(*words) & HEAVY, words


def test_reading_commands_leave_out_what_they_do_not_need(furnished: Lamina) -> None:
    """No process, no network, no builds: `images`, `history` and `inspect` start fast."""
    unneeded = {"subprocess", "ssl", "urllib3", "rich", "isal", "backports.zstd", "lamina.build", "lamina.runtime.spec"}
    unneeded |= {"typing_extensions", "inspect"}
    for words in (("images",), ("history", "tiny:1")):
        assert not imported(*words, root=furnished.root) & unneeded, words
    assert not imported("inspect", "tiny:1", root=furnished.root) & (unneeded - {"lamina.runtime.spec"})


@pytest.mark.root
@pytest.mark.overlay
@pytest.mark.runc
def test_a_container_leaves_out_what_takes_layers_in(furnished: Lamina) -> None:
    unneeded = {f"lamina.{name}" for name in ("tar.split", "snapshot.layerimages", "snapshot.vfs", "content.local")}
    unneeded |= {"lamina.images.distribution", "concurrent.futures", "subprocess", "isal"}
    if furnished.driver == "erofs":
        unneeded |= {"fastcrc", "lamina.tar.apply", "lamina.tar.reader", "lamina.erofs.reader"}
    command = ("run", "--rm", "--network", "none", "tiny:1", "true")
    furnished(*command)  # which looks for a runtime, once
    assert not imported(*command, root=furnished.root) & unneeded


def test_looking_into_an_image_leaves_out_what_it_does_not_need(lamina: Lamina) -> None:
    """Neither containers nor archives; and once a layer is known, nothing is inflated."""
    unneeded = {
        f"lamina.{name}" for name in ("archive", "containers.records", "layers.mending", "store.check", "transfer")
    }
    lamina("system", "migrate", "--quiet", "--to", "overlay2")  # whose layers are records of tars, compressed
    assert "isal" in imported("ls", "tiny:1", root=lamina.root)
    assert not imported("ls", "-lR", "tiny:1", root=lamina.root) & (unneeded | {"isal", "subprocess", "rich"})


COMPILED = """
import argparse, email.parser, fnmatch, glob, hashlib, importlib, json, pkgutil, re, rich, subprocess, tarfile
import tempfile, urllib3, aiohttp.web, bcrypt, cryptography.x509, jwt, prometheus_client, yaml
import cryptography.hazmat.primitives.serialization
import lamina

names = [one.name for one in pkgutil.walk_packages(lamina.__path__, "lamina.") if "__main__" not in one.name]
compile, compiled = re._compile, {}
for name in names:
    re._compile = lambda pattern, flags: compiled.setdefault(name, str(pattern)) and compile(pattern, flags)
    importlib.import_module(name)
print(json.dumps(compiled))
"""


def test_no_regular_expression_is_compiled_at_import() -> None:
    done = subprocess.run([sys.executable, "-I", "-c", COMPILED], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


def test_imports_point_downward() -> None:
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    command = [os.path.join(BIN, "lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


ONE_IMAGE = (
    ("ls", "site:2:/www"),
    ("cat", "site:2:/www/index.html"),
    ("find", "site:2", "-name", "x"),
    ("image", "cp", "site:2:/www", "-"),
    ("history", "site:2"),
    ("inspect", "site:2"),
    ("tag", "site:2", "other:1"),
    ("run", "--rm", "--network", "none", "tiny:1", "true"),
)
"""Commands that are about one image."""


@pytest.mark.root
@pytest.mark.overlay
@pytest.mark.runc
def test_commands_about_one_image_do_not_list_the_store(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    """The system is asked for the same files, as often, whatever else is in the store."""
    peers.need(Tool("strace").missing())
    for words in ONE_IMAGE:
        _asked(lamina, words, tmp_path)  # what is made once is there
    before, all_images = [_asked(lamina, words, tmp_path) for words in ONE_IMAGE], _asked(lamina, ("images",), tmp_path)
    with lamina.engine() as engine:
        for number in range(30):
            with engine.edit("tiny:1", created=number) as edit:
                edit.append(io.BytesIO(tars.tar(tars.file("file", b"%d" % number))), "one more")
                edit.commit(f"more:{number}")
    assert [_asked(lamina, words, tmp_path) for words in ONE_IMAGE] == before
    assert _asked(lamina, ("images",), tmp_path) != all_images, "what would be seen"


def _asked(lamina: Lamina, words: tuple[str, ...], folder: pathlib.Path) -> tuple[tuple[str, ...], Counter[str]]:
    """Return how often a command asks for files of its store, by call, and for the names in its folders.

    How often it looks whether the runtime has noted a process does not count.
    """
    traces = folder / "traces"
    traces.mkdir()
    calls = ["-e", "trace=%file,getdents64", "-o", str(traces / "of")]  # one file a process: so no line is split
    command = ["strace", "-ff", "-yy", "-s", "4096", *calls, os.path.join(BIN, "lamina"), *words]
    subprocess.run(command, env=lamina.env, stdout=subprocess.DEVNULL, check=True)
    every = [line for trace in traces.iterdir() for line in trace.read_text().splitlines()]
    shutil.rmtree(traces)
    lines = [line for line in every if f"{lamina.root}/" in line and '/pid"' not in line]
    names = [found[1] for line in lines if (found := re.match(r"(\w+)\(", line))]
    entries = sum(int(found[1]) for line in lines if (found := re.search(r"/\* (\d+) entries", line)))
    return words, Counter(names) + Counter(entries=entries)
