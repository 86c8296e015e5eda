"""`find` beside find(1): the same names in the same tree, whatever the expression."""

import pathlib
import re
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import samples, tars
from tests.peers import PATH
from tests.samples import Sample
from tests.tars import directory, file, hardlink, symlink, tar

from lamina.engine import Engine, globs
from lamina.engine.finding import BadExpression
from lamina.errors import NotFound
from lamina.store.store import Store

MEMBERS = [
    directory("d", mode=0o1777),
    file("d/setuid", b"#!", mode=0o4755, uid=7, gid=8),
    file("d/README.md", b"x" * 512),
    file("d/readme.MD", b"x" * 513),
    file("d/.hidden", b"x" * 1024),
    file("d/a[b]c*d\\e", b"x" * 1025),
    file("d/new\nline", mode=0o444),
    file("d/\udcff", b"x" * 3000),
    file("d/ünï", b"x", uid=7),
    symlink("d/link", "README.md"),
    symlink("l", "d"),
    hardlink("hard", "d/setuid"),
    tars.fifo("fifo"),
    tars.device("null", 1, 3, mode=0o666),
    directory("empty"),
    directory("deep"),
    directory("deep/er"),
    file("deep/er/est", b"x" * (1 << 20)),
    file("deep-er", b"x"),
]
EXPRESSIONS = [
    "",
    "-name README.md",
    "-name '*.md'",
    "-iname '*.md'",
    "-name '*'",
    "-name '.*'",
    "-name '?ink'",
    "-name 'a\\[b\\]c\\*d\\\\e'",
    "-name 'a[[]b]*'",
    "-name '[!a-m]*'",
    "-name '[^a-m]*'",
    "-name '[[:upper:]]*'",
    "-name '[a'",
    "-name 'ün?'",
    "-name '*ï'",
    "-name ''",
    "-path './d/*'",
    "-path '*e*r*'",
    "-ipath '*README*'",
    "-wholename ./deep/er",
    "-path d",
    "-lname 'READ*'",
    "-lname '*'",
    "-type f",
    "-type d,l",
    "-type c",
    "-type p",
    "! -type d -size 1",
    "! -type d -size +1",
    "! -type d -size -2",
    "! -type d -size 513c",
    "! -type d -size +512c",
    "! -type d -size 1k",
    "! -type d -size -1M",
    "! -type d -size 1M",
    "! -type d -size 0",
    "-perm 4755",
    "-perm -4000",
    "-perm /6000",
    "-perm -222",
    "-perm /222",
    "-perm 0",
    "-uid 7",
    "-gid +0",
    "-uid -7",
    "-empty",
    "-type d -empty",
    "-maxdepth 0",
    "-maxdepth 1",
    "-mindepth 1",
    "-mindepth 2 -maxdepth 2 -type f",
    "-name deep -prune",
    "-name deep -prune -o -print",
    "-path ./d -prune -o -type f -print",
    "-name d -o -name deep",
    "-type f -name '*.md' -o -type l",
    "-type f ( -name '*.md' -o -name setuid )",
    "! ( -type f -o -type d )",
    "! ! -type f",
    "-not -type f -a -not -type d",
    "-true",
    "-false",
    "-type f -print -name README.md -print",
    "-type f -and -name README.md -or -type l",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, pathlib.Path]:
    folder = tmp_path_factory.mktemp("finding")
    store = Store(str(folder / "store"), "vfs")
    data = tar(*MEMBERS)
    samples.put(store, Sample([data], ["one"]))
    (folder / "tree").mkdir()
    subprocess.run(["tar", "-xpC", str(folder / "tree")], input=data, check=True)
    return Engine(store.paths.root, "vfs"), folder / "tree"


def found(engine: Engine, path: str, words: list[str]) -> list[bytes]:
    return [one.path for one in engine.find_files("one", path, words)]


@pytest.mark.root
@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("start", [".", "d", "d/", "l", "l/", "deep/er/.."])
def test_it_finds_what_find_does(place: tuple[Engine, pathlib.Path], start: str, expression: str) -> None:
    engine, tree = place
    words = shlex.split(expression)
    theirs = ["-print0" if word == "-print" else word for word in words]
    theirs = theirs if "-print0" in theirs else ["(", *theirs, ")", "-print0"] if theirs else ["-print0"]
    env = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["find", start, *theirs], capture_output=True, cwd=tree, env=env, check=True)
    assert sorted(found(engine, start, words)) == sorted(done.stdout.split(b"\0")[:-1])


@pytest.mark.root
def test_parents_come_first_and_names_are_sorted(place: tuple[Engine, pathlib.Path]) -> None:
    engine, _ = place
    assert found(engine, "/deep", []) == [b"/deep", b"/deep/er", b"/deep/er/est"]
    assert found(engine, "/", ["-maxdepth", "1", "-type", "d"]) == [b"/", b"/d", b"/deep", b"/empty"]


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("-foo", "unknown predicate '-foo'"),
        ("foo", "unknown predicate 'foo'"),
        ("-name", "missing argument to '-name'"),
        ("-type x", "unknown argument to -type: x"),
        ("-type f,", "unknown argument to -type: f,"),
        ("-size 1q", "invalid -size type 'q'"),
        ("-size k", "invalid argument"),
        ("-size ''", "invalid -size type"),
        ("-size +-1", "invalid argument"),
        ("-uid x", "invalid argument 'x' to -uid"),
        ("-perm 999", "invalid mode '999'"),
        ("-perm u+s", "invalid mode"),
        ("-perm --4", "invalid mode"),
        ("-maxdepth -1", "positive decimal integer"),
        ("-name x -o", "a test is missing"),
        ("-o -name x", "a test is missing"),
        ("( )", "a test is missing"),
        ("( -name x", r"expecting to find a '\)'"),
        ("-name x )", r"too many '\)'"),
        ("!", "expected an expression"),
        ("( " * 101 + "-name x" + " )" * 101, "more than 100 parentheses"),
    ],
)
def test_bad_expressions(place: tuple[Engine, pathlib.Path], words: str, why: str) -> None:
    with pytest.raises(BadExpression, match=why):
        found(place[0], "/", shlex.split(words))


@pytest.mark.root
def test_a_long_expression(place: tuple[Engine, pathlib.Path]) -> None:
    words = ["-name", "x", "-o"] * 5000 + ["-name", "d"]
    assert found(place[0], "/", words) == [b"/d"]
    with pytest.raises(NotFound):
        found(place[0], "/nothing", [])


@given(st.text("ab*?[]!^-\\:.", max_size=8), st.text("ab]-\\.:^", max_size=5))
def test_patterns_are_those_of_fnmatch(pattern: str, name: str) -> None:
    assert (re.compile(globs.regex(pattern), re.DOTALL).fullmatch(name) is not None) == _fnmatch(pattern, name)


def _fnmatch(pattern: str, name: str) -> bool:
    import ctypes

    return not ctypes.CDLL(None).fnmatch(pattern.encode(), name.encode(), 0)


def test_many_stars_take_no_time() -> None:
    assert not re.fullmatch(globs.regex("*a" * 40 + "b"), "a" * 20_000, re.DOTALL)
