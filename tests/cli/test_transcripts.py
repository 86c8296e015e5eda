"""Every command and every flag of it, as `tests/data/cli/*/*.console` has them; see `transcripts` for the form.

Each file begins with a fresh store that has the images of `place.furnish`; one that speaks of $REGISTRY or $LOCKED has
an empty registry there, the second one for those who know the password. LAMINA_GOLDEN=write writes the files
anew: look at what has changed.
"""

import contextlib
import importlib
import os
import pathlib
import re
import shlex
from collections.abc import Iterator

import pytest
from bench.images import Image
from tests import peers
from tests.cli import transcripts
from tests.cli.place import Lamina, furnish
from tests.cli.transcripts import Entry, Words
from tests.registry.distribution import Distribution

from lamina.cli.main import COMMANDS, GROUPS, HIDDEN
from lamina.cli.parser import Parser

DATA = pathlib.Path(__file__).parents[1] / "data" / "cli"
FILES = sorted(DATA.glob("*/*.console"))

pytestmark = [pytest.mark.root, pytest.mark.overlay, pytest.mark.runc]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_transcript(path: pathlib.Path, furnished: Lamina, lamina: Lamina, tmp_path: pathlib.Path, tiny: Image) -> None:
    text = path.read_text()
    entries = transcripts.read(text)
    with _registries(text, tmp_path / "registries") as hosts:
        played = _play(entries, lamina, tmp_path / "here", hosts)
    if os.environ.get("LAMINA_GOLDEN") == "write":
        _write(path, played, _again(entries, tmp_path / "again", tiny), furnished, tmp_path)
    assert transcripts.write(_worded(played, text, furnished, tmp_path)) == text


@contextlib.contextmanager
def _registries(text: str, folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """Start the registries that a transcript speaks of; yield where they are, by variable."""
    with contextlib.ExitStack() as stack:
        hosts: dict[str, str] = {}
        for name in ("REGISTRY", "LOCKED"):
            if f"${name}" in text:
                peers.need(Distribution.missing())
                registry = Distribution(str(folder / name), locked=name == "LOCKED")
                hosts[name] = stack.enter_context(registry).host
        yield hosts


def _again(entries: list[Entry], folder: pathlib.Path, tiny: Image) -> str:
    """Play again over a store that was made later, and with another `tiny:1`."""
    folder.mkdir()
    lamina = Lamina(str(folder / "store"))
    furnish(lamina, tiny)
    with lamina.engine() as engine, engine.edit("tiny:1") as edit:
        edit.set(labels={"other": "yes"})
        edit.commit("tiny:1")
    with _registries(" ".join(entry.command for entry in entries), folder / "registries") as hosts:
        return transcripts.write(_play(entries, lamina, folder / "here", hosts))


def _write(path: pathlib.Path, played: list[Entry], again: str, furnished: Lamina, folder: pathlib.Path) -> None:
    """Write a transcript; what came out again is the same in every run."""
    same = set(re.findall(r"[0-9a-f]{12,64}|[-0-9]{10}[T ][:.0-9]{8,}(?:Z| \+0000 UTC)", again))
    path.write_text(transcripts.write(_worded(played, " ".join(same), furnished, folder)))
    pytest.fail("written anew", pytrace=False)


def _play(entries: list[Entry], lamina: Lamina, folder: pathlib.Path, hosts: dict[str, str]) -> list[Entry]:
    """Type the commands; of registries nothing is known but where they are."""
    folder.mkdir()
    nothing = {name: str(folder / "none") for name in ("LAMINA_DAEMON_JSON", "LAMINA_CERTS_D")}
    env = {**lamina.env, **nothing, **hosts, "DOCKER_CONFIG": str(folder / "docker")}
    played = transcripts.play(entries, env, str(folder))
    for name, host in hosts.items():
        played = [Entry(entry.command, entry.output.replace(host, f"<{name.lower()}>")) for entry in played]
    return played


def _worded(played: list[Entry], known: str, furnished: Lamina, folder: pathlib.Path) -> list[Entry]:
    """Replace what differs; the busybox in `tiny:1` is Debian's, so its digests and size may change with that."""
    tiny = furnished.json("inspect", "tiny:1")[0]
    for own in (tiny["Id"], *tiny["RootFS"]["Layers"]):
        known = known.replace(own.removeprefix("sha256:"), "").replace(own.removeprefix("sha256:")[:12], "")
    size = furnished("images", "--format", "{{.Size}}", "tiny:1").stdout.strip()
    words = Words(known, {str(folder): "<folder>", size: "#.##MB", str(tiny["Size"]): "#######"})
    return [Entry(entry.command, words(entry.output)) for entry in played]


def test_every_command_has_one() -> None:
    assert {path.parent.name for path in FILES} >= {*COMMANDS, *GROUPS, "help"}


def test_every_flag_is_used() -> None:
    used = {command: set[str]() for command in [*COMMANDS, *HIDDEN]}
    for command, words in _commands():
        for word in words:
            used[command].add(word.partition("=")[0])
    unused = {f"{command} {'/'.join(names)}" for command, names in _flags() if not used[command].intersection(names)}
    assert not unused


def _flags() -> Iterator[tuple[str, list[str]]]:
    for command, about in {**COMMANDS, **HIDDEN}.items():
        module = about.module
        parser: Parser = importlib.import_module(f"lamina.cli.{module}").parser("")
        for action in parser._actions:
            if action.dest != "help" and (names := [name for name in action.option_strings if "=" not in name]):
                yield command, names


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of lamina in all transcripts, with their words."""
    for path in FILES:
        for entry in transcripts.read(path.read_text()):
            for part in re.findall(r"\blamina ([^|;&]*)", entry.command.split("<<")[0]):
                words = _split(re.sub(r"^--root \S+ ", "", part))
                if words[:1] and words[0] in GROUPS:
                    words = [GROUPS[words[0]].get((words[1:2] or [""])[0], ""), *words[2:]]
                if words and words[0] in {**COMMANDS, **HIDDEN}:
                    yield words[0], words[1:]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quotation that holds a | or ;
        return text.split()
