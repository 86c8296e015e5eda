"""The data files: `case/Dockerfile` is read as `case/expected.json` says, or refused as `case/error.txt` says."""

import json
import pathlib

import pytest
from tests.dockerfile.describe import plain

from lamina.dockerfile import parser
from lamina.dockerfile.mistakes import Malformed

_CASES = sorted(path.parent for path in (pathlib.Path(__file__).parents[1] / "data/dockerfile").glob("*/Dockerfile"))


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_case(case: pathlib.Path) -> None:
    data = (case / "Dockerfile").read_bytes()
    if (case / "error.txt").exists():
        with pytest.raises(Malformed) as caught:
            parser.parse(data)
        assert f"{caught.value}\n" == (case / "error.txt").read_text()
    else:
        assert plain(parser.parse(data)) == json.loads((case / "expected.json").read_text())


def test_there_are_cases() -> None:
    assert len(_CASES) > 15
