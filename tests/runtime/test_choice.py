"""Which runtime is taken: one that works here, tried once."""

import os
from pathlib import Path

import pytest
from tests.peers import Tool, need

from lamina.runtime import choice
from lamina.runtime.choice import NoRuntime

WORKS = 'echo tried >> {log}; echo "exec: /absent: no such file or directory" >&2; exit 1'


@pytest.fixture
def run_root(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def program(folder: Path, name: str, text: str, head: str = "#!/bin/sh\n") -> str:
    """Make a program; return its path."""
    path = folder / name
    path.write_text(head + text.format(log=folder / "log") + "\n")
    path.chmod(0o755)
    return str(path)


def tried(folder: Path) -> int:
    return len((folder / "log").read_text().splitlines())


def test_what_works_is_tried_once_and_again_when_it_changes(tmp_path: Path, run_root: Path) -> None:
    path = program(tmp_path, "works", WORKS)
    assert [choice.choose(str(run_root), path) for _ in range(3)] == [path] * 3
    assert tried(tmp_path) == 1
    os.utime(path, ns=(1, 1))
    assert choice.choose(str(run_root), path) == path
    assert tried(tmp_path) == 2
    assert sorted(os.listdir(run_root)) == ["probe.lock", "runtimes.json"], "no trial stays"


@pytest.mark.parametrize(
    ("text", "head", "why"),
    [
        ("echo first; echo 'cgroups are odd' >&2; exit 1", "#!/bin/sh\n", "cgroups are odd"),
        ("exit 3", "#!/bin/sh\n", "exit status 3"),
        ("true", "#!/bin/sh\n", "exit status 0"),
        ("printf '%0400d' 1 >&2; exit 1", "#!/bin/sh\n", "0" * 300),
        ("no program of this machine", "", "Exec format error"),
        ("", "#!/no/such/interpreter\n", "No such file or directory"),
    ],
)
def test_what_does_not_work(tmp_path: Path, run_root: Path, text: str, head: str, why: str) -> None:
    path = program(tmp_path, "broken", text, head)
    for _ in range(2):
        with pytest.raises(NoRuntime, match=rf"no OCI runtime: {path} does not work here \({why}\)\. Install one"):
            choice.choose(str(run_root), path)
    program(tmp_path, "broken", WORKS)
    assert choice.choose(str(run_root), path) == path, "it may work later"


def test_the_first_that_works(tmp_path: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_PLACES", (str(tmp_path),))
    program(tmp_path, "runc", "no program", head="")
    crun = program(tmp_path, "crun", WORKS)
    program(tmp_path, "youki", WORKS)
    assert choice.choose(str(run_root)) == crun
    assert tried(tmp_path) == 1
    with pytest.raises(NoRuntime, match="runc does not work here"):
        choice.choose(str(run_root), "runc")


def test_none_installed(tmp_path: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_PLACES", (str(tmp_path),))
    (tmp_path / "runc").write_text("not to be run")
    with pytest.raises(NoRuntime, match="runc is not installed; crun is not installed; youki is not installed"):
        choice.choose(str(run_root))
    with pytest.raises(NoRuntime, match=r"/no/such is not installed\. Install one"):
        choice.choose(str(run_root), "/no/such")


@pytest.mark.parametrize("rubbish", [b"", b"{", b'{"a":1}', b"[1]", b"\xff"])
def test_notes_that_cannot_be_read_are_made_anew(tmp_path: Path, run_root: Path, rubbish: bytes) -> None:
    (run_root / "runtimes.json").write_bytes(rubbish)
    path = program(tmp_path, "works", WORKS)
    assert choice.choose(str(run_root), path) == choice.choose(str(run_root), path)
    assert tried(tmp_path) == 1


@pytest.mark.root
@pytest.mark.runc
def test_runc_works(run_root: Path) -> None:
    need(Tool("runc").missing())
    assert os.path.basename(choice.choose(str(run_root), "runc")) == "runc"
    assert sorted(os.listdir(run_root)) == ["probe.lock", "runtimes.json"]
