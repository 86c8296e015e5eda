"""`cp` in both directions, beside docker's: every case of docker's manual, and links.

One tree for a case lies in the container and on the host, `s` with what is copied and `t` with where it may go; the
case's number is its folder, so that one container and one folder of the host serve all.
"""

import io
import pathlib
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from tests import tars, trees
from tests.cli.place import Lamina
from tests.peers import Docker, Tool

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.overlay]

SOURCES = ("f", "d", "d/.", "ld")
TARGETS = ("new", "new/", "ef", "ed", "led", "missing/x")
MORE = """
missing new
f/ new
f/ ed
f ef/
f lef
d lef
lf ef
lf ed
d new/.
d/ ed
d/ new
. ed
ld/ new
ld/. ed
dangling new
dangling ed
f ldn
d ldn
f ed/blocked
d ed/blocked
-L lf new
-L lf ed
-L ld new
-L ld ed
-L dangling new
-a f new
-a d ed
-aL ld new
"""


class Case(NamedTuple):
    option: str
    source: str
    target: str


CASES = [Case("", source, target) for source in SOURCES for target in TARGETS]
CASES += [Case(words[-3] if len(words) > 2 else "", *words[-2:]) for words in map(str.split, MORE.split("\n")) if words]

Tree = dict[str, tuple[str, int, tuple[int, int], str]]
"""Kind, mode, owner and content by path."""


class Outcome(NamedTuple):
    failed: bool
    tree: Tree


def members(folder: str) -> Iterator[tars.Member]:
    yield tars.directory(f"{folder}")
    yield tars.directory(f"{folder}/s")
    yield tars.file(f"{folder}/s/f", b"new\n", mode=0o640, uid=5, gid=6)
    yield tars.directory(f"{folder}/s/d", mode=0o750, uid=7, gid=8)
    yield tars.file(f"{folder}/s/d/x", b"x", mode=0o755, uid=7, gid=8)
    yield tars.directory(f"{folder}/s/d/sub")
    yield tars.file(f"{folder}/s/d/sub/y", b"y")
    yield tars.symlink(f"{folder}/s/d/l", "x")
    yield tars.hardlink(f"{folder}/s/d/z", f"{folder}/s/d/x", mode=0o755, uid=7, gid=8)
    yield tars.symlink(f"{folder}/s/lf", "f")
    yield tars.symlink(f"{folder}/s/ld", "d")
    yield tars.symlink(f"{folder}/s/dangling", "nowhere")
    yield tars.directory(f"{folder}/t")
    yield tars.file(f"{folder}/t/ef", b"old")
    yield tars.directory(f"{folder}/t/ed")
    yield tars.file(f"{folder}/t/ed/f", b"old", mode=0o600)
    yield tars.file(f"{folder}/t/ed/blocked", b"old")
    yield tars.directory(f"{folder}/t/ed/d")
    yield tars.file(f"{folder}/t/ed/d/x", b"old")
    yield tars.symlink(f"{folder}/t/led", "ed")
    yield tars.symlink(f"{folder}/t/lef", "ef")
    yield tars.symlink(f"{folder}/t/ldn", "gone")


def read(path: pathlib.Path, *, owners: bool) -> Tree:
    found = trees.read(str(path), directory_times=False)
    return {
        name: (node.kind, node.mode, node.owner if owners else (0, 0), node.content) for name, node in found.items()
    }


def prepare(tool: Tool, folder: pathlib.Path, tar: bytes) -> None:
    """Make the container `all`, and the same files in a folder."""
    folder.mkdir()
    (folder / "files.tar").write_bytes(tar)
    tool("import", "--change", 'CMD ["none"]', str(folder / "files.tar"), "cases:1")
    tool("create", "--network", "none", "--name", "all", "cases:1")
    subprocess.run(["tar", "-C", str(folder), "-xpf", "files.tar"], cwd=folder, check=True)


def outcomes(tool: Tool, folder: pathlib.Path, *, inward: bool) -> Iterator[Outcome]:
    """Copy all cases one way."""
    failed = []
    for number, (option, source, target) in enumerate(CASES):
        here, there = f"{number}/s/{source}", f"all:/{number}/t/{target}"
        if not inward:
            here, there = f"all:/{number}/s/{source}", f"{number}/t/{target}"
        done = tool("cp", *([option] if option else []), here, there, check=False, cwd=str(folder))
        assert done.returncode in (0, 1)
        assert "Traceback" not in done.stderr
        failed.append(done.returncode == 1)
    if inward:
        with open(folder / "export.tar", "wb") as file:
            tool("export", "all", output=file)
        folder = folder / "export"
        folder.mkdir()
        subprocess.run(["tar", "-C", str(folder), "-xpf", "../export.tar"], cwd=folder, check=True)
    for number, has_failed in enumerate(failed):
        # docker's owners are those of its manual only where they are compared: see test_owners
        as_in_manual = inward == ("a" in CASES[number].option)
        yield Outcome(has_failed, read(folder / str(number) / "t", owners=as_in_manual))


