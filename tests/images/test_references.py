"""Names of images in Docker's repositories.json, also where that file is damaged."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamina.errors import InvalidArgument
from lamina.images import references as module
from lamina.images.references import DigestTaken, References, ReferencesDamaged
from lamina.oci import digest, reference
from lamina.oci.digest import Digest

ONE, TWO = digest.of(b"1"), digest.of(b"2")
CONTENT = digest.of(b"content")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repositories.json"


@pytest.fixture
def references(path: Path) -> References:
    return References(str(path))


def test_dockers_form(references: References, path: Path) -> None:
    references.create()
    assert path.read_bytes() == b'{"Repositories":{}}'
    for name, image_id in (("b:2", ONE), ("h.x:5/a/b:1", TWO), ("b:1", TWO), (f"b@{CONTENT}", ONE)):
        references.add(reference.parse(name), image_id)
    assert json.loads(path.read_bytes()) == {
        "Repositories": {
            "b": {"b:1": TWO, "b:2": ONE, f"b@{CONTENT}": ONE},
            "h.x:5/a/b": {"h.x:5/a/b:1": TWO},
        }
    }
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert list(references.all()) == ["b:1", "b:2", f"b@{CONTENT}", "h.x:5/a/b:1"]


def test_create_leaves_names_alone(references: References) -> None:
    references.add(reference.parse("a:1"), ONE)
    references.create()
    assert references.all() == {"a:1": ONE}


def test_without_a_file_there_are_no_names(references: References) -> None:
    assert references.all() == {}
    assert references.get(reference.parse("a:1")) is None


def test_get(references: References) -> None:
    references.add(reference.parse("docker.io/library/a:1"), ONE)
    references.add(reference.parse(f"a@{CONTENT}"), TWO)
    assert references.get(reference.parse("a:1")) == ONE
    assert references.get(reference.parse(f"a@{CONTENT}")) == TWO
    assert references.get(reference.parse(f"a:1@{CONTENT}")) == TWO, "a digest says more than a tag"
    assert references.get(reference.parse("a:2")) is None
    assert references.get(reference.parse("docker.io/me/a:1")) is None


def test_of(references: References) -> None:
    for name in ("b:1", "a:2", "a:1"):
        references.add(reference.parse(name), ONE)
    references.add(reference.parse("c:1"), TWO)
    assert references.of(ONE) == ["a:1", "a:2", "b:1"]
    assert references.of(CONTENT) == []
    assert module.by_image(references.all()) == {ONE: ["a:1", "a:2", "b:1"], TWO: ["c:1"]}


def test_a_tag_moves(references: References) -> None:
    assert references.add(reference.parse("a:1"), ONE) is None
    assert references.add(reference.parse("a:1"), ONE) is None
    assert references.add(reference.parse("a:1"), TWO) == ONE
    assert references.all() == {"a:1": TWO}


def test_a_digest_does_not(references: References) -> None:
    name = reference.parse(f"a@{CONTENT}")
    references.add(name, ONE)
    references.add(name, ONE)
    with pytest.raises(DigestTaken, match=f"a@{CONTENT} names image {ONE} already"):
        references.add(name, TWO)
    assert references.get(name) == ONE


def test_a_name_that_would_be_taken_for_a_digest(references: References) -> None:
    with pytest.raises(InvalidArgument, match="ambiguous"):
        references.add(reference.parse("sha256:1"), ONE)
    references.add(reference.parse("me/sha256:1"), ONE)


def test_remove(references: References, path: Path) -> None:
    for name in ("a:1", "a:2", "b:1"):
        references.add(reference.parse(name), ONE)
    references.remove("a:1", "b:1", "absent:1")
    assert json.loads(path.read_bytes()) == {"Repositories": {"a": {"a:2": ONE}}}, "an empty repository goes"


@pytest.mark.parametrize(
    "harm",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"Repositories":[]}',
        b'{"Repositories":{"a":1}}',
        b'{"Repositories":{"a":{"a:1":1}}}',
        b'{"Repositories":' + b'{"a":' * 100_000,
        b"\xff\xfe",
        b'{"Repositories":{"a\xff":{}}}',
    ],
)
def test_a_damaged_file_is_told_and_never_overwritten(references: References, path: Path, harm: bytes) -> None:
    path.write_bytes(harm)
    for verb in (
        references.all,
        lambda: references.get(reference.parse("a:1")),
        lambda: references.of(ONE),
        lambda: references.add(reference.parse("a:1"), ONE),
        lambda: references.remove("a:1"),
    ):
        with pytest.raises(ReferencesDamaged, match=r"repositories.json is damaged \(.*move the file away") as caught:
            verb()
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == harm


def test_a_file_that_cannot_be_read(references: References, path: Path) -> None:
    path.mkdir()
    with pytest.raises(ReferencesDamaged, match="cannot be read: Is a directory"):
        references.all()


_names = st.sampled_from(["a:1", "a:2", "b:1", "me/a:1", "h.x/a:1"])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(_names, st.sampled_from([ONE, TWO, None])), max_size=12))
def test_any_changes_are_those_of_a_dictionary(
    references: References, path: Path, steps: list[tuple[str, Digest | None]]
) -> None:
    path.unlink(missing_ok=True)
    model: dict[str, Digest] = {}
    for name, image_id in steps:
        if image_id is None:
            references.remove(name)
            model.pop(name, None)
        else:
            references.add(reference.parse(name), image_id)
            model[name] = image_id
    assert references.all() == model
