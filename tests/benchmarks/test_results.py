import json
import pathlib

import pytest
from bench import results
from bench.report import Row, Target
from bench.results import Results

ROWS = [
    Row("load", "load app", "s", (Target(1), Target(3, "skopeo")), {"lamina": [1, 2, 3], "podman": [4]}),
    Row("scale-layers", "load", "s", (), {"lamina": [1]}, {"dockerd": "max depth"}, axis="layers", at=200, growth=1.1),
]


def written(path: pathlib.Path) -> Results:
    found = Results("2026-01-31T12:00:00+00:00", "4f2c", 3, {"versions": {"podman": "4"}, "load": [0.5]}, ROWS)
    results.write(found, str(path))
    return found


def test_what_is_written_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "folder" / "results.json"
    found = written(path)
    assert results.read(str(path)) == found


def test_readers_find_every_round_and_what_follows_from_them(tmp_path: pathlib.Path) -> None:
    written(tmp_path / "results.json")
    found = json.loads((tmp_path / "results.json").read_text())
    assert (found["format"], found["date"], found["commit"], found["rounds"]) == (
        1,
        "2026-01-31T12:00:00+00:00",
        "4f2c",
        3,
    )
    first, second = found["rows"]
    assert first["rounds"]["lamina"] == [1, 2, 3]
    assert (first["median"], first["ratio"], first["met"]) == ({"lamina": 2, "podman": 4}, 0.5, True)
    assert first["targets"][1] == {"bound": 3, "of": "skopeo", "unit": ""}
    assert (second["axis"], second["at"], second["growth"]) == ("layers", 200, 1.1)
    assert second["absent"] == {"dockerd": "max depth"}


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b'{"rows": 1}', b"{"])
def test_other_files_are_refused(data: bytes, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.json: no results of bench"):
        results.read(str(path))


def test_another_format_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "results.json"
    written(path)
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="results of format 2"):
        results.read(str(path))
