"""File name patterns."""

import pathlib

import pytest

from lamina.dockerfile import glob
from lamina.dockerfile.glob import BadPattern
from lamina.errors import InvalidArgument

_TABLE = pathlib.Path(__file__).parents[1] / "data/dockerfile/globs.txt"
_CASES = [line for line in _TABLE.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("line", _CASES)
def test_table(line: str) -> None:
    sign, pattern, path = line.split(" ", 2)
    if sign == "!":
        with pytest.raises(BadPattern, match=r"^bad pattern ") as caught:
            glob.match(pattern, path)
        assert path in str(caught.value)
        assert isinstance(caught.value, InvalidArgument)
    else:
        assert glob.match(pattern, path) == {"+": True, "-": False}[sign]


def test_an_empty_pattern_is_an_empty_path() -> None:
    assert glob.match("", "")
    assert not glob.match("", "a")
    assert glob.match("*", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.c", False),
        ("a*", True),
        ("?", True),
        ("x[a]", True),
        ("\\*", False),
        ("\\\\*", True),
        ("a\\", False),
        ("a]", False),
    ],
)
def test_what_is_a_pattern(text: str, *, expected: bool) -> None:
    assert glob.is_pattern(text) == expected
