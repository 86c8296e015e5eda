"""A damaged store on the command line: each command names the damage and works with the rest, until a repair."""

import glob

import pytest
from tests.cli.place import Lamina

pytestmark = [pytest.mark.root, pytest.mark.overlay]


def test_a_lost_config_and_damaged_links(lamina: Lamina) -> None:
    lamina("system", "migrate", "--quiet", "--to", "overlay2")
    image = lamina("images", "-q", "--no-trunc", "site:2").stdout.strip().removeprefix("sha256:")
    with open(f"{lamina.root}/image/overlay2/imagedb/content/sha256/{image}", "wb") as file:
        file.write(b"other")
    for path in glob.glob(f"{lamina.root}/overlay2/*/lower"):
        with open(path, "wb") as file:
            file.write(b"l/nothing")
    done = lamina("save", "-o", f"{lamina.root}.tar", "site:2", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"image sha256:{image} is damaged" in done.stderr
    lamina("save", "-o", f"{lamina.root}.tar", "site:1")
    assert "does not name the layers below it" in lamina("system", "check", check=False).stdout
    lines = lamina("system", "check", "--repair").stdout.splitlines()
    assert any(line.startswith(f"quarantined image sha256:{image}: ") for line in lines)
    assert any(line.startswith("restored overlay2/") for line in lines)
    assert lines[-1] == f"no problem found in {lamina.root}"
    assert lamina("system", "check", "--repair").stdout == f"no problem found in {lamina.root}\n"
    assert "No such image" in lamina("history", "site:2", check=False).stderr
