"""Hostile input: what would take minutes if any of it were quadratic, and a stack if any were recursive."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from lamina.dockerfile import expand, glob, parser
from lamina.dockerfile.expand import MOST, BadSubstitution
from lamina.dockerfile.ignore import Ignore
from lamina.dockerfile.mistakes import Malformed

_MANY = 100_000
_LONG = "x" * _MANY


def _file(line: str, head: str = "FROM a\n") -> Callable[[], object]:
    return lambda: parser.parse((head + line).encode())


def _word(text: str, **env: str) -> Callable[[], object]:
    return lambda: expand.word(text, env)


@pytest.mark.parametrize(
    "work",
    [
        _file("RUN " + "a\\\n" * _MANY),
        _file("\n" * 10 * _MANY),
        _file("RUN " + "\\\n" * _MANY + "a"),
        _file("RUN x\n" * _MANY),
        _file("RUN " + "--a=b \\\n" * _MANY),
        _file("RUN " + " \\\n" * _MANY + "--network=none x"),
        _file("ENV " + "a=b \\\n" * _MANY),
        _file("ENV a=" + "'\"\\\n" * _MANY),
        _file("ENV a=" + "\\\\a\\\n" * _MANY),
        _file("RUN " + "<<a \\\n" * _MANY + "b"),
        _file("RUN " + "<< \\\n" * _MANY + "<b"),
        _file("RUN " + "<<a'\\\n" * _MANY + "b"),
        _file("RUN " + "[\\\n" * _MANY),
        _file("RUN [" + '"",\\\n' * _MANY + '""]'),
        _file("COPY <<E /x\n" + "E \n" * _MANY + "E\n"),
        _file("ONBUILD " * 8000),
        _file("# escape=" + " " * 60000 + "\nFROM a\n", head=""),
        _word("${a:-" * 30 + "}" * 30),
        _word("$a" * _MANY),
        _word("$" * _MANY),
        _word("\\" * _MANY),
        _word("${a##" + "*x" * 500 + "y}", a=_LONG),
        _word("${a%%" + "*x" * 500 + "y}", a=_LONG),
        _word("${a#" + "*?x" * 300 + "y}", a=_LONG),
        _word("${a//" + "*x" * 500 + "y/z}", a=_LONG),
        _word("${a//x*x/z}", a=_LONG + "y"),
        _word("${a///}", a=_LONG),
        lambda: expand.words("a " * _MANY, {}),
        lambda: expand.words("'a'" * _MANY, {}),
        lambda: glob.match("*a" * 1000 + "b", "a" * 4000),
        lambda: [Ignore.parse(b"**/*a*a*a*a*a*a*b\n" * 50).excludes("a" * 200 + str(i)) for i in range(100)],
        lambda: [Ignore.parse(b"a/**/" * 40 + b"b").excludes("a/" * 200 + str(i)) for i in range(10)],
    ],
)
def test_time_is_linear(work: Callable[[], object]) -> None:
    start = time.process_time()
    with contextlib.suppress(Malformed, BadSubstitution):
        work()
    assert time.process_time() - start < 10


def test_braces_are_not_nested_without_end() -> None:
    assert expand.word("${a:-" * 30 + "x" + "}" * 30, {}) == "x"
    with pytest.raises(BadSubstitution, match="more than 30 braces in one another"):
        expand.word("${a:-" * 31 + "x" + "}" * 31, {})
    assert expand.word("${a:-x}" * 100, {}) == "x" * 100


def test_what_variables_come_to_is_bounded() -> None:
    half = "x" * (MOST // 2)
    assert len(expand.word("$a$a", {"a": half})) == MOST
    for text in ("$a$a$b", "${a/x/$a}$a", "${b//x/$a}${b//x/$a}${b//x/$a}"):
        with pytest.raises(BadSubstitution, match=f"its variables come to more than {MOST} characters"):
            expand.word(text, {"a": half, "b": "x"})
    with pytest.raises(BadSubstitution, match="has more than 1024 characters"):
        expand.word("${a#" + "x" * 1025 + "}", {"a": half})


def test_a_thousand_rules_are_not_a_thousand_times_slower() -> None:
    paths = [f"src/{i % 97}/{i % 89}/name{i}.py" for i in range(10_000)]
    ignore = Ignore.parse(b"".join(b"lib/%d/*.py\n" % i for i in range(1000)) + b"**/*.pyc\n")
    start = time.process_time()
    assert not any(map(ignore.excludes, paths))
    assert time.process_time() - start < 2


def test_nothing_but_errors_and_msgspec_is_imported() -> None:
    code = (
        "import sys\n"
        "import lamina.dockerfile.parser, lamina.dockerfile.expand, lamina.dockerfile.ignore\n"
        "print(*sorted(name for name in sys.modules if name.startswith('lamina.') and '.dockerfile' not in name))\n"
        "print('difflib' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "lamina.errors\nFalse\n"
