"""What tests of pull and push get: registries, Debian's and ours, a store with images, and empty ones."""

import os
import pathlib
from collections.abc import Callable, Iterator

import pytest
from tests import traces
from tests.cli.place import Lamina
from tests.registry import either
from tests.registry.distribution import Running
from tests.transfer import samples


@pytest.fixture(autouse=True)
def tidy(tmp_path: pathlib.Path) -> Iterator[None]:
    """Fail a test that leaves a process, a mount or a private folder."""
    with traces.tidy(str(tmp_path)):
        yield


@pytest.fixture(params=either.NAMES)
def registry(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Running]:
    """Debian's docker-registry, and ours, new and open to all."""
    with either.running(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Iterator[Callable[[str], Lamina]]:
    """Return the program over a store of a name; all are sound and at rest in the end."""
    made: dict[str, Lamina] = {}

    def named(name: str) -> Lamina:
        folder = os.path.join(tmp_path, name)
        nothing = {"LAMINA_DAEMON_JSON": f"{folder}/none", "LAMINA_CERTS_D": f"{folder}/none"}
        return made.setdefault(name, Lamina(folder, env={"DOCKER_CONFIG": f"{folder}.docker", **nothing}))

    yield named
    for lamina in made.values():
        if os.path.isdir(lamina.root):
            assert lamina("system", "check").stdout == f"no problem found in {lamina.root}\n"
            assert not os.listdir(f"{lamina.root}/lamina/leases")


@pytest.fixture
def first(store: Callable[[str], Lamina]) -> Lamina:
    """A store with `site:1` and `site:2` over it, of two and three layers."""
    lamina = store("first")
    with lamina.engine() as engine:
        samples.make(engine)
    return lamina
