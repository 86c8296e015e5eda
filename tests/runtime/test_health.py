"""What the prober notes, read back: whatever is in the file."""

import pathlib

import pytest

from lamina.containers import prober
from lamina.runtime import health
from lamina.runtime.health import Health

BAD = [b"", b"{", b"[]", b'{"Status":"\xff"}', b'{"other":' + b"[" * 20_000]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_health_is_none(tmp_path: pathlib.Path, text: bytes) -> None:
    folder = pathlib.Path(health.folder(str(tmp_path), "one"))
    folder.mkdir(parents=True)
    path = folder / "health.json"
    health.write(str(path), Health(health.HEALTHY))
    assert health.read(str(tmp_path), "one") == Health(health.HEALTHY)
    path.write_bytes(text)
    assert health.read(str(tmp_path), "one") is None


@pytest.mark.parametrize("text", [*BAD, b'{"level":"\xff"}'])
def test_what_the_runtime_says_is_found_among_other_lines(tmp_path: pathlib.Path, text: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(text + b'\n{"level":"info","msg":"a"}\n{"level":"error","msg":"no such file"}\n')
    assert prober.failed(str(log)) == "no such file"
