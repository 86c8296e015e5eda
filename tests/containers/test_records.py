"""Records of containers: seen whole or not at all, found by what people type."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina import sealed
from lamina.containers.host import Host
from lamina.containers.records import (
    LOST,
    RUNNING,
    ContainerNotFound,
    NameTaken,
    Record,
    Records,
    State,
)
from lamina.errors import InvalidArgument
from lamina.oci.config import RunConfig
from lamina.oci.digest import Digest

ONE, TWO = "ab1" + "0" * 61, "ab2" + "0" * 61


def record(container: str, name: str) -> Record:
    return Record(container, name, "2026-01-01T00:00:00Z", Digest("sha256:x"), "image", RunConfig(cmd=["/c"]), Host())


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(str(tmp_path))


def add(records: Records, container: str, name: str) -> None:
    with records.added(record(container, name)):
        records.complete(container)


@pytest.fixture
def two(records: Records) -> Records:
    add(records, ONE, "one")
    add(records, TWO, "two")
    return records


@pytest.mark.parametrize("text", ["one", "/one", ONE, ONE[:3]])
def test_found(two: Records, text: str) -> None:
    assert two.find(text) == two.get(ONE) == record(ONE, "one")
    assert list(two) == [ONE, TWO]
    assert list(two.strays()) == []


@pytest.mark.parametrize(
    "text", ["", "/", ".", "..", "three", "ab3", "AB1", "on", "names/one", "../x", "names", "//one"]
)
def test_not_found(two: Records, text: str) -> None:
    with pytest.raises(ContainerNotFound, match=f"^No such container: {text}$"):
        two.find(text)


def test_ambiguous(two: Records) -> None:
    with pytest.raises(InvalidArgument, match=f"container id 'ab' is ambiguous: {ONE[:12]}, {TWO[:12]}"):
        two.find("ab")


def test_a_name_comes_before_the_beginning_of_an_id(two: Records) -> None:
    add(two, "c" * 64, "ab1")
    assert two.find("ab1").id == "c" * 64


def test_a_name_is_taken_until_its_container_goes(two: Records) -> None:
    with (
        pytest.raises(NameTaken, match=f'The container name "/one" is already in use by container "{ONE}"'),
        two.added(record("c" * 64, "one")),
    ):
        pass
    two.hide(ONE)
    two.remove(ONE)
    two.remove("c" * 64)
    add(two, "d" * 64, "one")
    assert two.find("one").id == "d" * 64
    two.hide(ONE)
    two.remove(ONE)  # gone already: neither is an error, nor does the name go
    assert two.find("one").id == "d" * 64


def test_one_that_is_being_made_is_not_seen_and_has_its_name(records: Records) -> None:
    with records.added(record(ONE, "one")):
        assert list(records) == []
        assert [what for what, _ in records.strays()] == [ONE, "names/one"]
        with pytest.raises(ContainerNotFound):
            records.find("one")
        with pytest.raises(NameTaken), records.added(record(TWO, "one")):
            pass
    records.remove(TWO)
    with records.added(record(TWO, "one")):  # its maker gave up
        records.complete(TWO)
    assert records.find("one").id == TWO


def test_who_holds_one(two: Records) -> None:
    with two.hold(ONE) as first, two.hold(ONE) as second:
        assert (first, second) == (True, True)
        with two.hold(ONE, alone=True, wait=False) as alone:
            assert not alone
    with two.hold(ONE, alone=True), two.hold(ONE, wait=False) as other:
        assert not other
    with two.hold(ONE, alone=True, wait=False) as alone:
        assert alone
    with pytest.raises(ContainerNotFound), two.hold("c" * 64):
        pass


@pytest.mark.parametrize("harm", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, None])
def test_damage(two: Records, harm: bytes | None) -> None:
    for name in ("record.json", "state.json"):
        path = Path(two.folder(ONE), name)
        path.unlink()
        path.mkdir() if harm is None else path.write_bytes(harm)
    with pytest.raises(sealed.Damaged, match=r"record\.json is damaged: "):
        two.find("one")
    assert two.state(ONE) == LOST
    assert two.find("two").id == TWO
    two.hide(ONE)
    two.remove(ONE)
    assert list(two) == [TWO]
    assert list(two.strays()) == []


def test_no_descriptors_are_no_damage(two: Records) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        for read in (two.get, two.state, two.monitor):
            with pytest.raises(OSError, match="Too many open files"):
                read(ONE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_states(two: Records) -> None:
    assert two.state(ONE) == State()
    two.set_state(ONE, State(RUNNING, started="now"))
    assert two.state(ONE) == State(RUNNING, started="now")
    assert two.state(TWO) == State()
    assert sorted(os.listdir(two.folder(ONE))) == ["record.json", "state.json"]


@pytest.fixture(autouse=True)
def no_descriptor_stays() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before
