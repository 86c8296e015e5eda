"""The table of ignore files, and what it cannot show."""

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from lamina.dockerfile.ignore import LARGEST, Ignore, Rule
from lamina.dockerfile.mistakes import Malformed

_TABLE = pathlib.Path(__file__).parents[1] / "data/dockerfile/ignore.txt"


def _cases() -> Iterator[Any]:
    rules: list[str] = []
    done = True
    for number, line in enumerate(_TABLE.read_text().splitlines(), 1):
        if line.startswith("    "):
            rules = [] if done else rules
            rules.append(line[4:])
            done = False
        elif line and not line.startswith("#"):
            done = True
            yield pytest.param("\n".join(rules), line[0], line[2:], id=f"{number} {line}")


@pytest.mark.parametrize(("rules", "sign", "path"), list(_cases()))
def test_table(rules: str, sign: str, path: str) -> None:
    data = rules.encode()
    match sign:
        case "!":
            with pytest.raises(Malformed) as caught:
                Ignore.parse(data)
            assert path in str(caught.value)
            assert str(caught.value).startswith(".dockerignore:")
        case "-" | "+":
            assert Ignore.parse(data).excludes(path) == (sign == "-")
        case "x" | ">":
            assert Ignore.parse(data).prunes(path) == (sign == "x")
        case _:
            pytest.fail(f"no sign: {sign}")


def test_the_table_is_read() -> None:
    assert len(list(_cases())) > 100


def test_marks_ends_and_bytes_of_any_kind() -> None:
    ignore = Ignore.parse(b"\xef\xbb\xbf# c\r\na\r\n\r\nb\xff\r\n")
    assert [rule.line for rule in ignore.rules] == [2, 4]
    assert ignore.excludes("a")
    assert ignore.excludes(b"b\xff".decode(errors="surrogateescape"))
    assert not ignore.excludes("# c")


def test_the_rule_that_decides() -> None:
    ignore = Ignore.parse(b"a*\n!ab\nab/c\n")
    assert ignore.rule("ab/c/d") == Rule(3, "ab/c")
    assert ignore.rule("ab") == Rule(2, "ab", keeps=True)
    assert ignore.rule("ax") == Rule(1, "a*")
    assert ignore.rule("b") is None


def test_what_is_kept_whatever_the_file_says() -> None:
    ignore = Ignore.parse(b"*\nd\n", keep=["./d/Docker[f]ile", ".dockerignore"])
    assert not ignore.excludes("d/Docker[f]ile")
    assert not ignore.excludes(".dockerignore")
    assert ignore.excludes("d/Dockerf")
    assert not ignore.prunes("d")
    assert ignore.prunes("e")


def test_the_context_itself_is_never_left_behind() -> None:
    ignore = Ignore.parse(b"**\n*\n.\n")
    assert not ignore.excludes(".")
    assert not ignore.excludes("")
    assert not ignore.prunes(".")
    assert ignore.excludes("a")


def test_no_rules() -> None:
    ignore = Ignore.parse(b"")
    assert not ignore.excludes("a/b")
    assert not ignore.prunes("a")


def test_a_mistake_names_its_line() -> None:
    with pytest.raises(Malformed, match=r"^x/\.dockerignore:3: bad pattern \"a\[\"") as caught:
        Ignore.parse(b"# c\n\n!a[\n", "x/.dockerignore")
    assert caught.value.line == 3
    with pytest.raises(Malformed, match="larger than"):
        Ignore.parse(b"#" * (LARGEST + 1))


def test_forgetting_changes_no_answer() -> None:
    rules = Ignore.parse(b"*.a\nb/**/c\n!b/x\n**/d\n").rules
    paths = ["/".join(parts) for parts in itertools.product("abx", "bcx", ("c", "d", "x.a"), ("a", "d"))]
    forgetful = Ignore(rules, remembered=3)
    for path in paths:
        assert forgetful.excludes(path) == Ignore(rules).excludes(path)
        assert forgetful.prunes(path) == Ignore(rules).prunes(path)
    assert len(forgetful._states) <= 4
    assert len(forgetful._folders) <= 3
