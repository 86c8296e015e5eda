"""Triggers, the changes of a commit, and what the data files cannot show."""

import pytest

from lamina.dockerfile import parser
from lamina.dockerfile.instructions import Cmd, Command, Copy, Env, Expose, File, Instruction, Onbuild, Run
from lamina.dockerfile.lines import LARGEST, LONGEST
from lamina.dockerfile.mistakes import Malformed


def _only(data: bytes) -> Instruction:
    (stage,) = parser.parse(data).stages
    (one,) = stage.instructions
    return one


@pytest.mark.parametrize(
    "text",
    ["COPY . /app", "run  a  ", "COPY <<A <<'B' /c\n$x\nA\ny\nB", "RUN <<-E\n\tx\nE", 'CMD ["a", "b"]', "ENV a b\\ c"],
)
def test_a_trigger_is_read_as_it_was_stored(text: str) -> None:
    stored = _only(f"FROM a\nONBUILD {text}\n".encode())
    assert isinstance(stored, Onbuild)
    assert stored.trigger == text
    direct = _only(f"FROM a\n{text}".encode())
    assert parser.trigger(text) == type(direct)(1, *(getattr(direct, name) for name in direct.__struct_fields__[1:]))


@pytest.mark.parametrize("text", ["", "# x", "RUN a\nRUN b", "FROM a", "MAINTAINER a", "ONBUILD RUN a", "FOO"])
def test_what_is_no_trigger(text: str) -> None:
    with pytest.raises(Malformed, match=r"^of alpine:1: "):
        parser.trigger(text, "of alpine")


def test_a_trigger_knows_no_escape_directive() -> None:
    with pytest.raises(Malformed, match=r"^Dockerfile:4: COPY requires at least two"):
        parser.parse(b"# escape=`\nFROM a\nCOPY --chown=1\\ a b\nONBUILD COPY --chown=1\\ a b\n")


def test_changes() -> None:
    assert parser.changes(["cmd a", "EXPOSE 80 \\", " 22", "", "ENV a=1 b=2"]) == (
        Cmd(1, "cmd a", Command(("a",), is_shell=True)),
        Expose(2, "EXPOSE 80  22", ("22", "80")),
        Env(5, "ENV a=1 b=2", (("a", "1"), ("b", "2"))),
    )
    assert parser.changes([]) == ()


@pytest.mark.parametrize("keyword", ["FROM", "run", "COPY", "ADD", "ARG", "MAINTAINER", "SHELL", "FOO"])
def test_what_is_no_change(keyword: str) -> None:
    with pytest.raises(Malformed, match=rf"^change:2: {keyword} is not a valid change command: use one of CMD, "):
        parser.changes(["CMD a", f"{keyword} a b"])


def test_a_line_may_be_long_but_not_longer() -> None:
    most = b"FROM a\nRUN " + b"x" * (LONGEST - 4) + b"\n"
    assert isinstance(_only(most), Run)
    with pytest.raises(Malformed, match=r"^Dockerfile:2: dockerfile line greater than max allowed size of 65535$"):
        parser.parse(most[:-1] + b"x")
    with pytest.raises(Malformed, match=r"^Dockerfile:2: dockerfile line greater"):
        parser.parse(b"FROM a\nRUN " + "é".encode() * 32766 + b"\n")
    with pytest.raises(Malformed, match=r"^Dockerfile:3: dockerfile line greater"):
        parser.parse(b"FROM a\nCOPY <<E /\n" + b"x" * (LONGEST + 1) + b"\nE\n")


def test_joined_lines_may_be_longer_than_one() -> None:
    one = _only(b"FROM a\nRUN " + b"x" * 60000 + b"\\\n" + b"y" * 60000)
    assert isinstance(one, Run)
    assert one.command.args == ("x" * 60000 + "y" * 60000,)


def test_a_file_may_be_large_but_not_larger() -> None:
    head = b"FROM a\n#"
    assert len(parser.parse(head + b"\n" * (LARGEST - len(head))).stages) == 1
    with pytest.raises(Malformed, match=rf"^Dockerfile:1: .* is larger than {LARGEST} bytes"):
        parser.parse(head + b"\n" * (LARGEST - len(head) + 1))


def test_heredocs_of_json_are_just_strings() -> None:
    one = _only(b'FROM a\nCOPY ["<<E", "<<F"]\n')
    assert isinstance(one, Copy)
    assert (one.sources, one.files, one.destination) == (("<<E",), (), "<<F")


def test_a_heredoc_ends_at_its_own_line_only() -> None:
    one = _only(b"FROM a\nCOPY <<X <<Y /\nY\nXX\n\tX\nX \nX\nX\nY")
    assert isinstance(one, Copy)
    assert one.files == (File("X", "Y\nXX\n\tX\nX \n", expand=True), File("Y", "X\n", expand=True))


@pytest.mark.parametrize(
    ("word", "name", "expand"),
    [
        ("<<a", "a", True),
        ("7<<a", "a", True),
        ("<<eo'f'", "eof", False),
        ('<<"e"of', "eof", False),
        ("<<eo\\'f", "eo'f", True),
        ("<<'e'o\\'f", "eo'f", False),
        ('<<"a\\"b"', 'a"b', False),
        ("<<'one two'", "one two", False),
        ("<<$x", "$x", True),
        ("<<${x}", "${x}", True),
    ],
)
def test_names_of_heredocs(word: str, name: str, *, expand: bool) -> None:
    one = _only(f"FROM a\nRUN {word} cat\nbody\n{name}\n".encode())
    assert isinstance(one, Run)
    assert one.command.args == (f"{word} cat\nbody\n{name}",)
    if " " not in name:
        copied = _only(f"FROM a\nCOPY {word.lstrip('7')} /\nbody\n{name}\n".encode())
        assert isinstance(copied, Copy)
        assert copied.files == (File(name, "body\n", expand),)


@pytest.mark.parametrize(
    "text", ["echo it's <<a", "x \"<<a\" '<<b'", "a<<b", "<a", "<<<a", "<<''", "<<", "\\<<a", '"<<a']
)
def test_what_opens_no_heredoc(text: str) -> None:
    one = _only(f"FROM a\nRUN {text}\n".encode())
    assert isinstance(one, Run)
    assert one.command == Command((text,), is_shell=True)