@pytest.mark.parametrize("inward", [True, False], ids=["in", "out"])
def test_the_cases_of_the_manual(lamina: Lamina, docker: Docker, tmp_path: pathlib.Path, inward: bool) -> None:
    tar = tars.tar(*(member for number in range(len(CASES)) for member in members(str(number))))
    found: dict[str, Mapping[Case, Outcome]] = {}
    tools: dict[str, Tool] = {"lamina": lamina, "docker": docker._tool()}
    for name, tool in tools.items():
        prepare(tool, tmp_path / name, tar)
        found[name] = dict(zip(CASES, outcomes(tool, tmp_path / name, inward=inward), strict=True))
    docker("rm", "all")
    lamina("rm", "all")
    differing = {case for case in CASES if found["lamina"][case] != found["docker"][case]}
    assert not differing, {case: [each[case] for each in found.values()] for case in differing}
    assert 10 < sum(outcome.failed for outcome in found["lamina"].values()) < len(CASES) - 30


def test_owners(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    """As docker's manual says: what goes in is root's, what comes out is the caller's; with -a, owners stay."""
    lamina("create", "--name", "one", "tiny:1")
    path = tmp_path / "file"
    path.write_text("x")
    subprocess.run(["chown", "5:6", str(path)], check=True)
    owners = {}
    for option in ((), ("-a",), ("--archive",)):
        lamina("cp", *option, str(path), "one:/file")
        with tarfile.open(fileobj=io.BytesIO(_out(lamina, "one:/file")), mode="r:") as tar:
            owners[option] = (tar.getmember("file").uid, tar.getmember("file").gid)
    assert owners == {(): (0, 0), ("-a",): (5, 6), ("--archive",): (5, 6)}
    lamina("cp", "one:/file", str(tmp_path / "plain"))
    lamina("cp", "-a", "one:/file", str(tmp_path / "archived"))
    assert ((tmp_path / "plain").stat().st_uid, (tmp_path / "archived").stat().st_uid) == (0, 5)


def _out(tool: Tool, path: str, *options: str) -> bytes:
    return tool("cp", *options, path, "-").stdout.encode("utf-8", "surrogateescape")


def test_tars_out(lamina: Lamina, docker: Docker) -> None:
    found: list[list[list[tuple[str, bytes, int, int, str]]]] = []
    for tool in (lamina, docker._tool()):
        name = tool("create", "--network", "none", "tiny:1").stdout.strip()
        tool("cp", "--archive", "-", f"{name}:/", input=tars.tar(*_lifted()))
        found.append(
            [_listed(_out(tool, f"{name}:{path}")) for path in ("/s/f", "/s/d", "s/d/.", "/s/ld", "/s/../s/f")]
        )
        found[-1].append(_listed(_out(tool, f"{name}:/s/lf", "--follow-link")))
        tool("rm", name)
    assert found[0] == found[1]
    assert len(found[0][1]) == 6


def _listed(data: bytes) -> list[tuple[str, bytes, int, int, str]]:
    """Return what a tar holds, but for an entry of the folder itself where only its contents were asked for."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        every = [
            (one.name.removeprefix("./"), one.type, one.mode & 0o7777, one.uid, one.linkname.removeprefix("./"))
            for one in tar
        ]
    return sorted(each for each in every if each[0] != ".")


def _lifted() -> Iterator[tars.Member]:
    for info, data in members("0"):
        if info.name.startswith("0/s"):
            info.name, info.linkname = info.name[2:], info.linkname.removeprefix("0/")
            yield info, data


def test_what_the_runtime_mounts_over_can_be_read_by_all(lamina: Lamina) -> None:
    """Docker makes these files 0755, and shows what it mounts over them: 0644."""
    lamina("create", "--name", "plain", "tiny:1", "true")
    for name in ("hosts", "hostname", "resolv.conf"):
        assert [mode for _, _, mode, _, _ in _listed(_out(lamina, f"plain:/etc/{name}"))] == [0o644], name
