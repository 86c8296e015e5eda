"""The files in /etc that say who is who."""

import pathlib

import pytest

from lamina.runtime import etc
from lamina.runtime.etc import Names

HOST = {
    "/etc/hosts": "127.0.0.1\tlocalhost\n",
    "/etc/resolv.conf": "# ours\nnameserver 9.9.9.9\nsearch home example.com\noptions ndots:1\n",
}


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etc, "_host_file", lambda path: HOST.get(path, ""))


def texts(folder: pathlib.Path, network: str, **names: tuple[str, ...]) -> tuple[str, str]:
    etc.write(str(folder), "box", network, Names(**names))
    return (folder / "hosts").read_text(), (folder / "resolv.conf").read_text()


def test_nothing_asked_for(tmp_path: pathlib.Path) -> None:
    assert texts(tmp_path, "host") == (HOST["/etc/hosts"], HOST["/etc/resolv.conf"])
    hosts, resolver = texts(tmp_path, "none")
    assert hosts.endswith("127.0.1.1\tbox\n")
    assert resolver == ""


def test_more_hosts(tmp_path: pathlib.Path) -> None:
    hosts, _ = texts(tmp_path, "host", hosts=("a:1.2.3.4", "b:::1", "c:host-gateway"))
    assert hosts == HOST["/etc/hosts"] + "1.2.3.4\ta\n::1\tb\n127.0.0.1\tc\n"


def test_a_resolver_of_ones_own_takes_the_rest_from_the_host(tmp_path: pathlib.Path) -> None:
    assert texts(tmp_path, "host", servers=("1.1.1.1", "::1"))[1] == (
        "search home example.com\nnameserver 1.1.1.1\nnameserver ::1\noptions ndots:1\n"
    )
    assert texts(tmp_path, "host", search=(".",), options=("x", "y"))[1] == "nameserver 9.9.9.9\noptions x y\n"
    assert texts(tmp_path, "none", search=("a.b",))[1] == "search a.b\n"
