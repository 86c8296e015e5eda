"""Platforms: as people write them, and which runs what."""

import os

import pytest

from lamina.errors import InvalidArgument
from lamina.oci import platform
from lamina.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform("amd64", "linux")),
        ("amd64", Platform("amd64", "linux")),
        ("Linux/X86_64", Platform("amd64", "linux")),
        ("linux/arm/v6", Platform("arm", "linux", "v6")),
        ("linux/aarch64", Platform("arm64", "linux", "v8")),
        ("armv7l", Platform("arm", "linux", "v7")),
        ("windows/amd64", Platform("amd64", "windows")),
    ],
)
def test_parse(text: str, expected: Platform) -> None:
    assert platform.parse(text) == expected


@pytest.mark.parametrize("text", ["", "/", "linux/", "/amd64", "linux//v7", "linux/arm/v7/x"])
def test_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid platform"):
        platform.parse(text)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v6", "windows/amd64"])
def test_text_comes_back(text: str) -> None:
    assert str(platform.parse(text)) == text


def test_an_empty_variant_is_the_usual_one() -> None:
    assert Platform("arm64", "linux").runs(Platform("arm64", "linux", "v8"))
    assert Platform("arm", "linux", "v7").runs(Platform("arm", "linux"))
    assert not Platform("arm", "linux", "v7").runs(Platform("arm", "linux", "v6"))
    assert not Platform("amd64", "linux").runs(Platform("amd64", "windows"))
    assert not Platform("amd64", "linux").runs(Platform("386", "linux"))


def test_host() -> None:
    assert platform.host().os == "linux"
    assert platform.parse(os.uname().machine) == platform.host()
