"""Pull and push, killed after each thing that they say: the store is whole, and the next try ends well."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from tests.cli.place import Lamina
from tests.registry.distribution import Running
from tests.remote.servers import Library, Server
from tests.transfer import samples

pytestmark = pytest.mark.root

Stores = Callable[[str], Lamina]


def test_pull(store: Stores) -> None:
    library = Library()
    sample = samples.fill(library, *samples.layers(300_000, 10_000))
    with Server(library) as server:
        name = f"{server.host}/a/b:1"
        for lamina in _killed(lambda number: store(f"store{number}"), "pull", name):
            found = lamina("images", "-q", "--no-trunc").stdout.split()
            assert found in ([], [sample.image_id])
            lamina("pull", name)
            assert lamina.json("inspect", name)[0]["Id"] == sample.image_id
            assert not os.listdir(f"{lamina.root}/lamina/partial")


def test_push(first: Lamina, registry: Running) -> None:
    name = f"{registry.host}/x/site:2"
    first("tag", "site:2", name)
    for lamina in _killed(lambda _: first, "push", name):
        assert lamina("system", "check").returncode == 0
    first("push", name)
    first("rmi", "-f", "site:2", name)
    first("pull", name)


def _killed(store: Callable[[int], Lamina], *words: str) -> Iterator[Lamina]:
    """Run a command again and again, and kill it after one line, after three, and so on, until it comes to its end."""
    for number in range(1, 100, 2):
        lamina = store(number)
        lamina("images")
        process = lamina.start(words[0], "--progress", "json", *words[1:])
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(number)]
        if not lines[-1]:
            assert process.wait(60) == 0
            process.communicate()
            assert number > 5
            return
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        yield lamina
    raise AssertionError("it never comes to its end")
