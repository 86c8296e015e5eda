"""Docker's `distribution` folder, and what we know beside it."""

import hmac
import os
import pathlib

import pytest

from lamina.images.distribution import MOST, Distribution, Form, Origin, seal
from lamina.images.paths import Paths
from lamina.oci import digest, mediatypes
from lamina.oci.manifest import Descriptor

BLOB = digest.parse("sha256:6d47d0147cce4397d5a3f1f08942cdb1696105e79473c8df1fded7f910c3d909")
DIFF = digest.parse("sha256:bec311d0ee66d70f87ed47fb3b1cf8a0f9db906047d069a0ef19e824183cb257")
REPOSITORY = "127.0.0.1:50125/x/tiny"
FORM = Form(Descriptor(mediatypes.DOCKER_LAYER_GZIP, BLOB, 12))


@pytest.fixture
def home(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "overlay2"


@pytest.fixture
def known(tmp_path: pathlib.Path, home: pathlib.Path) -> Distribution:
    return Distribution(Paths(str(home), str(tmp_path / "index")))


def test_files_are_those_that_docker_writes(known: Distribution, home: pathlib.Path) -> None:
    """The bytes are those of a dockerd 20.10 that pulled an image and pushed it again without credentials."""
    known.add(DIFF, Origin(BLOB, REPOSITORY), FORM)
    known.add(DIFF, Origin(BLOB, REPOSITORY, seal(BLOB, REPOSITORY, {})), FORM)
    first = home / "distribution" / "diffid-by-digest" / "sha256" / digest.encoded(BLOB)
    second = home / "distribution" / "v2metadata-by-diffid" / "sha256" / digest.encoded(DIFF)
    assert first.read_text() == DIFF
    assert second.read_text() == (
        f'[{{"Digest":"{BLOB}","SourceRepository":"{REPOSITORY}","HMAC":""}},'
        f'{{"Digest":"{BLOB}","SourceRepository":"{REPOSITORY}",'
        '"HMAC":"2f0b13d8160830a0dbc41daac5f9e8213d6ff7517b1fdebe66a7b04217b5ee7d"}]'
    )
    assert [os.stat(path).st_mode & 0o777 for path in (first, second, second.parent)] == [0o644, 0o644, 0o755]


def test_what_was_noted_is_found_again(known: Distribution) -> None:
    known.add(DIFF, Origin(BLOB, REPOSITORY), FORM)
    assert known.diff_id(BLOB) == DIFF
    assert known.origins(DIFF) == [Origin(BLOB, REPOSITORY)]
    assert known.forms(DIFF) == [FORM]


def test_the_latest_comes_last_once_and_the_oldest_go(known: Distribution) -> None:
    for number in range(MOST + 3):
        known.add(DIFF, Origin(BLOB, f"docker.io/x/{number}"), FORM)
    known.add(DIFF, Origin(BLOB, "docker.io/x/20"), FORM)
    repositories = [origin.repository for origin in known.origins(DIFF)]
    assert len(repositories) == MOST
    assert repositories[-1] == "docker.io/x/20"
    assert repositories.count("docker.io/x/20") == 1
    assert "docker.io/x/0" not in repositories


def test_how_a_form_was_made_is_not_forgotten(known: Distribution) -> None:
    made = Form(FORM.descriptor, "isal 1 level 1")
    known.add_form(DIFF, made)
    known.add_form(DIFF, FORM)
    assert known.forms(DIFF) == [made]


def test_a_source_that_has_it_no_more_is_forgotten(known: Distribution) -> None:
    known.add(DIFF, Origin(BLOB, REPOSITORY), FORM)
    known.remove(DIFF, Origin(BLOB, REPOSITORY))
    known.remove(DIFF, Origin(BLOB, REPOSITORY))
    assert known.origins(DIFF) == []


@pytest.mark.parametrize("damage", [b"", b"[", b"\xff", b'[{"Digest":1}]', b"[" * 100_000])
def test_what_cannot_be_read_is_not_known(known: Distribution, home: pathlib.Path, damage: bytes) -> None:
    known.add(DIFF, Origin(BLOB, REPOSITORY), FORM)
    for path in home.parent.rglob(digest.encoded(BLOB)):
        path.write_bytes(damage)
    for path in home.parent.rglob(digest.encoded(DIFF)):
        path.write_bytes(damage)
    assert known.diff_id(BLOB) is None
    assert known.origins(DIFF) == []
    assert known.forms(DIFF) == []
    known.add(DIFF, Origin(BLOB, REPOSITORY), FORM)
    assert known.origins(DIFF) == [Origin(BLOB, REPOSITORY)]


def test_a_seal_tells_credentials_apart() -> None:
    seals = {seal(BLOB, REPOSITORY, who) for who in ({}, {"username": "a"}, {"username": "a", "password": "b"})}
    assert len(seals) == 3


def test_a_seal_is_made_of_what_gos_json_says() -> None:
    text = r'{"username":"me","password":"\u003c\u0026\u003e\u2028é"}'
    key = digest.of(text.encode()).encode()
    expected = hmac.new(key, f"{BLOB}{REPOSITORY}".encode(), "sha256").hexdigest()
    assert seal(BLOB, REPOSITORY, {"password": "<&>\u2028é", "username": "me", "identitytoken": ""}) == expected
