"""What lamina does with Debian's docker-registry besides pushing and pulling, beside docker and skopeo."""

import json
import pathlib

import pytest
from bench.images import Image
from tests.compat.clients import ByDocker, ByLamina, BySkopeo, blob, known, stored, tagged
from tests.compat.doors import WAYS, Door

pytestmark = pytest.mark.root


@pytest.mark.skopeo
@pytest.mark.parametrize("door", [("docker-registry", way) for way in WAYS], indirect=True, ids=WAYS)
def test_lamina_asks_copies_and_lists(
    door: Door, by_lamina: ByLamina, by_skopeo: BySkopeo, tiny: Image, tmp_path: pathlib.Path
) -> None:
    lamina, at, layout = by_lamina.lamina, f"{door.host}/lam", f"oci:{tmp_path}/layout:1"
    with known(by_lamina, door), known(by_skopeo, door):
        told = lamina("copy", "-q", f"docker-archive:{tiny.path}", f"docker://{at}/one:1").stdout.strip()
        assert told == tagged(door, "lam/one", "1") == lamina("digest", f"{at}/one:1").stdout.strip()
        assert lamina.json("manifest", "inspect", f"{at}/one:1") == json.loads(blob(door, told))
        for _ in range(2):
            assert lamina("copy", f"docker://{at}/one:1", layout).stdout == f"{told}\n"
        lamina("copy", "-q", layout, f"docker://{at}/one:2")
        copied = lamina("copy", f"docker://{at}/one:1", f"docker://{at}/two:1").stderr
        assert copied.count("Mounted") == len(copied.splitlines()) == 2
        assert stored(door, "lam/two", "1") == stored(door, "lam/one", "2") == stored(door, "lam/one", "1")
        assert sorted(lamina("tags", f"{at}/one").stdout.split()) == ["1", "2"]
        by_skopeo.skopeo("delete", *([] if door.secure else ["--tls-verify=false"]), f"docker://{at}/one:1")
        gone = lamina("digest", f"{at}/one:1", check=False)
        assert (gone.returncode, gone.stderr) == (1, f"Error: manifest for {at}/one:1 not found\n")
        assert lamina("digest", f"{at}/two:1").stdout == f"{told}\n"


@pytest.mark.docker
@pytest.mark.parametrize("door", [("docker-registry", "tls")], indirect=True, ids=["tls"])
def test_dockerd_runs_what_lamina_copied(
    door: Door, by_lamina: ByLamina, by_docker: ByDocker, tiny: Image, tmp_path: pathlib.Path
) -> None:
    docker, name, archive = by_docker.docker, f"{door.host}/from/lamina:1", str(tmp_path / "out.tar")
    by_lamina.lamina("copy", "-q", f"docker-archive:{tiny.path}", f"docker://{name}")
    docker("pull", name)
    assert docker.run(name, "echo", "hello").stdout == "hello\n"
    by_lamina.lamina("copy", "-q", f"docker://{name}", f"docker-archive:{archive}:back:1")
    assert "Loaded image: back:1" in docker("load", "-i", archive).stdout
    assert docker("images", "-q", "back:1").stdout == docker("images", "-q", name).stdout
    docker("rmi", name, "back:1")
