"""What shells offer while somebody types."""

import pathlib
import subprocess

import pytest
from tests import peers
from tests.cli.place import Lamina
from tests.peers import Tool

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]

BASH = """
source <(lamina completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
IFS=$' :=' read -ra COMP_WORDS <<< "$1"
compopt() { :; }
_lamina
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(lamina: Lamina, line: str) -> list[str]:
    return lamina("__complete", line).stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lamina im", ["image", "images", "import"]),
        ("lamina --root /x hist", ["history"]),
        ("lamina --st", ["--storage-driver"]),
        ("lamina --storage-driver ", ["erofs", "overlay2", "vfs"]),
        ("lamina volume ", ["create", "inspect", "list", "ls", "prune", "remove", "rm"]),
        ("lamina nothing ", []),
        ("lamina run --net", ["--net", "--network"]),
        ("lamina run --network ", ["host", "none"]),
        ("lamina run --network=n", ["--network=none"]),
        ("lamina run -v x ", ["site:1", "site:2", "tiny:1"]),
        ("lamina container run --name a ti", ["tiny:1"]),
        ("lamina run tiny:1 ", []),
        ("lamina inspect ", ["one", "site:1", "site:2", "tiny:1", "vol"]),
        ("lamina image inspect s", ["site:1", "site:2"]),
        ("lamina rm ", ["one"]),
        ("lamina rm one ", ["one"]),
        ("lamina stop ", []),
        ("lamina volume rm ", ["vol"]),
        ("lamina completion ", ["bash", "fish", "zsh"]),
        ("lamina help vers", ["version"]),
        ("lamina rm 'a quote ", ["one"]),
    ],
)
def test_what_may_come_next(lamina: Lamina, line: str, words: list[str]) -> None:
    lamina("create", "--name", "one", "--network", "none", "tiny:1", "true")
    lamina("volume", "create", "vol")
    assert offered(lamina, line) == words


def test_a_line_without_a_store(empty: Lamina) -> None:
    assert offered(empty, "lamina rmi ") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lamina imp", ["import"]),
        ("lamina run --network=n", ["none"]),
        ("lamina history site:", ["1", "2"]),
        ("lamina history ti", ["tiny:1"]),
    ],
)
def test_bash(lamina: Lamina, line: str, words: list[str]) -> None:
    done = subprocess.run(["bash", "-c", BASH, "bash", line], capture_output=True, text=True, env=lamina.env)
    assert (done.stdout.split(), done.stderr) == (words, "")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_shell_reads_its_script(lamina: Lamina, name: str) -> None:
    peers.need(Tool(name).missing())
    script = lamina("completion", name).stdout
    done = subprocess.run([name, "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_fish(lamina: Lamina, tmp_path: pathlib.Path) -> None:
    peers.need(Tool("fish").missing())
    home = tmp_path / "home"
    home.mkdir()
    script = "lamina completion fish | source; complete -C 'lamina history s'"
    env = {**lamina.env, "HOME": str(home)}
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True, env=env, cwd=home)
    assert done.stdout.split() == ["site:1", "site:2"]
