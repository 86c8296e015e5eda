"""The expansion table, and which words of which instructions are expanded."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from lamina.dockerfile import expand, parser
from lamina.dockerfile.expand import BadSubstitution
from lamina.dockerfile.instructions import Add, Arg, Copy, Env, Expose, File, Instruction, Label, Run
from lamina.errors import InvalidArgument

_TABLE = pathlib.Path(__file__).parents[1] / "data/dockerfile/words.txt"


def _lines() -> list[str]:
    return [line for line in _TABLE.read_text().splitlines() if line and not line.startswith("#")]


def _env() -> dict[str, str]:
    (line,) = (line for line in _lines() if line.startswith("env "))
    pairs = (pair.partition("=") for pair in line.split()[1:])
    return {name: value.replace("__", "  ") for name, _, value in pairs}


def _cases() -> Iterator[Any]:
    for line in _lines():
        kind, _, rest = line.partition(" ")
        if kind != "env":
            text, _, result = rest[1:].rpartition("-> ")
            yield pytest.param(kind, text.removesuffix(" "), result, id=line)


def _expand(kind: str, text: str, env: dict[str, str]) -> str | list[str]:
    match kind:
        case "words":
            return expand.words(text, env)
        case "heredoc":
            return expand.heredoc(text, env)
        case "tick":
            return expand.word(text, env, "`")
        case _:
            return expand.word(text, env)


@pytest.mark.parametrize(("kind", "text", "result"), list(_cases()))
def test_table(kind: str, text: str, result: str) -> None:
    if result.startswith("! "):
        with pytest.raises(BadSubstitution) as caught:
            _expand(kind, text, _env())
        assert result[2:] in str(caught.value)
        assert str(caught.value).startswith("failed to process ")
        assert isinstance(caught.value, InvalidArgument)
    else:
        assert _expand(kind, text, _env()) == json.loads(result)


def test_the_table_is_read() -> None:
    assert len(list(_cases())) > 150
    assert _env()["TWO"] == "x  y"


def _expanded(line: str, escape: str = "\\") -> Instruction:
    env = {"x": "1 2", "a": "A", "b": "B"}
    head = f"# escape={escape}\n" if escape != "\\" else ""
    (stage,) = parser.parse(f"{head}FROM a\n{line}\n".encode()).stages
    return expand.expanded(stage.instructions[0], env, escape)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("LABEL $a=$x '$a'=\"$b\"", "labels", (("A", "1 2"), ("$a", "B"))),
        ("LABEL old $a '$b'", "labels", (("old", "A $b"),)),
        ("ARG $a=$x b c=", "variables", (("A", "1 2"), ("b", None), ("c", ""))),
        ("EXPOSE 80 $x '$x'", "ports", ("$x", "1", "2", "80")),
        ("STOPSIGNAL $a", "signal", "A"),
        ("USER $a:${b}", "user", "A:B"),
        ("VOLUME $a/$b", "paths", ("A/B",)),
        ('VOLUME ["$x", "c"]', "paths", ("1 2", "c")),
        ("WORKDIR /$a b/$x", "path", "/A b/1 2"),
        ("MAINTAINER $a", "name", "$a"),
        ("ONBUILD RUN $a", "trigger", "RUN $a"),
        ('SHELL ["$a"]', "args", ("$a",)),
        ("HEALTHCHECK CMD $a", "test", ("CMD-SHELL", "$a")),
    ],
)
def test_what_is_expanded(line: str, field: str, value: object) -> None:
    found = getattr(_expanded(line), field)
    assert (sorted(found) if field == "ports" else found) == (
        list(value) if isinstance(value, tuple) and field == "ports" else value
    )


def test_env_sees_what_was_before_it() -> None:
    assert _expanded("ENV a=new b=$a c=$b $a=x") == Env(
        2, "ENV a=new b=$a c=$b $a=x", (("a", "new"), ("b", "A"), ("c", "B"), ("A", "x"))
    )


def test_copy_is_expanded_but_for_its_origin() -> None:
    one = _expanded("COPY --from=$a --chown=$a --chmod=$b $a '$b' $x/\n")
    assert isinstance(one, Copy)
    assert (one.origin, one.chown, one.chmod, one.sources, one.destination) == ("$a", "A", "B", ("A", "$b"), "1 2/")


def test_add_is_expanded_with_its_checksum() -> None:
    one = _expanded("ADD --checksum=sha256:$a --chown=$b --chmod=$a http://$a $b\n")
    assert isinstance(one, Add)
    assert (one.checksum, one.chown, one.chmod, one.sources, one.destination) == (
        "sha256:A",
        "B",
        "A",
        ("http://A",),
        "B",
    )


def test_heredocs_are_expanded_unless_quoted() -> None:
    one = _expanded("COPY <<E <<'F' <<$a /\n$a '$b' \"\nE\n$a\nF\n\\$a\n$a\n")
    assert isinstance(one, Copy)
    assert one.files == (File("E", "A 'B' \"\n", False), File("F", "$a\n", False), File("$a", "$a\n", False))


@pytest.mark.parametrize("line", ["RUN echo $a", 'CMD ["$a"]', "ENTRYPOINT $a", "RUN <<E\n$a\nE"])
def test_commands_are_left_to_the_shell(line: str) -> None:
    one = _expanded(line)
    assert one is not None
    assert "$a" in str(one)


def test_the_escape_of_the_file_counts() -> None:
    one = _expanded("ENV p=C:\\$a`$b", "`")
    assert isinstance(one, Env)
    assert one.variables == (("p", "C:\\A$b"),)


def test_nothing_to_expand_gives_the_same_value() -> None:
    one = _expanded("RUN x")
    assert isinstance(one, Run)
    assert expand.expanded(one, {}) is one
    for line, kind in (("ARG a", Arg), ("EXPOSE 1", Expose), ("LABEL a=b", Label)):
        other = _expanded(line)
        assert isinstance(other, kind)
        assert expand.expanded(other, {}) == other


def test_a_stage_is_expanded_by_global_arguments() -> None:
    (stage,) = parser.parse(b"FROM --platform=linux/$a ${b:-c}:'$a' AS x").stages
    done = expand.stage(stage, {"a": "A"})
    assert (done.platform, done.base, done.name, done.source) == ("linux/A", "c:$a", "x", stage.source)
